import { randomBytes } from 'node:crypto'
import type { Toolbox } from '../toolbox.js'
import { toolVersion } from '../version.js'
import { byHandLines, partLines } from './by-hand.js'
import type { DumpedDatabase } from './database.js'
import type { BackupFile, Manifest } from './manifest.js'
import { fingerprintsOf } from './secrets.js'

/** What the steps of a backup hand on. One that was killed is made anew, so that none of it is journalled. */
export interface Draft {
  name: string
  /** The folder that it is written into. */
  partial: string
  startedAt: Date
  label: string | null
  /** Whom it is encrypted to. */
  recipient: string | null
  files: BackupFile[]
  media: Manifest['media']
  redis: Manifest['redis']
  /** Milliseconds of each step. */
  took: Record<string, number>
  database?: DumpedDatabase
  /** Made before the streams: each fingerprint takes 16 MiB of memory for its time. */
  secrets?: Manifest['secrets']
}

/** Returns the manifest of a backup whose files stand and were read back. */
export async function manifestOf(toolbox: Toolbox, draft: Draft): Promise<Manifest> {
  const { database, startedAt, partial: _partial, ...kept } = draft
  if (database === undefined) throw new Error('the database was not dumped')
  const { file, traits, serverVersion, dumpedBy, shape, versions, tables, by } = database
  return {
    format: 1,
    name: kept.name,
    label: kept.label,
    tool: toolVersion(),
    instance: { name: toolbox.instance.name, title: toolbox.backend.title, domain: await toolbox.app.domain() },
    mastodon: (await toolbox.app.version()).toString(),
    schema: { newest: versions.at(-1) ?? '', versions },
    postgres: { version: serverVersion, dumpedBy, database: traits },
    counts: { by, tables },
    shape,
    files: kept.files,
    secrets: kept.secrets ?? (await fingerprinted(toolbox)),
    media: kept.media,
    redis: kept.redis,
    recipient: kept.recipient,
    startedAt: startedAt.toISOString(),
    finishedAt: toolbox.clock.now().toISOString(),
    took: kept.took,
    verified: { checksums: true, decoded: by !== 'nothing' },
    byHand: [...byHandLines(file, traits, dumpedBy), ...partLines(kept.files)],
  }
}

/** Returns the fingerprints of the instance's secrets as they are now. */
export async function fingerprinted(toolbox: Toolbox): Promise<Manifest['secrets']> {
  const salt = randomBytes(16).toString('hex')
  return { salt, fingerprints: fingerprintsOf(await toolbox.app.version(), await toolbox.app.config(), salt) }
}
