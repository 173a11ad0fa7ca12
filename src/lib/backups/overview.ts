import { type BackupStore, type BrokenBackup, bytesOf, isProven, type StoredBackup } from './store.js'

/** A backup in one line. */
export interface BackupLine {
  name: string
  path: string
  label: string | null
  domain: string
  /** ISO 8601: when its snapshot was taken. */
  at: string
  /** Seconds; below 0 where the clock of this machine ran ahead. */
  age: number
  bytes: number
  /** The version of Mastodon. */
  mastodon: string
  proven: boolean
  /** The last look that was taken; making it is one. */
  verified: { level: 'checksums' | 'decoded' | 'drilled'; at: string; ok: boolean; why: string | null }
  /** What is wrong with its files, seen now without reading them. */
  damage: string | null
  /** Whether it was looked at again after it was made. */
  again: boolean
  /** When it was last restored for a trial, with success. */
  drilledAt: string | null
  /** Whom it is encrypted for. */
  recipient: string | null
}

export interface BackupOverview {
  dir: string
  /** Null: not known. */
  onDatabaseDisk: boolean | null
  bytes: number
  backups: BackupLine[]
  broken: BrokenBackup[]
}

/** Returns what the store holds, newest first. */
export async function overviewOf(store: BackupStore, now: Date): Promise<Omit<BackupOverview, 'onDatabaseDisk'>> {
  const { backups, broken } = await store.list()
  const lines = backups.map(backup => lineOf(backup, now))
  return { dir: store.dir, bytes: lines.reduce((sum, { bytes }) => sum + bytes, 0), backups: lines, broken }
}

function lineOf(backup: StoredBackup, now: Date): BackupLine {
  const { name, path, manifest, checks } = backup
  return {
    ...{ name, path, label: manifest.label, domain: manifest.instance.domain, at: manifest.startedAt },
    age: Math.round((now.getTime() - Date.parse(manifest.startedAt)) / 1000),
    bytes: bytesOf(backup),
    mastodon: manifest.mastodon,
    proven: isProven(backup),
    verified: lastLook(backup),
    damage: backup.damage ?? null,
    again: checks.length > 0,
    drilledAt: checks.findLast(({ level, ok }) => ok && level === 'drilled')?.at ?? null,
    recipient: manifest.recipient,
  }
}

function lastLook({ manifest, checks }: StoredBackup): BackupLine['verified'] {
  const last = checks.at(-1)
  if (last) return { level: last.level, at: last.at, ok: last.ok, why: last.why ?? null }
  return { level: manifest.verified.decoded ? 'decoded' : 'checksums', at: manifest.finishedAt, ok: true, why: null }
}
