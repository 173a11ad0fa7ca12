import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PostgresConnector, PostgresTools } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import { decodedTables, decodeStages, toStdout } from '../../postgres/dump.js'
import { type Equipment, openPipeline, type Pipeline, type Stage } from '../../postgres/pipeline.js'
import { listStages, restorableIds, restoreStage } from '../../postgres/toc.js'
import type { Toolbox } from '../../toolbox.js'
import { type PackedDump, pouredLine, restoreWords } from '../by-hand.js'
import { dumpTools } from '../database.js'
import { decryptWith } from '../encryption.js'
import type { TableCount } from '../manifest.js'
import { stateThere } from '../restore-into.js'
import { fed } from '../verify.js'
import { type CustomDump, recognise, type SqlDump, versionNumber } from './recognise.js'
import { type DumpSource, fileSource, headOf, isEncrypted } from './source.js'
import { mastodonOf, sqlOf, survey, surveyOf } from './sql.js'
import { unpacked } from './unpack.js'

/** A dump that somebody else made, read once to its end. */
export interface ForeignDump {
  path: string
  /** In words: `custom format by pg_dump 15.18`. */
  about: string
  bytes: number
  tables: TableCount[]
  /** The versions in schema_migrations. */
  versions: string[]
  /** Its rows as SQL, where it is plain. */
  sql?: () => Promise<Readable>
  /** The line by which an operator would restore it into a database. */
  line(database: string): string
  /** Restores it into a new and empty database. @throws RefusedError at the first error. */
  into(database: string, onProgress?: (bytes: number) => void): Promise<void>
  /**
   * Restores it into a database whose owner may make no other, over what a killed restore of it has left there.
   *
   * @throws RefusedError at the first error.
   */
  through(connector: PostgresConnector, onProgress?: (bytes: number) => void): Promise<void>
}

/** Reads a dump to its end. @throws RefusedError for what is damaged, cut, or none of Mastodon's. */
export async function openForeign(toolbox: Toolbox, path: string, identity: string | undefined): Promise<ForeignDump> {
  const unseal = identity === undefined ? undefined : await decryptWith(identity)
  const source = fileSource(path, unseal && (encrypted => encrypted.pipe(unseal.stream())))
  const kind = await recognise(source, toolbox.runner)
  const encrypted = unseal !== undefined && isEncrypted(await headOf(fileSource(path), 64))
  const packed = { path, encrypted, packing: kind.packing }
  return kind.format === 'custom' ? openCustom(toolbox, source, kind, packed) : openSql(toolbox, source, kind, packed)
}

async function openCustom(
  toolbox: Toolbox,
  whole: DumpSource,
  kind: CustomDump,
  packed: PackedDump,
): Promise<ForeignDump> {
  const { path } = packed
  const source = unpacked(whole, kind.packing, toolbox.runner)
  const { tools, equipment } = await dumpTools(toolbox)
  refuseNewer(path, kind, equipment.version)
  const through = async (stages: readonly Stage[], what: string) => {
    const started = await openPipeline(tools, stages, { what, effect: 'read', fed: true })
    return { started, sent: send(source, started) }
  }
  const counting = await through(decodeStages(false, equipment), 'pg_restore')
  const tables = decodedTables(await printed(counting))
  if (tables === undefined) throw new RefusedError({ code: 'dump-not-whole', message: `${path} is cut off.` })
  const versions = await through([versionsStage(equipment)], 'pg_restore')
  const [part] = await surveyOf(versions.started.run.stdout, { path, cluster: false })
  await versions.sent
  return {
    ...{ path, about: `custom format by pg_dump ${kind.header.dumpedBy}`, bytes: await sizeOf(path), tables },
    versions: part?.versions ?? [],
    line: database => pouredLine(packed, restoreWords(database)),
    into: async (database, onProgress) => {
      const stage = restoreStage(['-d', database], undefined)
      await pour(await toolsOf(toolbox, toolbox.backend.postgres), source, { stage, database, onProgress })
    },
    through: async (connector, onProgress) => {
      const own = await toolsOf(toolbox, connector)
      const { database } = await connector.target()
      const { extensions, isEmpty } = await stateThere(toolbox, connector)
      const ids = restorableIds(await contentsOf(own, source), extensions)
      const clean = isEmpty ? [] : ['--clean', '--if-exists']
      await pour(own, source, { stage: restoreStage([...clean, '-d', database], ids), database, onProgress })
    },
  }
}

async function contentsOf(tools: PostgresTools, source: DumpSource): Promise<string> {
  const started = await openPipeline(tools, listStages(false), { what: 'pg_restore', effect: 'read', fed: true })
  return printed({ started, sent: send(source, started) })
}

function versionsStage(equipment: Equipment): Stage {
  const table = ['--schema=public', '--table=schema_migrations']
  return { name: 'pg_restore', words: ['pg_restore', ...table, ...toStdout(equipment)] }
}

/** A pg_restore reads dumps of its own age and older ones. */
function refuseNewer(path: string, { header }: CustomDump, program: number): void {
  const dumpedBy = versionNumber(header.dumpedBy)
  if (dumpedBy === undefined || Math.floor(dumpedBy / 10_000) <= Math.floor(program / 10_000)) return
  throw new RefusedError({
    code: 'dump-too-new',
    message: `${path} was made by pg_dump ${header.dumpedBy}, the programs at hand are of ${Math.floor(program / 10_000)}.`,
    cause: 'An older pg_restore does not read it, and an older server may not understand it.',
    next: `Let the server be of PostgreSQL ${Math.floor(dumpedBy / 10_000)}, then run the command again.`,
  })
}

async function openSql(toolbox: Toolbox, source: DumpSource, kind: SqlDump, packed: PackedDump): Promise<ForeignDump> {
  const { path } = source
  const parts = await survey(source, kind, toolbox.runner)
  const part = mastodonOf(path, parts)
  const sql = () => sqlOf(source, kind, { database: part.database, runner: toolbox.runner })
  const about = `SQL${kind.cluster ? ' of a whole server' : ''}${kind.dumpedBy ? ` by pg_dump ${kind.dumpedBy}` : ''}`
  return {
    ...{ path, about, bytes: await sizeOf(path), tables: part.tables, versions: part.versions, sql },
    line: database => sqlLine(packed, kind, part.database, database),
    into: async (database, onProgress) => {
      const tools = await toolsOf(toolbox, toolbox.backend.postgres)
      await pour(tools, { path, open: sql }, { stage: PSQL, database, onProgress })
    },
    through: async (connector, onProgress) => {
      const { database } = await connector.target()
      // It came in one transaction: what a killed restore left is all of it, or nothing.
      if (!(await stateThere(toolbox, connector)).isEmpty) return
      await pour(await toolsOf(toolbox, connector), { path, open: sql }, { stage: PSQL, database, onProgress })
    },
  }
}

/** Of a whole server's dump the operator cuts the part out. */
function sqlLine(packed: PackedDump, { cluster, terminal }: SqlDump, part: string | undefined, database: string) {
  const psql = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database]
  const line = pouredLine(packed, ...(terminal ? [['sed', 's/\\r$//']] : []), psql)
  return cluster && part !== undefined ? `${line}   # only the part after \\connect ${part}` : line
}

/** Never `-1`: the stream commits by itself, once it was seen to be whole. */
const PSQL: Stage = { name: 'psql', words: ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null'] }

interface Pouring {
  stage: Stage
  database: string
  onProgress: ((bytes: number) => void) | undefined
}

async function toolsOf({ backend }: Toolbox, connector: PostgresConnector | undefined): Promise<PostgresTools> {
  const tools = await connector?.tools?.()
  if (tools === undefined) throw lacks(backend, 'postgres', 'pg_restore')
  return tools
}

async function pour(tools: PostgresTools, source: DumpSource, { stage, database, onProgress }: Pouring): Promise<void> {
  const started = await openPipeline(tools, [stage], { what: stage.name, effect: 'write', fed: true, database })
  started.run.stdout.resume()
  await send(source, started, onProgress)
}

async function send(source: DumpSource, into: Pipeline, onProgress?: (bytes: number) => void): Promise<void> {
  const bytes = await source.open()
  let sent = 0
  if (onProgress)
    bytes.on('data', (chunk: Buffer) => {
      sent += chunk.length
      onProgress(sent)
    })
  await fed(pipeline(bytes, into.run.stdin), into)
}

async function printed({ started, sent }: { started: Pipeline; sent: Promise<void> }): Promise<string> {
  sent.catch(() => undefined)
  let text = ''
  for await (const chunk of started.run.stdout.setEncoding('utf8')) text += chunk
  await sent
  return text
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size
}
