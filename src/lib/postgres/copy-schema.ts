import { RefusedError } from '../errors.js'
import type { Database } from './access.js'
import type { Stage } from './pipeline.js'
import { quoteIdent } from './quote.js'
import { shapeDifferences, shapeOf } from './shape.js'
import { restoreStage } from './toc.js'

/** Returns the program that dumps everything but rows of the instance's database. */
export function schemaDump(): Stage {
  return { name: 'pg_dump', words: ['pg_dump', '-Fc', '-Z0', '--schema-only', '--no-password'] }
}

/** Returns the programs that make the same in another database of its server, which is empty. */
export function schemaStages(to: string): Stage[] {
  return [schemaDump(), restoreStage(['-d', to], undefined)]
}

/** @throws RefusedError when the second database has not the tables, functions and indexes of the first. */
export async function mustHaveSameShape(from: Database, to: Database): Promise<void> {
  const [first, ...others] = shapeDifferences(await shapeOf(from), await shapeOf(to))
  if (first === undefined) return
  throw new RefusedError({
    code: 'other-schema',
    message: `The database ${to.name} is not made as ${from.name} is.`,
    cause: others.length === 0 ? `${first}.` : `${first}, and ${others.length} more.`,
  })
}

/** Those that others are made of are older. */
const VIEWS = `SELECT c.relname::text AS name FROM pg_class c
WHERE c.relkind = 'm' AND c.relnamespace = current_schema()::regnamespace ORDER BY c.oid`

/** Fills the materialized views: made without rows, they refuse to be read. */
export async function fillViews(database: Database): Promise<void> {
  for (const { name } of await database.query<{ name: string }>(VIEWS)) {
    await database.write(`REFRESH MATERIALIZED VIEW ${quoteIdent(name)}`)
  }
}
