import { RefusedError, UsageError } from '../../errors.js'
import { findUser, type UserRow } from '../../mastodon/users.js'
import type { StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

/** Mastodon's grammar of local names (app/models/account.rb, all versions), with room for `@` in front. */
const NAME = /^@?[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_]+)?$/
const EMAIL = /^[^\s@"'\\;<>()[\]\p{Cc}]+@[A-Za-z0-9.-]+$/u

/**
 * Returns the one local user of that name (or e-mail address).
 *
 * @throws UsageError for words that can be no name; RefusedError when there is no such user, or more than one.
 */
export async function theUser(toolbox: Toolbox, nameOrEmail: string): Promise<UserRow> {
  assertNameOrEmail(nameOrEmail)
  const { sql, params } = findUser(await toolbox.app.version(), nameOrEmail)
  const database = await toolbox.database()
  const users = await database.query<UserRow>(sql, params)
  const [user] = users
  if (user && users.length === 1) return user
  throw users.length === 0 ? nobody(nameOrEmail) : several(nameOrEmail, users)
}

/**
 * Returns the user that the words name, found once for a run: confirming an address can change it, and then the same
 * words would name nobody.
 */
export async function userOfRun(context: StepContext, nameOrEmail: string): Promise<UserRow> {
  const known = context.noted('username')
  const user = await theUser(context.toolbox, known ?? nameOrEmail)
  if (known === undefined) await context.note('username', user.username)
  return user
}

/** Refuses what can be no name of a new account here: names of local accounts have no dots (app/models/account.rb @v2.4.0). */
export function assertNewName(username: string): void {
  if (/^[A-Za-z0-9_]{1,30}$/.test(username)) return
  throw new UsageError({
    code: 'bad-name',
    message: `"${username}" can be no name of an account here.`,
    cause: 'Names are made of letters, digits and underscores, 30 at most.',
    next: 'Give the name without @ and without the domain, like alice.',
  })
}

/** Refuses what can be no e-mail address. */
export function assertEmail(email: string): void {
  if (EMAIL.test(email)) return
  throw new UsageError({
    code: 'bad-email',
    message: `"${email}" is no e-mail address.`,
    next: 'Give an address like alice@example.com.',
  })
}

/** Refuses words that can be neither. */
export function assertNameOrEmail(nameOrEmail: string): void {
  if (NAME.test(nameOrEmail) || EMAIL.test(nameOrEmail)) return
  throw new UsageError({
    code: 'bad-name',
    message: `"${nameOrEmail}" is no account name and no e-mail address.`,
    cause: 'Local names are made of letters, digits and underscores, with dots and dashes inside.',
    next: 'Give the name without the domain, like alice, or the e-mail address of the user.',
  })
}

function nobody(nameOrEmail: string): RefusedError {
  return new RefusedError({
    code: 'no-such-user',
    message: `There is no local user "${nameOrEmail}".`,
    cause: 'No account of this instance has that name or address, or its user was deleted.',
    next: 'Check the spelling; names of other servers have no user here.',
  })
}

function several(nameOrEmail: string, users: readonly UserRow[]): RefusedError {
  return new RefusedError({
    code: 'several-users',
    message: `${users.length} users have the address "${nameOrEmail}" in different spellings.`,
    next: `Give the account name instead: ${users.map(user => user.username).join(', ')}.`,
  })
}
