import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { syncFolder, writeSynced } from '../atomic-file.js'
import { messageOf, OperatorError, RefusedError } from '../errors.js'
import { backupsDir } from '../paths.js'
import type { Toolbox } from '../toolbox.js'
import { MANIFEST, type Manifest, manifestText, readManifest } from './manifest.js'
import { isOver, makePartial, OWNER, type Owner, ownerlessPath, PARTIAL } from './owner.js'

/** What was looked at after the backup was made, a line of JSON each. */
const CHECKS = 'checks.jsonl'

/** One look at a finished backup. */
export interface CheckRecord {
  at: string
  level: 'checksums' | 'decoded' | 'drilled'
  ok: boolean
  /** Why not, where not. */
  why?: string
}

const LEVELS: readonly CheckRecord['level'][] = ['checksums', 'decoded', 'drilled']

/** A finished backup in the store. */
export interface StoredBackup {
  path: string
  /** Of its folder: where a backup was copied, not the one in its manifest. */
  name: string
  manifest: Manifest
  checks: CheckRecord[]
  /** What is seen to be wrong with its files without reading them: one is missing, or has another size. */
  damage?: string
}

/** A folder that calls itself a backup and is none. */
export interface BrokenBackup {
  path: string
  name: string
  problem: string
  /** ISO 8601: what its name says, otherwise when its folder was last written to. */
  at: string
}

/** Returns the store of the instance's backups: the folder that is configured, or its own among the user's data. */
export function storeOf({ instance }: Toolbox): BackupStore {
  return new BackupStore(instance.backups.dir ?? backupsDir(instance.name))
}

/**
 * Whether the content is known to be good: every row was decoded, when it was made or later, and each look that failed
 * was followed by a good one that went at least as deep. A manifest alone, without its files, proves nothing.
 */
export function isProven({ manifest, checks, damage }: Omit<StoredBackup, 'path' | 'name'>): boolean {
  if (damage !== undefined) return false
  const decoded = manifest.verified.decoded || checks.some(({ ok, level }) => ok && level !== 'checksums')
  return decoded && checks.every((check, at) => check.ok || checks.slice(at + 1).some(later => outdoes(later, check)))
}

function outdoes(later: CheckRecord, failed: CheckRecord): boolean {
  return later.ok && LEVELS.indexOf(later.level) >= LEVELS.indexOf(failed.level)
}

/** Returns the size of all files of the backup. */
export function bytesOf({ manifest }: Pick<StoredBackup, 'manifest'>): number {
  return manifest.files.reduce((sum, file) => sum + file.bytes, 0)
}

/** The folder that holds the backups of one instance. */
export class BackupStore {
  readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  /** Returns the finished backups, newest first, and what looks like one and is damaged. */
  async list(): Promise<{ backups: StoredBackup[]; broken: BrokenBackup[] }> {
    const backups: StoredBackup[] = []
    const broken: BrokenBackup[] = []
    for (const name of await this.#folders()) {
      if (name.endsWith(PARTIAL)) continue
      const path = join(this.dir, name)
      const opened = await openBackup(path).catch((error: unknown) => brokenAt(path, error))
      if ('problem' in opened) broken.push(opened)
      else backups.push(opened)
    }
    backups.sort((a, b) => b.manifest.startedAt.localeCompare(a.manifest.startedAt) || b.name.localeCompare(a.name))
    return { backups, broken }
  }

  /** Makes the folder that a backup is written into, for its owner alone, and returns its path. */
  begin(name: string, owner: Owner): Promise<string> {
    return makePartial(this.dir, name, owner)
  }

  /**
   * Writes the manifest, brings all to the disk and gives the folder its name: from then on it is listed. When that fails
   * it has no name.
   */
  async finish(partial: string, manifest: Manifest): Promise<string> {
    const path = join(this.dir, manifest.name)
    await writeSynced(join(partial, MANIFEST), manifestText(manifest))
    await syncFolder(partial)
    await rename(partial, path)
    await syncFolder(this.dir).catch(async error => {
      await rename(path, partial)
      throw error
    })
    // It harms nobody where it stays.
    await rm(join(path, OWNER), { force: true }).catch(() => undefined)
    return path
  }

  /** Removes what unfinished backups of the owner left, and what nobody owns and nobody has touched for a day. */
  async clean(owner: Owner): Promise<string[]> {
    const removed: string[] = []
    for (const name of (await this.#folders(true)).filter(name => name.endsWith(PARTIAL))) {
      const path = join(this.dir, name)
      if (!(await isOver(path, owner))) continue
      await this.drop(path)
      removed.push(name)
    }
    return removed
  }

  /** Removes the folder that {@link begin} made; does nothing when it is gone, or has become a backup. */
  async drop(partial: string): Promise<void> {
    await rm(partial, { recursive: true, force: true })
  }

  /** Renamed first, so that a backup that is half removed is never listed, and that the next one clears it away. */
  async remove(name: string): Promise<void> {
    const gone = ownerlessPath(this.dir, name)
    await rename(join(this.dir, name), gone)
    await syncFolder(this.dir)
    await rm(gone, { recursive: true, force: true })
  }

  async #folders(hidden = false): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true }).catch(absentIsEmpty)
    const folders = entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
    return hidden ? folders : folders.filter(name => !isNoBackup(name))
  }
}

/** Where the folder is a disk of its own, the system keeps folders there. */
function isNoBackup(name: string): boolean {
  return name.startsWith('.') || name === 'lost+found'
}

async function brokenAt(path: string, error: unknown): Promise<BrokenBackup> {
  const problem = error instanceof OperatorError && error.why ? error.why : messageOf(error)
  const name = basename(path)
  return { path, name, problem, at: timeInName(name) ?? (await stat(path)).mtime.toISOString() }
}

/** Names begin with the time, like `20261122-051234`, in UTC. */
function timeInName(name: string): string | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)/.exec(name) ?? []
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}

/** Returns the backup in a folder. @throws RefusedError when there is none, or its manifest is damaged. */
export async function openBackup(path: string): Promise<StoredBackup> {
  const text = await readFile(join(path, MANIFEST), 'utf8').catch(error => {
    throw notABackup(path, messageOf(error))
  })
  const manifest = readManifest(text, join(path, MANIFEST))
  const damage = await damageOf(path, manifest)
  const known = { path, name: basename(resolve(path)), manifest, checks: await readChecks(path) }
  return damage === undefined ? known : { ...known, damage }
}

/** Returns which of the files is missing or has another size than its manifest says, in words. */
async function damageOf(path: string, { files }: Manifest): Promise<string | undefined> {
  for (const { name, bytes } of files) {
    const found = await stat(join(path, name)).catch(() => undefined)
    if (found === undefined) return `${name} is missing.`
    if (found.size !== bytes) return `${name} has ${found.size} bytes, the manifest says ${bytes}.`
  }
  return undefined
}

/** Whether the path is the folder of a finished backup. */
export async function isBackup(path: string): Promise<boolean> {
  return stat(join(path, MANIFEST)).then(
    found => found.isFile(),
    () => false,
  )
}

/** Notes a look at the backup beside it; on the disk before this returns. */
export async function noteCheck(path: string, record: CheckRecord): Promise<void> {
  const file = await open(join(path, CHECKS), 'a', 0o600)
  try {
    // A crash in the middle of the line before this one must not swallow it.
    await file.appendFile(`\n${JSON.stringify(record)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(path)
}

/** A line that cannot be read (a crash while it was written) tells nothing. */
async function readChecks(path: string): Promise<CheckRecord[]> {
  const text = await readFile(join(path, CHECKS), 'utf8').catch(() => '')
  return text.split('\n').flatMap(line => {
    try {
      return line === '' ? [] : [JSON.parse(line) as CheckRecord]
    } catch {
      return []
    }
  })
}

function absentIsEmpty(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT') return []
  throw new RefusedError({
    code: 'backups-unreadable',
    message: 'The folder of the backups cannot be read.',
    cause: error.message,
    next: 'Correct its owner or mode, or name another folder under backups in mstdn-ops.yaml.',
  })
}

function notABackup(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'not-a-backup',
    message: `There is no backup in ${path}.`,
    cause,
    next: 'List the backups: mstdn-ops db:backups',
  })
}
