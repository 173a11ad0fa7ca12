import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '../../src/lib/backups/manifest.js'
import type { Owner } from '../../src/lib/backups/owner.js'
import { type BackupStore, noteCheck } from '../../src/lib/backups/store.js'

/** Returns a manifest that a backup of Mastodon 4.5.3 at that time may have; parts of it are the test's. */
export function manifestOf(name: string, parts: Partial<Manifest> = {}): Manifest {
  const startedAt = parts.startedAt ?? '2026-03-01T02:00:00.000Z'
  return {
    format: 1,
    name,
    label: null,
    tool: '0.1.0',
    instance: { name: 'main', title: 'main', domain: 'example.com' },
    mastodon: '4.5.3',
    schema: { newest: '20251023210145', versions: ['20251023210145'] },
    postgres: { version: 150018, dumpedBy: 150018, database: DATABASE },
    counts: { by: 'snapshot and decode', tables: [{ schema: 'public', table: 'accounts', rows: 3 }] },
    shape: {},
    files: [
      { name: 'database.dump', part: 'database', bytes: 1000, sha256: '00', encrypted: false, compression: 'inside' },
    ],
    secrets: { salt: '', fingerprints: {} },
    media: { kept: 'nowhere', why: 'not asked for' },
    redis: { kept: false, why: 'not asked for' },
    recipient: null,
    startedAt,
    finishedAt: new Date(Date.parse(startedAt) + 60_000).toISOString(),
    took: {},
    verified: { checksums: true, decoded: true },
    byHand: [],
    ...parts,
  }
}

/** Who made the backups. */
export const OWNER: Owner = { instance: 'main', domain: 'example.com', host: 'here', run: 'r', pid: 1 }

const DATABASE: Manifest['postgres']['database'] = {
  name: 'mastodon_production',
  owner: 'mastodon',
  encoding: 'UTF8',
  collate: 'C',
  ctype: 'C',
  provider: 'libc',
  icuLocale: null,
  settings: {},
  grants: [],
  roles: ['mastodon'],
  extensions: [],
  bytes: 10_000,
}

/** Puts a finished backup, with files of the right sizes, into the store and returns its folder; a failed check is noted where asked for. */
export async function putBackup(
  store: BackupStore,
  name: string,
  parts: Partial<Manifest> & { failed?: string } = {},
): Promise<string> {
  const { failed, ...manifest } = parts
  const whole = manifestOf(name, manifest)
  const partial = await store.begin(name, OWNER)
  for (const file of whole.files) putFile(join(partial, file.name), file.bytes)
  const path = await store.finish(partial, whole)
  if (failed !== undefined) {
    await noteCheck(path, { at: '2026-03-02T00:00:00.000Z', level: 'checksums', ok: false, why: failed })
  }
  return path
}

/** A file of that size takes no room. */
function putFile(path: string, bytes: number): void {
  writeFileSync(path, '', { mode: 0o600 })
  truncateSync(path, bytes)
}
