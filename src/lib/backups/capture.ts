import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { PostgresTools } from '../backends/backend.js'
import type { Captures, TransferWatch } from '../backends/managed-database.js'
import { OperatorError, RefusedError } from '../errors.js'
import { lacks } from '../open-toolbox.js'
import type { DecodedTable } from '../postgres/dump.js'
import { type Equipment, equipmentOf, versionIn } from '../postgres/pipeline.js'
import { type Description, description } from '../postgres/snapshot.js'
import type { Toolbox } from '../toolbox.js'
import { type Attended, attended, unlessAborted } from './attended.js'
import {
  type Decoding,
  type DumpedDatabase,
  type DumpOptions,
  dumpTools,
  fileOf,
  majorOf,
  openDecode,
} from './database.js'
import { archiveHeader } from './foreign/archive-header.js'
import { type Written, writeStream } from './sink.js'

/** More than the header of a dump has. */
const HEAD_BYTES = 4096

/**
 * Returns the platform's own backups where they must stand in for a dump from here: PostgreSQL's programs are missing or
 * too old, or only a pooler is reached. Undefined where a dump can be made.
 *
 * @throws RefusedError when neither can be had.
 */
export async function capturesInstead(toolbox: Toolbox): Promise<Captures | undefined> {
  const { captures } = toolbox.backend
  const why = await dumpTools(toolbox).then(() => undefined, refusedOnly)
  const pooled = why === undefined && captures !== undefined && (await toolbox.database()).pooled
  if (why === undefined && !pooled) return undefined
  if (captures === undefined) throw why
  await captures.usable()
  return captures
}

function refusedOnly(error: unknown): RefusedError {
  if (error instanceof RefusedError) return error
  throw error
}

export interface CaptureOptions extends DumpOptions {
  /** A backup that the platform has made already; another one is made where this is left out. */
  id?: string
}

/**
 * Lets the platform back the database up, and downloads that into the folder. There is no snapshot to share, so that rows
 * are counted by the decode alone; where no pg_restore is here that can read the dump, it is not decoded at all.
 *
 * @throws RefusedError when the platform's backup failed, what came is no dump, or it cannot be decoded to its end.
 */
export async function captureDatabase(
  toolbox: Toolbox,
  captures: Captures,
  options: CaptureOptions,
): Promise<DumpedDatabase> {
  const id = options.id ?? (await captured(captures, options))
  const database = await toolbox.database()
  const seen = await database.snapshot(() => description(database))
  const { file, found, dumpedBy } = await downloadInto(toolbox, captures, id, options)
  const serverVersion = await database.serverVersionNum()
  const by = found === undefined ? 'nothing' : 'decode'
  const { tables, ...schema } = { tables: [], ...(found && schemaThen(toolbox, seen, found)) }
  return { file, ...seen, ...schema, serverVersion, dumpedBy: dumpedBy ?? serverVersion, tables, by }
}

interface Found {
  tables: DecodedTable[]
  versions: string[]
}

/** The platform's backup may be older than a migration: its own versions count, and of its objects nothing is known. */
function schemaThen({ output }: Toolbox, now: Pick<Description, 'versions'>, { tables, versions }: Found) {
  if (versions.join() === [...now.versions].sort().join()) return { tables, versions }
  output.warn('The schema is another than when the platform made the backup: its objects cannot be compared later.')
  return { tables, versions, shape: {} }
}

/** Nobody will fetch one that the run does not wait for: it is cancelled. */
async function captured(captures: Captures, options: DumpOptions): Promise<string> {
  const seen: { uuid?: string } = {}
  try {
    return (await captures.capture(watchOf(options, seen))).id
  } catch (error) {
    if (options.stop?.aborted && seen.uuid !== undefined) await captures.cancel(seen.uuid).catch(() => undefined)
    throw error
  }
}

/** The looks at it come every few seconds: a stop takes effect at the next one. */
function watchOf({ onProgress, stop }: DumpOptions, seen: { uuid?: string }): TransferWatch {
  return {
    onProgress: ({ id, uuid, bytes, state }) => {
      if (state === 'running') seen.uuid = uuid
      stop?.throwIfAborted()
      onProgress?.(`${id}: ${Math.round(bytes / 1e6)} MB`)
    },
  }
}

/** The dump comes once: it is written, encrypted and decoded on the way. */
function downloadInto(toolbox: Toolbox, captures: Captures, id: string, options: DumpOptions) {
  const { dir, seal } = options
  const name = `database.dump${seal?.suffix ?? ''}`
  return attended('The download', options, async watch => {
    watch.signal.throwIfAborted()
    const source = new PassThrough()
    watch.signal.addEventListener('abort', () => source.destroy())
    const downloaded = captures.download(id, source)
    downloaded.catch(() => undefined)
    const head = await unlessAborted(Promise.race([headOf(source), failureOf(downloaded)]), watch.signal)
    const dumpedBy = dumperOf(head)
    const decode = await decodeOf(toolbox, dumpedBy)
    const sum = await written(source, join(dir, name), decode, { ...options, watch }).catch(async error => {
      throw await reasonOf(downloaded, error)
    })
    await downloaded
    const found = decode && (await unlessAborted(foundBy(decode), watch.signal))
    return { file: fileOf(name, sum, 'inside', seal), found, dumpedBy }
  })
}

async function foundBy(decode: Decoding): Promise<Found> {
  return { tables: await decode.tables(), versions: await decode.versions() }
}

async function written(
  source: PassThrough,
  path: string,
  decode: Decoding | undefined,
  { seal, bytesPerSecond, onProgress, watch }: DumpOptions & { watch: Attended },
): Promise<Written> {
  decode?.pipeline.ended.catch(reason => {
    if (!source.readableEnded) watch.giveUp(reason)
  })
  try {
    return await writeStream(source, path, {
      ...{ signal: watch.signal, onPiece: watch.heard },
      ...(decode ? { beside: decode.pipeline.run.stdin } : {}),
      ...(seal ? { through: [seal.stream()] } : {}),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      onProgress: bytes => onProgress?.(`${Math.round(bytes / 1e6)} MB`),
    })
  } catch (error) {
    decode?.pipeline.run.kill()
    throw error
  }
}

/** A stream that broke says less than the download that broke it. */
async function reasonOf(downloaded: Promise<number>, error: unknown): Promise<unknown> {
  return downloaded.then(
    () => error,
    (reason: unknown) => (reason instanceof OperatorError ? reason : error),
  )
}

function failureOf(work: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => work.catch(reject))
}

/** Returns the first bytes, which stay in the stream. */
async function headOf(source: PassThrough): Promise<Buffer> {
  let head = Buffer.alloc(0)
  while (head.length < HEAD_BYTES && !source.readableEnded) {
    const chunk = source.read() as Buffer | null
    if (chunk !== null) head = Buffer.concat([head, chunk])
    else if (source.writableFinished) break
    else await once(source, 'readable')
  }
  source.unshift(head)
  return head
}

/** Returns the version of pg_dump that the dump names; undefined where its header cannot be read. */
function dumperOf(head: Buffer): number | undefined {
  try {
    return versionIn(`(PostgreSQL) ${archiveHeader(head).dumpedBy}`)
  } catch {
    return undefined
  }
}

/** An older pg_restore cannot read what a newer pg_dump wrote. */
async function decodeOf(toolbox: Toolbox, dumpedBy: number | undefined): Promise<Decoding | undefined> {
  const found = await restorePrograms(toolbox)
  if (found === undefined || majorOf(found.equipment.version) < majorOf(dumpedBy ?? 0)) return undefined
  return openDecode(found.tools, found.equipment, false)
}

async function restorePrograms(toolbox: Toolbox): Promise<{ tools: PostgresTools; equipment: Equipment } | undefined> {
  const { backend } = toolbox
  try {
    const tools = await backend.postgres?.tools?.()
    if (tools === undefined) throw lacks(backend, 'postgres', 'pg_restore')
    return { tools, equipment: await equipmentOf(tools) }
  } catch (error) {
    refusedOnly(error)
    return undefined
  }
}
