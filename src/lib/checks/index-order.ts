import { messageOf } from '../errors.js'
import type { Database } from '../postgres/access.js'
import { sqlState } from '../postgres/problems.js'
import { quoteIdent } from '../postgres/quote.js'
import { plural, shellQuote } from '../text.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

/** The extension's function by which one index is read; the extension is never made. */
const FUNCTION = `SELECT n.nspname AS schema, has_function_privilege(p.oid, 'EXECUTE') AS may
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = 'bt_index_check' AND p.pronargs = 1
WHERE e.extname = 'amcheck'`

/** Bytes: reading a larger one is a load that nobody has asked for. */
const LARGEST = 1_073_741_824
const INDEXES = `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, pg_relation_size(c.oid) > ${LARGEST} AS large
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND i.indisready AND c.relpersistence = 'p' AND c.relkind = 'i'
  AND n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema'
ORDER BY pg_relation_size(c.oid), c.oid`

/** Milliseconds after which the rest is left out. */
const BUDGET_MS = 30_000
/** Index corrupted, data corrupted. */
const CORRUPT: readonly (string | undefined)[] = ['XX002', 'XX001']

interface Index {
  oid: string
  schema: string
  name: string
  large: boolean
}

/** A corrupt index lets duplicates in, and a unique one that a migration builds then fails. */
export const indexOrder: Check = {
  id: 'index-order',
  title: 'No index is corrupt, where amcheck is installed',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const database = await toolbox.database()
    const [check] = await database.query<{ schema: string; may: boolean }>(FUNCTION)
    if (check === undefined) return notApplicable('The extension amcheck is not installed.')
    if (!check.may) return notApplicable('The user of the app may not call amcheck.')
    const all = await database.query<Index>(INDEXES)
    return findingOf(all, await lookedAt(database, check.schema, all))
  },
}

interface Looked {
  sound: number
  corrupt: { index: Index; said: string } | undefined
}

async function lookedAt(database: Database, schema: string, all: readonly Index[]): Promise<Looked> {
  const deadline = Date.now() + BUDGET_MS
  let sound = 0
  for (const index of all) {
    if (index.large || Date.now() > deadline) break
    try {
      await database.query(`SELECT ${quoteIdent(schema)}.bt_index_check(${Number(index.oid)}::oid::regclass)`)
    } catch (error) {
      if (!CORRUPT.includes(sqlState(error))) throw error
      return { sound, corrupt: { index, said: messageOf(error) } }
    }
    sound += 1
  }
  return { sound, corrupt: undefined }
}

/** Returns how many were read, and why others were not. */
export function readText(all: readonly Pick<Index, 'large'>[], sound: number): string {
  const large = all.filter(index => index.large).length
  const late = all.length - large - sound
  const parts = [
    `${plural(sound, 'index', 'indexes')} read.`,
    ...(large === 0 ? [] : [`${plural(large, 'larger than 1 GiB was', 'larger than 1 GiB were')} not read.`]),
    ...(late === 0 ? [] : [`${plural(late, 'other was', 'others were')} not read within ${BUDGET_MS / 1_000} s.`]),
  ]
  return parts.join(' ')
}

function findingOf(all: readonly Pick<Index, 'large'>[], { sound, corrupt }: Looked) {
  if (corrupt === undefined) return ok(readText(all, sound))
  const { schema, name } = corrupt.index
  const statement = `REINDEX INDEX CONCURRENTLY ${quoteIdent(schema)}.${quoteIdent(name)}`
  return bad(`The index ${name} is corrupt. ${corrupt.said}`, `mstdn-ops db:psql --write -c ${shellQuote(statement)}`)
}
