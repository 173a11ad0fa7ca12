import { RefusedError } from '../../errors.js'
import {
  FIND_ADMINISTRATOR_ROLE,
  hasRoleTable,
  type RoleRow,
  readRole,
  roleColumns,
  type StaffRow,
} from '../../mastodon/roles.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { saying } from './outcome.js'
import { theUser } from './user.js'

export interface MakeAdminOptions {
  /** The local name or the e-mail address. */
  user: string
}

export interface MakeAdminResult {
  username: string
  /** The role's own name from Mastodon 4.0 on; `admin` before. */
  role: string
}

/**
 * Makes a user an administrator with the app's own command, and believes it only when the database shows it: several
 * versions exit 0 on failure, and a wrong role name demotes in silence up to 3.4 (lib/mastodon/accounts_cli.rb).
 */
export const makeAdmin: Runbook<MakeAdminOptions, MakeAdminResult> = {
  name: 'accounts:make-admin',
  check: async (toolbox, { user }) => {
    toolbox.app.oneOff()
    await theUser(toolbox, user)
    await toolbox.app.command('accounts.makeAdmin', { username: user })
    await administratorRole(toolbox)
  },
  steps: async (_toolbox, { user }) => [promoteStep(user)],
  result: async (toolbox, { user }) => {
    const found = await theUser(toolbox, user)
    const staff = await staffOf(toolbox, found.id)
    return { username: found.username, role: staff.role ?? 'admin' }
  },
}

function promoteStep(user: string): Step {
  return {
    id: 'promote',
    title: `Make ${user} an administrator`,
    effect: 'write',
    needed: async ({ toolbox }) => ((await isAdministrator(toolbox, user)) ? 'is one already' : true),
    done: ({ toolbox }) => isAdministrator(toolbox, user),
    run: context => promote(context, user),
    undo: context => putRoleBack(context, user),
  }
}

async function promote(context: StepContext, user: string): Promise<void> {
  const { toolbox } = context
  const { id, username } = await theUser(toolbox, user)
  await context.note('formerRole', JSON.stringify(await formerRole(toolbox, id)))
  const roleName = (await administratorRole(toolbox))?.name
  const outcome = await toolbox.app.run(
    'accounts.makeAdmin',
    { username, ...(roleName === undefined ? {} : { roleName }) },
    { effect: 'write' },
  )
  if (context.dryRun || (await isAdministrator(toolbox, user))) return
  throw new RefusedError({
    code: 'not-promoted',
    message: `${username} is no administrator after Mastodon's own command.`,
    cause: saying(outcome),
    next: 'See what Mastodon said, then run the command again.',
  })
}

/** The role as it was, column by column, since Mastodon's own command cannot restore every one. */
async function putRoleBack(context: StepContext, user: string): Promise<void> {
  const former = context.noted('formerRole')
  if (former === undefined) return
  const { toolbox } = context
  const { id } = await theUser(toolbox, user)
  const columns = JSON.parse(former) as Record<string, unknown>
  const database = await toolbox.database()
  const names = Object.keys(columns)
  const assignments = names.map((name, at) => `${name} = $${at + 2}`).join(', ')
  await database.write(`UPDATE users SET ${assignments} WHERE id = $1`, [id, ...names.map(name => columns[name])])
}

async function formerRole(toolbox: Toolbox, id: string): Promise<object> {
  const columns = roleColumns(await toolbox.app.version())
  const [row] = await (await toolbox.database()).query(`SELECT ${columns} FROM users WHERE id = $1`, [id])
  return row ?? {}
}

async function isAdministrator(toolbox: Toolbox, user: string): Promise<boolean> {
  return (await staffOf(toolbox, (await theUser(toolbox, user)).id)).administrator
}

/** Returns the rights of the user with the id. */
export async function staffOf(toolbox: Toolbox, id: string): Promise<StaffRow> {
  const { sql, params } = readRole(await toolbox.app.version(), id)
  const [row] = await (await toolbox.database()).query<StaffRow>(sql, params)
  return row ?? { administrator: false, moderator: false, role: null, position: null }
}

/** Returns the role that allows everything, whatever it is called here; undefined before 4.0, where roles have fixed names. */
async function administratorRole(toolbox: Toolbox): Promise<RoleRow | undefined> {
  if (!hasRoleTable(await toolbox.app.version())) return undefined
  const [role] = await (await toolbox.database()).query<RoleRow>(
    FIND_ADMINISTRATOR_ROLE.sql,
    FIND_ADMINISTRATOR_ROLE.params,
  )
  if (role) return role
  throw new RefusedError({
    code: 'no-administrator-role',
    message: 'This instance has no role that allows everything.',
    cause: 'user_roles has no row with the administrator permission.',
    next: 'mstdn-ops db:seed (it creates the default roles)',
  })
}
