import { RefusedError } from '../../errors.js'
import type { CreateParams } from '../../mastodon/catalogue/accounts.js'
import { FIND_ADMINISTRATOR_ROLE, hasRoleTable, LIST_ROLES, type RoleRow } from '../../mastodon/roles.js'
import type { Toolbox } from '../../toolbox.js'

/** A role as Mastodon's own command takes it. */
export interface ChosenRole {
  /** As the instance calls it. */
  name: string
  params: Pick<CreateParams, 'role' | 'roleName'>
}

/** What the highest role is called by everybody, also where it was renamed. */
const HIGHEST = 'owner'

/**
 * Returns the role of that name: from 4.0 on one of the instance's own, whatever the case; before, `admin` (or `owner`)
 * and `moderator`.
 *
 * @throws RefusedError naming the roles that there are.
 */
export async function chosenRole(toolbox: Toolbox, wanted: string): Promise<ChosenRole> {
  return hasRoleTable(await toolbox.app.version()) ? ofInstance(toolbox, wanted) : fixedRole(wanted)
}

function fixedRole(wanted: string): ChosenRole {
  const name = wanted.toLowerCase()
  if (name === 'admin' || name === HIGHEST) return { name: 'admin', params: { role: 'admin' } }
  if (name === 'moderator') return { name, params: { role: 'moderator' } }
  throw unknownRole(wanted, ['admin', 'moderator'])
}

async function ofInstance(toolbox: Toolbox, wanted: string): Promise<ChosenRole> {
  const database = await toolbox.database()
  const roles = await database.query<RoleRow>(LIST_ROLES.sql, LIST_ROLES.params)
  const alike = roles.filter(({ name }) => name.toLowerCase() === wanted.toLowerCase())
  const found = roles.find(({ name }) => name === wanted) ?? (alike.length === 1 ? alike[0] : undefined)
  const role = found ?? (wanted.toLowerCase() === HIGHEST ? await highest(toolbox) : undefined)
  if (role === undefined)
    throw unknownRole(
      wanted,
      roles.map(({ name }) => name),
    )
  // With `role` the name counts; which of the two it is makes no difference from 4.0 on.
  return { name: role.name, params: { role: 'admin', roleName: role.name } }
}

async function highest(toolbox: Toolbox): Promise<RoleRow | undefined> {
  const { sql, params } = FIND_ADMINISTRATOR_ROLE
  const [role] = await (await toolbox.database()).query<RoleRow>(sql, params)
  return role
}

function unknownRole(wanted: string, names: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'no-such-role',
    message: `This instance has no role "${wanted}".`,
    cause: names.length > 0 ? `There are: ${names.join(', ')}.` : 'It has no role at all.',
    next: names.length > 0 ? 'Give one of these names.' : 'mstdn-ops db:seed (it creates the default roles)',
  })
}
