import { quoteIdent } from '../postgres/quote.js'
import { plural, shellQuote } from '../text.js'
import { bad, type Check, notHere, ok } from './check.js'

const INVALID = `SELECT n.nspname AS schema, c.relname AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname NOT LIKE 'pg_%'
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY 1, 2`

/** Before PostgreSQL 12 nothing tells which index is being made right now. */
const INVALID_BEFORE_12 = INVALID.replace(/\n {2}AND NOT EXISTS .*/, '')

/** A migration that was cut off leaves such an index: it is kept up on every write and used for none. */
export const indexes: Check = {
  id: 'indexes',
  title: 'Every index is valid',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const database = await toolbox.database()
    const sql = (await database.serverVersionNum()) < 120_000 ? INVALID_BEFORE_12 : INVALID
    const found = await database.query<{ schema: string; name: string }>(sql)
    const [first] = found
    if (first === undefined) return ok('All of them are.')
    const names = found.map(({ name }) => name).join(', ')
    const statement = `REINDEX INDEX CONCURRENTLY ${quoteIdent(first.schema)}.${quoteIdent(first.name)}`
    const fix = `mstdn-ops db:psql --write -c ${shellQuote(statement)} (an index that ends in _ccnew is dropped instead)`
    return bad(`${plural(found.length, 'index is', 'indexes are')} invalid: ${names}.`, fix)
  },
}
