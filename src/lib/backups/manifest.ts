import { createHash } from 'node:crypto'
import { isRecord } from '../backends/json.js'
import { RefusedError } from '../errors.js'
import { printableLine } from '../text.js'

/** The name of the file that describes a backup, in the backup's folder. */
export const MANIFEST = 'manifest.json'
const FORMAT = 1

/** What a file of a backup holds. */
export type FilePart = 'database' | 'media' | 'redis' | 'secrets'

export interface BackupFile {
  /** Inside of the backup's folder. */
  name: string
  part: FilePart
  /** Of the file as it lies there: of the ciphertext where it is encrypted. */
  bytes: number
  sha256: string
  encrypted: boolean
  /** What its content went through: PostgreSQL's custom format compresses by itself, the others are outside of it. */
  compression: 'none' | 'gzip' | 'zstd' | 'inside'
}

export interface TableCount {
  schema: string
  table: string
  rows: number
}

/** What a bare server needs before the dump can be restored on it. */
export interface DatabaseTraits {
  name: string
  owner: string
  encoding: string
  collate: string
  ctype: string
  /** `icu` with its locale where the database uses it (PostgreSQL 15 and later); otherwise `libc`. */
  provider: 'libc' | 'icu' | 'builtin'
  icuLocale: string | null
  /** `ALTER DATABASE … SET`, by name. */
  settings: Record<string, string>
  /** Who may do what on the database itself, as `GRANTEE=PRIVILEGES`. */
  grants: string[]
  /** Roles that own or may use something in it. */
  roles: string[]
  extensions: { name: string; version: string; schema: string }[]
  /** On disk, with indexes. */
  bytes: number
}

export interface Manifest {
  format: typeof FORMAT
  /** The backup's name: of its folder as well. */
  name: string
  label: string | null
  /** The version of mstdn-ops that made it. */
  tool: string
  instance: { name: string; title: string; domain: string }
  /** The version of Mastodon. */
  mastodon: string
  schema: { newest: string; versions: string[] }
  postgres: { version: number; dumpedBy: number; database: DatabaseTraits }
  /** Rows of every table, and by what they were counted: `nothing` where no program was there to decode the dump. */
  counts: { by: 'snapshot and decode' | 'decode' | 'nothing'; tables: TableCount[] }
  /** A short hash of the definition of every table, index, constraint and other object, by its name. */
  shape: Record<string, string>
  files: BackupFile[]
  /** Salted fingerprints of the instance's secrets: equal for equal values, and no way back to them. */
  secrets: { salt: string; fingerprints: Record<string, string> }
  media: /** `note` tells which copies of other servers' media were left out, and which may be among the files. */
    | { kept: 'local'; files: number; note: string }
    | { kept: 'nowhere'; why: string }
    | { kept: 'bucket'; bucket: string; versions: boolean | null; why?: string }
  redis: { kept: boolean; why: string | null }
  /** Whom it is encrypted to. */
  recipient: string | null
  /** ISO 8601; the snapshot was taken at `startedAt`. */
  startedAt: string
  finishedAt: string
  /** Milliseconds of each step. */
  took: Record<string, number>
  /** How it was proven before it was listed. */
  verified: { checksums: true; decoded: boolean }
  /** The lines that restore it by hand with plain tools. */
  byHand: string[]
}

/** Returns the rows of every table; undefined where nobody has counted them. */
export function countedTables({ counts }: Pick<Manifest, 'counts'>): readonly TableCount[] | undefined {
  return counts.by === 'nothing' ? undefined : counts.tables
}

/** Returns the manifest as its file holds it, with a checksum over all the rest. */
export function manifestText(manifest: Manifest): string {
  const body = JSON.stringify(manifest, null, 2)
  return `${JSON.stringify({ checksum: checksumOf(body), ...manifest }, null, 2)}\n`
}

/**
 * Reads a manifest. Any changed byte is noticed, also in white space.
 *
 * @throws RefusedError when it is damaged or made by a newer version of the tool.
 */
export function readManifest(text: string, path: string): Manifest {
  const { checksum, manifest } = parsed(text, path)
  if (Number(manifest.format) > FORMAT) throw tooNew(path)
  const body = JSON.stringify(manifest, null, 2)
  const whole = `${JSON.stringify({ checksum, ...manifest }, null, 2)}\n`
  if (checksum !== checksumOf(body) || whole !== text) throw damaged(path, 'Its checksum does not match.')
  refuseForeign(manifest, path)
  return manifest
}

/** A manifest with a right checksum may still be made by hand: its files must lie in its own folder. */
function refuseForeign({ format, files }: Manifest, path: string): void {
  if (Number(format) !== FORMAT || !Array.isArray(files)) throw damaged(path, 'It is not of a form that is known.')
  const stray = files.find(({ name }) =>
    String(name)
      .split('/')
      .some(part => ['', '.', '..'].includes(part)),
  )
  if (stray) throw damaged(path, `It names a file outside of the backup: ${printableLine(String(stray.name))}.`)
}

function parsed(text: string, path: string): { checksum: unknown; manifest: Manifest } {
  try {
    const value: unknown = JSON.parse(text)
    if (!isRecord(value)) throw new Error('it holds no object')
    const { checksum, ...manifest } = value
    return { checksum, manifest: manifest as unknown as Manifest }
  } catch (error) {
    throw damaged(path, `It cannot be read: ${(error as Error).message}.`)
  }
}

function checksumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function damaged(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'manifest-damaged',
    message: `The manifest ${path} is damaged.`,
    cause,
    next: 'Use another backup: mstdn-ops db:backups',
  })
}

function tooNew(path: string): RefusedError {
  return new RefusedError({
    code: 'manifest-too-new',
    message: `The backup of ${path} was made by a newer mstdn-ops.`,
    next: 'Update mstdn-ops, then run the command again.',
  })
}
