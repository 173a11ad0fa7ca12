import { RefusedError } from '../../errors.js'
import { quoteLiteral } from '../../postgres/quote.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'

/** Of extensions it is theirs to be changed. */
const NOT_OURS = `SELECT c.relname::text AS name, n.nspname::text AS schema, pg_get_userbyid(c.relowner)::text AS owner,
  current_user::text AS app
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') ORDER BY 3, 1`

interface Table {
  name: string
  schema: string
  owner: string
  app: string
}

/**
 * Refuses where the app's user does not own its tables, as after a restore as another user: a migration would end with
 * "must be owner of", and a rehearsal, whose role owns all, would not see it.
 */
export async function refuseOwners(toolbox: Toolbox): Promise<void> {
  if (toolbox.backend.postgres === undefined) return
  const tables = await (await toolbox.database()).query<Table>(NOT_OURS)
  const [first] = tables
  if (first === undefined) return
  const others = tables.filter(({ owner }) => owner === first.owner).map(({ name }) => name)
  throw new RefusedError({
    code: 'not-owner',
    message: `${plural(others.length, 'table belongs', 'tables belong')} to ${first.owner}: ${first.app} cannot migrate what it does not own.`,
    cause: `Such as ${others.slice(0, 5).join(', ')}.`,
    next: `In psql as a superuser, in this database: ${ownedLine(first)}`,
  })
}

/** `REASSIGN OWNED` takes nothing from the superuser that made the server, and gives away other databases of a role. */
function ownedLine({ schema, owner, app }: Table): string {
  const change = `SELECT format('ALTER TABLE %s OWNER TO %I', oid::regclass, ${quoteLiteral(app)}) FROM pg_class`
  const which = `pg_get_userbyid(relowner) = ${quoteLiteral(owner)} AND relkind IN ('r', 'p', 'v', 'm')`
  return `${change} WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${quoteLiteral(schema)}) AND ${which} \\gexec`
}
