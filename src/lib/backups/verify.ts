import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PostgresTools } from '../backends/backend.js'
import { messageOf, OperatorError, RefusedError } from '../errors.js'
import type { DecodedTable } from '../postgres/dump.js'
import type { Equipment, Pipeline } from '../postgres/pipeline.js'
import { unlessAborted } from './attended.js'
import { openDecode } from './database.js'
import type { Unsealing } from './encryption.js'
import { type BackupFile, MANIFEST, type TableCount } from './manifest.js'
import { OWNER } from './owner.js'
import { readSum } from './sink.js'
import type { StoredBackup } from './store.js'

/** A dump in PostgreSQL's custom format that can be read from its beginning any number of times. */
export interface DumpSource {
  path: string
  /** Whether zstd went over the dump, as a program of its own. */
  zstd: boolean
  unseal?: Unsealing
}

/**
 * Returns what is wrong with the files of a backup, or undefined: each has the size and the SHA-256 of its manifest, and
 * nothing is there besides.
 */
export async function problemWithFiles(
  { path, manifest }: Pick<StoredBackup, 'path' | 'manifest'>,
  stop?: AbortSignal,
): Promise<string | undefined> {
  const names = await readdir(path)
  for (const file of manifest.files) {
    if (!names.includes(file.name)) return `${file.name} is missing.`
    const problem = await problemWithFile(path, file, stop)
    if (problem !== undefined) return problem
  }
  const known = [...manifest.files.map(file => file.name), MANIFEST, OWNER, 'checks.jsonl']
  const extra = names.find(name => !known.includes(name))
  return extra === undefined ? undefined : `${extra} is not in the manifest.`
}

async function problemWithFile(
  folder: string,
  { name, bytes, sha256 }: BackupFile,
  stop: AbortSignal | undefined,
): Promise<string | undefined> {
  const found = await readSum(join(folder, name), stop)
  if (found.bytes !== bytes) return `${name} has ${found.bytes} bytes, the manifest says ${bytes}.`
  return found.sha256 === sha256 ? undefined : `${name} has another SHA-256 than the manifest says: it was changed.`
}

/**
 * Returns the dump of a backup. @throws RefusedError when it is encrypted and no identity was given, or there is none.
 */
export function dumpOf({ path, manifest }: StoredBackup, unseal?: Unsealing): DumpSource {
  const file = manifest.files.find(({ part }) => part === 'database')
  if (file === undefined) throw new RefusedError({ code: 'no-dump', message: `${path} holds no dump of a database.` })
  if (file.encrypted && unseal === undefined) throw identityMissing(path)
  return {
    path: join(path, file.name),
    zstd: file.compression === 'zstd',
    ...(file.encrypted && unseal ? { unseal } : {}),
  }
}

export interface Feeding {
  onProgress?: (bytes: number) => void
  /** Ends the programs when it is aborted. */
  stop?: AbortSignal
}

/**
 * Sends the dump, decrypted, into a pipeline; returns when its programs have ended well.
 *
 * @throws why they did not; the reason of `stop`.
 */
export async function feed({ path, unseal }: DumpSource, into: Pipeline, { onProgress, stop }: Feeding = {}) {
  const source: Readable = createReadStream(path, { highWaterMark: 256 * 1024 })
  if (onProgress) tell(source, onProgress)
  const streams = unseal ? [source, unseal.stream(), into.run.stdin] : [source, into.run.stdin]
  await unlessAborted(fed(pipeline(streams), into), stop).catch(error => {
    if (stop?.aborted) into.run.kill()
    throw error
  })
}

/** Waits until all was sent into a pipeline and its programs have ended well; when one fails the others are ended. */
export async function fed(sent: Promise<void>, into: Pipeline): Promise<void> {
  try {
    await Promise.all([sent.catch(ignoreBrokenPipe), into.ended])
    await sent.catch(ignoreBrokenPipe)
  } catch (error) {
    into.run.kill()
    throw error
  }
}

function tell(source: Readable, onProgress: (bytes: number) => void): void {
  let bytes = 0
  source.on('data', chunk => {
    bytes += chunk.length
    onProgress(bytes)
  })
}

const BROKEN_PIPE = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']

/** The programs tell better why they ended. */
function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (!BROKEN_PIPE.includes(error.code ?? '')) throw error
}

/** Returns the rows of each table as a full decode sees them. @throws RefusedError when it cannot be decoded. */
export async function decode(
  tools: PostgresTools,
  equipment: Equipment,
  source: DumpSource,
  stop?: AbortSignal,
): Promise<DecodedTable[]> {
  const decoding = await openDecode(tools, equipment, source.zstd)
  await feed(source, decoding.pipeline, stop ? { stop } : {})
  return decoding.tables()
}

/** Returns the first table whose rows differ, in words; undefined where all agree, or nobody knows what to expect. */
export function differingCount(
  expected: readonly TableCount[] | undefined,
  found: readonly DecodedTable[],
): string | undefined {
  if (expected === undefined) return undefined
  const seen = new Map(found.map(({ schema, table, rows }) => [`${schema}.${table}`, rows]))
  for (const { schema, table, rows } of expected) {
    const name = `${schema}.${table}`
    if (seen.get(name) !== rows) return `${name} has ${seen.get(name) ?? 'no'} rows, the manifest says ${rows}.`
    seen.delete(name)
  }
  const [extra] = seen.keys()
  return extra === undefined ? undefined : `${extra} is not in the manifest.`
}

/** What programs say when something else than what they read is to blame. */
const NOT_THE_CONTENT =
  /no space left|out of memory|cannot allocate|server closed the connection|terminating connection|connection to server|database system is (starting|shutting)|permission denied|not found|unsupported version|too many connections/i

/** Returns why an error means that the content is bad; anything else (no server, no programs) is thrown again. */
export function contentProblem(error: unknown): string {
  const codes = ['program-failed', 'dump-not-whole', 'encrypted-file-damaged']
  if (!(error instanceof OperatorError) || !codes.includes(error.code)) throw error
  if (error.code === 'program-failed' && NOT_THE_CONTENT.test(error.why ?? '')) throw error
  return [messageOf(error), error.why].filter(Boolean).join(' ')
}

/** Says that the backup in the folder cannot be opened without a secret key. */
export function identityMissing(path: string): RefusedError {
  return new RefusedError({
    code: 'identity-missing',
    message: `The backup ${path} is encrypted.`,
    cause: 'Its files can be compared with their checksums; to decode or restore them, the secret key is needed.',
    next: 'Name the file that holds it: --identity FILE',
  })
}
