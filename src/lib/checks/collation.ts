import { quoteIdent } from '../postgres/quote.js'
import { shellQuote } from '../text.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

const VERSIONS = `SELECT datname AS name, datcollversion AS made, pg_database_collation_actual_version(oid) AS now
FROM pg_database WHERE datname = current_database()`

/** A system that sorts text otherwise than the one that made the indexes looks for rows where they are not. */
export const collation: Check = {
  id: 'collation',
  title: 'Text is sorted as when the indexes were made',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const database = await toolbox.database()
    if ((await database.serverVersionNum()) < 150_000) return notApplicable('PostgreSQL tells that from 15 on.')
    const [found] = await database.query<{ name: string; made: string | null; now: string | null }>(VERSIONS)
    if (found === undefined || found.made === null || found.now === null)
      return notApplicable('The system’s sorting has no version.')
    const { name, made, now } = found
    if (made === now) return ok(`By the collation of version ${made}.`)
    const line = (sql: string) => `mstdn-ops db:psql --write -c ${shellQuote(sql)}`
    const fix = [`REINDEX DATABASE ${quoteIdent(name)}`, `ALTER DATABASE ${quoteIdent(name)} REFRESH COLLATION VERSION`]
    return bad(
      `The database was made with version ${made} of its collation, and the system has ${now}: indexes of text may miss rows.`,
      `While nothing runs: ${fix.map(line).join(', then ')}`,
    )
  },
}
