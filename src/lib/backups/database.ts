import { join } from 'node:path'
import type { PostgresTools } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import { lacks } from '../open-toolbox.js'
import { type Database, openDatabase } from '../postgres/access.js'
import {
  compressionOf,
  type DecodedTable,
  decodedTables,
  decodedVersions,
  decodeStages,
  dumpName,
  dumpStages,
} from '../postgres/dump.js'
import { type Equipment, equipmentOf, openPipeline, type Pipeline } from '../postgres/pipeline.js'
import type { Shape } from '../postgres/shape.js'
import { withSnapshot } from '../postgres/snapshot.js'
import type { Toolbox } from '../toolbox.js'
import { type Attended, type Attention, attended, unlessAborted } from './attended.js'
import type { BackupFile, DatabaseTraits, Manifest, TableCount } from './manifest.js'
import { type Sealing, type Written, writeStream } from './sink.js'

/** The database in a backup, and what was seen of it: in the snapshot that the dump read, where there was one. */
export interface DumpedDatabase {
  file: BackupFile
  traits: DatabaseTraits
  serverVersion: number
  dumpedBy: number
  shape: Shape
  versions: string[]
  tables: TableCount[]
  /** By what the rows were counted. */
  by: Manifest['counts']['by']
}

export interface DumpOptions extends Attention {
  dir: string
  seal?: Sealing
  bytesPerSecond?: number
  onProgress?: (text: string) => void
}

/** Returns the place of PostgreSQL's programs and what is there. @throws RefusedError where they cannot do it. */
export async function dumpTools(toolbox: Toolbox): Promise<{ tools: PostgresTools; equipment: Equipment }> {
  const { backend } = toolbox
  const tools = await backend.postgres?.tools?.()
  if (tools === undefined) throw lacks(backend, 'postgres', 'pg_dump')
  const equipment = await equipmentOf(tools)
  const server = await (await toolbox.database()).serverVersionNum()
  if (majorOf(equipment.version) < majorOf(server)) throw tooOld(tools, equipment.version, server)
  return { tools, equipment }
}

/**
 * Dumps the database into the folder. What is written is decoded whole on the way, and each table's rows are counted
 * twice: by the server in the snapshot that the dump reads, and in the decoded rows.
 *
 * @throws RefusedError when a program failed, complained or hangs, or the two counts differ; the reason of `stop`.
 */
export async function dumpDatabase(toolbox: Toolbox, options: DumpOptions): Promise<DumpedDatabase> {
  const { tools, equipment } = await dumpTools(toolbox)
  const failed = new AbortController()
  const signals = [failed.signal, ...(options.stop ? [options.stop] : [])]
  const database = await ownSession(toolbox, AbortSignal.any(signals))
  try {
    refusePooler(database)
    return await withSnapshot(database, async snapshot => {
      await tellLargeObjects(toolbox, database)
      // A count that is begun after the stop would not hear of it.
      options.stop?.throwIfAborted()
      const counting = snapshot.counts()
      counting.catch(() => undefined)
      const { file, decoded } = await dumpInto(tools, equipment, snapshot.id, options).catch(error => {
        // The count of one large table may take as long as the dump of it.
        failed.abort()
        throw error
      })
      const tables = await unlessAborted(counting, options.stop)
      compareCounts(tables, decoded)
      const { traits, shape, versions } = snapshot
      const serverVersion = await database.serverVersionNum()
      const by = 'snapshot and decode'
      return { file, traits, serverVersion, dumpedBy: equipment.version, shape, versions, tables, by }
    })
  } catch (error) {
    // A statement that was cancelled tells of itself alone.
    throw options.stop?.aborted ? options.stop.reason : error
  } finally {
    await database.close()
  }
}

/** pg_dump takes them along, and nothing of theirs is counted or compared. */
async function tellLargeObjects({ output }: Toolbox, database: Database): Promise<void> {
  const [row] = await database.query<{ some: boolean }>('SELECT EXISTS (SELECT FROM pg_largeobject_metadata) AS some')
  if (row?.some)
    output.warn('The database holds large objects, which no Mastodon makes: they are dumped, and not counted.')
}

/** A session of its own: the toolbox's is free for other questions meanwhile. */
function ownSession(toolbox: Toolbox, signal: AbortSignal): Promise<Database> {
  const { backend, ledger } = toolbox
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  return openDatabase(backend.postgres, { ledger, dryRun: false, purpose: 'backup', signal })
}

async function dumpInto(tools: PostgresTools, equipment: Equipment, snapshot: string, options: DumpOptions) {
  const compression = compressionOf(equipment)
  const { seal, dir, onProgress, bytesPerSecond } = options
  const name = `${dumpName(compression)}${seal?.suffix ?? ''}`
  const dump = await openPipeline(tools, dumpStages(compression, snapshot, equipment), {
    what: 'pg_dump',
    effect: 'read',
  })
  const decode = await openDecode(tools, equipment, compression === 'zstd')
  const sum = await together(dump, decode, options, ({ signal, heard }) =>
    writeStream(dump.run.stdout, join(dir, name), {
      ...{ signal, onPiece: heard },
      beside: decode.pipeline.run.stdin,
      ...(seal ? { through: [seal.stream()] } : {}),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      onProgress: bytes => onProgress?.(`${Math.round(bytes / 1e6)} MB`),
    }),
  )
  return { file: fileOf(name, sum, compression === 'zstd' ? 'zstd' : 'inside', seal), decoded: await decode.tables() }
}

export function fileOf(name: string, sum: Written, compression: BackupFile['compression'], seal: Sealing | undefined) {
  return { name, part: 'database', ...sum, encrypted: seal !== undefined, compression } satisfies BackupFile
}

/** A dump that is being decoded. */
export interface Decoding {
  pipeline: Pipeline
  /** @throws RefusedError when it cannot be read to its end. */
  tables(): Promise<DecodedTable[]>
  /** The migrations that the dumped database has had; asked for after the tables. */
  versions(): Promise<string[]>
}

/** Starts the programs that decode a dump from their standard input. */
export async function openDecode(tools: PostgresTools, equipment: Equipment, zstd: boolean): Promise<Decoding> {
  const stages = decodeStages(zstd, equipment)
  const pipeline = await openPipeline(tools, stages, { what: 'pg_restore', effect: 'read', fed: true })
  const printed = textFrom(pipeline)
  printed.catch(() => undefined)
  return {
    pipeline,
    tables: async () => {
      await pipeline.ended
      const tables = decodedTables(await printed)
      if (tables === undefined) throw notWhole()
      return tables
    },
    versions: async () => decodedVersions(await printed),
  }
}

async function textFrom({ run }: Pipeline): Promise<string> {
  let text = ''
  for await (const chunk of run.stdout.setEncoding('utf8')) text += chunk
  return text
}

/**
 * When one of them fails the others are ended; what is thrown is the reason, not the broken pipe that came of it. A dump
 * that nobody can decode is not waited for.
 */
function together(
  dump: Pipeline,
  decode: Decoding,
  attention: Attention,
  write: (attended: Attended) => Promise<Written>,
): Promise<Written> {
  return attended('The dump', attention, async watch => {
    decode.pipeline.ended.catch(reason => {
      // One that came to its end tells better what was wrong with it.
      if (!dump.run.stdout.readableEnded) watch.giveUp(reason)
    })
    try {
      const sum = await write(watch)
      watch.heard()
      await unlessAborted(dump.ended, watch.signal)
      await unlessAborted(decode.pipeline.ended, watch.signal)
      return sum
    } catch (error) {
      dump.run.kill()
      decode.pipeline.run.kill()
      throw error
    }
  })
}

function compareCounts(counted: readonly TableCount[], decoded: readonly DecodedTable[]): void {
  const seen = new Map(decoded.map(({ schema, table, rows }) => [`${schema}.${table}`, rows]))
  for (const { schema, table, rows } of counted) {
    const found = seen.get(`${schema}.${table}`)
    if (found !== rows) throw countsDiffer(`${schema}.${table}`, rows, found)
    seen.delete(`${schema}.${table}`)
  }
  const [extra] = seen
  if (extra) throw countsDiffer(extra[0], undefined, extra[1])
}

function countsDiffer(table: string, counted: number | undefined, decoded: number | undefined): RefusedError {
  return new RefusedError({
    code: 'counts-differ',
    message: `The dump does not hold what the database holds: ${table}.`,
    cause: `The server counted ${counted ?? 'no such table'}, the dump holds ${decoded ?? 'no such table'}.`,
  })
}

function notWhole(): RefusedError {
  return new RefusedError({
    code: 'dump-not-whole',
    message: 'The dump could not be decoded to its end.',
    cause: 'It is cut off inside of a table.',
  })
}

function refusePooler(database: Database): void {
  if (!database.pooled) return
  throw new RefusedError({
    code: 'pooler-in-the-way',
    message: `No consistent backup can be made through the pooler that stands before ${database.where}.`,
    cause: 'A snapshot lives as long as its session, which a pooler gives to others.',
    next: 'Let the app’s DATABASE_URL (or DB_HOST and DB_PORT) lead to PostgreSQL itself, or work with backend direct.',
  })
}

/** `10.4` is major 10, `9.6.1` is 9.6. */
export function majorOf(version: number): number {
  return version >= 100_000 ? Math.floor(version / 10_000) : Math.floor(version / 100) / 100
}

function tooOld(tools: PostgresTools, client: number, server: number): RefusedError {
  return new RefusedError({
    code: 'client-too-old',
    message: `pg_dump in ${tools.where} is of PostgreSQL ${majorOf(client)}, the server of ${majorOf(server)}.`,
    cause: 'A client that is older than the server is refused by it.',
    next: `Install the client programs of PostgreSQL ${majorOf(server)}.`,
  })
}
