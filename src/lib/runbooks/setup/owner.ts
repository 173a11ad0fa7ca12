import { RefusedError } from '../../errors.js'
import {
  countAdministrators,
  FIND_ADMINISTRATOR_ROLE,
  type RoleRow,
  readRole,
  type StaffRow,
} from '../../mastodon/roles.js'
import { findUser, type UserRow } from '../../mastodon/users.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Answers } from '../../setup/questions.js'
import type { Toolbox } from '../../toolbox.js'
import { saying } from '../accounts/outcome.js'
import { PRINTED } from '../accounts/reset-password.js'

/** The key under which the owner's password is handed to the operator. */
export const OWNER_PASSWORD = "The owner's password"

/**
 * Makes the owner: confirmed, approved, administrator by the role's real name. What Mastodon prints is believed only
 * when the database shows it. A run that died before the password was shown gives another one.
 */
export function ownerStep(answers: Answers): Step {
  const { owner = '' } = answers
  return {
    id: 'owner',
    title: `Make the owner, ${owner}`,
    effect: 'write',
    needed: async ({ toolbox, noted, dryRun }) =>
      dryRun || noted('owner') === 'begun' || !(await hasAdministrator(toolbox)) || 'there is an administrator',
    run: context => makeOwner(context, answers),
    undo: async () => undefined,
  }
}

async function makeOwner(context: StepContext, answers: Answers): Promise<void> {
  const { toolbox } = context
  const { owner: username = '', 'owner-email': email = '' } = answers
  if (context.dryRun) return recordCreation(toolbox, username, email)
  await context.note('owner', 'begun')
  const [role] = await (await toolbox.database()).query<RoleRow>(FIND_ADMINISTRATOR_ROLE.sql)
  if (role === undefined) throw noRole()
  const isThere = (await userNamed(toolbox, username)) !== undefined
  const outcome = isThere
    ? await toolbox.app.run('accounts.resetPassword', { username }, { effect: 'write', once: true })
    : await toolbox.app.run(
        'accounts.create',
        { username, email, role: 'admin', roleName: role.name },
        { effect: 'write', once: true },
      )
  const password = PRINTED.exec(outcome.stdout)?.[1]
  toolbox.output.redactor.add(OWNER_PASSWORD, password)
  const problem = await wrongWithOwner(toolbox, username)
  if (password === undefined || problem !== undefined) throw notMade(username, problem, saying(outcome))
  await context.note('role', role.name)
  context.reveal(OWNER_PASSWORD, password)
}

async function recordCreation(toolbox: Toolbox, username: string, email: string): Promise<void> {
  const { argv, env } = await toolbox.app.command('accounts.create', { username, email, role: 'admin' })
  toolbox.ledger.command(toolbox.app.oneOff().byHand({ argv, effect: 'write', ...(env ? { env } : {}) }))
}

async function hasAdministrator(toolbox: Toolbox): Promise<boolean> {
  const database = await toolbox.database()
  const { sql, params } = countAdministrators(await toolbox.app.version())
  const [row] = await database.query<{ count: number | string }>(sql, params)
  return Number(row?.count ?? 0) > 0
}

async function userNamed(toolbox: Toolbox, username: string): Promise<UserRow | undefined> {
  const { sql, params } = findUser(await toolbox.app.version(), username)
  const [user] = await (await toolbox.database()).query<UserRow>(sql, params)
  return user
}

/** Returns what keeps the owner from signing in and administrating; undefined where nothing does. */
async function wrongWithOwner(toolbox: Toolbox, username: string): Promise<string | undefined> {
  const user = await userNamed(toolbox, username)
  if (user === undefined) return 'There is no such account afterwards.'
  const { sql, params } = readRole(await toolbox.app.version(), user.id)
  const [staff] = await (await toolbox.database()).query<StaffRow>(sql, params)
  if (!user.confirmed) return 'Its e-mail address is not confirmed.'
  if (!user.approved) return 'It is not approved.'
  return staff?.administrator ? undefined : 'It is no administrator.'
}

function noRole(): RefusedError {
  return new RefusedError({
    code: 'no-administrator-role',
    message: 'The new database has no role that may do everything.',
    next: 'mstdn-ops db:seed',
  })
}

function notMade(username: string, problem: string | undefined, said: string): RefusedError {
  return new RefusedError({
    code: 'owner-not-made',
    message: `The owner ${username} was not made.`,
    cause: [problem, said].filter(Boolean).join(' '),
    next: 'Mastodon refuses some names to everybody, and addresses whose domain has no DNS entry: give others (--owner, --owner-email) and run mstdn-ops setup again.',
  })
}
