import { text } from 'node:stream/consumers'
import type { PostgresConnector, PostgresTools } from '../backends/backend.js'
import { lacks } from '../open-toolbox.js'
import { type Database, openDatabase } from '../postgres/access.js'
import { openPipeline, type Stage } from '../postgres/pipeline.js'
import { quoteIdent } from '../postgres/quote.js'
import { type OnUnseen, whileRoom } from '../postgres/room.js'
import { type Shape, shapeDifferences, shapeOf } from '../postgres/shape.js'
import { countRows } from '../postgres/snapshot.js'
import { listStages, restorableIds, restoreStage } from '../postgres/toc.js'
import type { Toolbox } from '../toolbox.js'
import { pouredLine, restoreWords } from './by-hand.js'
import { dumpTools } from './database.js'
import type { DatabaseTraits, TableCount } from './manifest.js'
import { type DumpSource, differingCount, type Feeding, feed } from './verify.js'

/**
 * Restores a dump into an empty database of the instance's server, as {@link whileRoom} lets it.
 *
 * @throws RefusedError at the first error; the reason of `stop`, when the database is left as it is then.
 */
export async function restoreInto(
  toolbox: Toolbox,
  source: DumpSource,
  database: string,
  { onUnseen, ...feeding }: Feeding & { onUnseen: OnUnseen },
): Promise<void> {
  const { tools } = await dumpTools(toolbox)
  const pouring = { database, stage: restoreStage(['-d', database], undefined), feeding }
  await whileRoom(toolbox, database, () => pour(tools, source, pouring), onUnseen)
}

/** Returns the line by which an operator would do it. */
export function restoreLine(toolbox: Toolbox, source: DumpSource, database: string): string {
  return `${lineFor(source, restoreWords(database))}   # in ${toolbox.backend.postgres?.where}`
}

/** Returns the line for a database whose owner is another role, to which all of it is to belong. */
export function restoreForLine(source: DumpSource, { database, role }: { database: string; role: string }): string {
  return lineFor(source, [...restoreWords(database), `--role=${role}`])
}

/** Returns the line for a database whose owner may make no other. */
export function restoreThroughLine(source: DumpSource, database: string): string {
  const listed = 'what pg_restore -l lists, without extensions that are there, their comments and the schema public'
  return `${lineFor(source, [...restoreWords(database), '-L', 'LIST'])}   # LIST: ${listed}`
}

function lineFor({ path, zstd, unseal }: DumpSource, words: string[]): string {
  return pouredLine({ path, encrypted: unseal !== undefined, packing: zstd ? 'zstd' : 'none' }, words)
}

/**
 * Restores a dump into a database whose owner may make no other, and leaves out what only a superuser could restore. What
 * a killed restore of the same dump left there is dropped first.
 *
 * @throws RefusedError at the first error.
 */
export async function restoreThrough(
  toolbox: Toolbox,
  connector: PostgresConnector,
  source: DumpSource,
  feeding: Feeding = {},
): Promise<void> {
  if (connector.tools === undefined) throw lacks(toolbox.backend, 'postgres', 'pg_restore')
  const tools = await connector.tools()
  const { database } = await connector.target()
  const { extensions, isEmpty } = await stateThere(toolbox, connector)
  const ids = restorableIds(await contentsOf(tools, source), extensions)
  const clean = isEmpty ? [] : ['--clean', '--if-exists']
  await pour(tools, source, { database, stage: restoreStage([...clean, '-d', database], ids), feeding })
}

/**
 * Restores a dump into an empty database so that all of it belongs to the role that owns the database, who need be no
 * superuser. Extensions are made before, by whom the instance itself is.
 *
 * @throws RefusedError at the first error; the reason of `stop`.
 */
export async function restoreFor(
  toolbox: Toolbox,
  source: DumpSource,
  to: { database: string; role: string; extensions: readonly DatabaseTraits['extensions'][number][] },
  { onUnseen, ...feeding }: Feeding & { onUnseen: OnUnseen },
): Promise<void> {
  const { database, role, extensions } = to
  const { tools } = await dumpTools(toolbox)
  const there = await makeExtensions(toolbox, database, extensions)
  const ids = restorableIds(await contentsOf(tools, source), there)
  const pouring = { database, stage: restoreStage([`--role=${role}`, '-d', database], ids), feeding }
  await whileRoom(toolbox, database, () => pour(tools, source, pouring), onUnseen)
}

/** Returns the names of all that are there then. */
async function makeExtensions(
  toolbox: Toolbox,
  name: string,
  wanted: readonly DatabaseTraits['extensions'][number][],
): Promise<string[]> {
  const database = await openOther(toolbox, name, 'extensions')
  try {
    // In a schema of its own it comes with that: from the dump.
    const usual = wanted.filter(({ schema }) => schema === 'public' || schema.startsWith('pg_'))
    for (const { name: extension } of usual) {
      await database.write(`CREATE EXTENSION IF NOT EXISTS ${quoteIdent(extension)}`)
    }
    const rows = await database.query<{ name: string }>('SELECT extname::text AS name FROM pg_extension')
    return rows.map(({ name: found }) => found)
  } finally {
    await database.close()
  }
}

interface Pouring {
  database: string
  stage: Stage
  feeding: Feeding
}

async function pour(tools: PostgresTools, source: DumpSource, { database, stage, feeding }: Pouring): Promise<void> {
  const stages = [...(source.zstd ? [{ name: 'zstd', words: ['zstd', '-dc', '-q'] }] : []), stage]
  const pipeline = await openPipeline(tools, stages, { what: 'pg_restore', effect: 'write', fed: true, database })
  await feed(source, pipeline, feeding)
}

/** Returns a dump's table of contents, as pg_restore prints it. */
export async function contentsOf(tools: PostgresTools, source: DumpSource): Promise<string> {
  const pipeline = await openPipeline(tools, listStages(source.zstd), { what: 'pg_restore', effect: 'read', fed: true })
  const printed = text(pipeline.run.stdout)
  await feed(source, pipeline)
  return printed
}

/** Returns what is in the database behind the connector: its extensions, and whether there is nothing else. */
export async function stateThere(toolbox: Toolbox, connector: PostgresConnector) {
  const database = await openThrough(toolbox, connector, 'look')
  try {
    const extensions = await database.query<{ name: string }>('SELECT extname::text AS name FROM pg_extension')
    return { extensions: extensions.map(({ name }) => name), isEmpty: await holdsNothing(database) }
  } finally {
    await database.close()
  }
}

/** Whether there is no table, view or sequence in the database, besides what belongs to extensions. */
export async function holdsNothing(database: Database): Promise<boolean> {
  const [found] = await database.query<{ some: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d
         WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')) AS some`,
  )
  return found?.some === false
}

/** What a restored database must be. */
export interface Expected {
  /** Undefined where nobody has counted them. */
  tables: readonly TableCount[] | undefined
  /** Empty or absent where nobody knows it. */
  shape?: Shape
}

/** Returns in words what a restored database lacks or has differently; nothing where it is the same. */
export async function differencesIn(toolbox: Toolbox, name: string, expected: Expected): Promise<string[]> {
  const database = await openOther(toolbox, name, 'compare')
  return differencesOf(database, expected).finally(() => database.close())
}

/** Returns the same of the database that the session is in. */
export function differencesOf(database: Database, expected: Expected): Promise<string[]> {
  return database.snapshot(async () => {
    const count = differingCount(expected.tables, await countRows(database))
    const { shape: known = {} } = expected
    const shape = Object.keys(known).length > 0 ? shapeDifferences(known, await shapeOf(database)) : []
    return [...(count === undefined ? [] : [count]), ...shape]
  })
}

/** Opens a session in another database of the instance's server. */
export function openOther({ backend, ledger, dryRun }: Toolbox, database: string, purpose: string): Promise<Database> {
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  return openDatabase(backend.postgres, { ledger, dryRun, database, purpose })
}

/** Opens a session by a connector that is not the instance's own. */
export function openThrough(
  { ledger, dryRun }: Pick<Toolbox, 'ledger' | 'dryRun'>,
  connector: PostgresConnector,
  purpose: string,
): Promise<Database> {
  return openDatabase(connector, { ledger, dryRun, purpose })
}
