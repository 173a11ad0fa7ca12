import { RefusedError, UsageError } from '../../errors.js'
import { type AccountRow, countTies, findAccount, type TiesRow } from '../../mastodon/moderation.js'
import type { Toolbox } from '../../toolbox.js'
import { staffOf } from '../accounts/make-admin.js'

/** `alice`, `@alice` or `alice@example.com`: names of other servers may have dots and dashes inside. */
const NAME = /^@?([A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?:@([A-Za-z0-9.-]+))?$/

/**
 * Returns the account of that name: of this server, or of another where its domain is given.
 *
 * @throws UsageError for words that can be no name; RefusedError when nobody here has met such an account.
 */
export async function theAccount(toolbox: Toolbox, name: string): Promise<AccountRow> {
  const [, username, domain] = NAME.exec(name) ?? []
  if (username === undefined) throw badName(name)
  const own = domain === undefined || domain.toLowerCase() === (await toolbox.app.domain()).toLowerCase()
  const { sql, params } = findAccount(await toolbox.app.version(), username, own ? null : domain)
  const [found] = await (await toolbox.database()).query<AccountRow>(sql, params)
  if (found) return found
  throw nobody(name)
}

/** Returns the name as people write it: with its domain where it is of another server. */
export function nameOf({ username, domain }: AccountRow): string {
  return domain === null ? username : `${username}@${domain}`
}

/** Returns what hangs on the account. */
export async function tiesOf(toolbox: Toolbox, { id }: AccountRow): Promise<TiesRow> {
  const { sql, params } = countTies(id)
  const [row] = await (await toolbox.database()).query<TiesRow>(sql, params)
  if (row) return row
  return { posts: 0, following_here: 0, following_elsewhere: 0, followers_here: 0, followers_elsewhere: 0 }
}

/** Refuses an account of the staff, as Mastodon's own pages do. */
export async function refuseStaff(toolbox: Toolbox, account: AccountRow): Promise<void> {
  if (account.user_id === null) return
  const { administrator, moderator, role } = await staffOf(toolbox, account.user_id)
  if (!administrator && !moderator) return
  const { argv } = await toolbox.app.command('accounts.demote', { username: account.username })
  throw new RefusedError({
    code: 'is-staff',
    message: `${account.username} belongs to the staff (${role ?? (administrator ? 'admin' : 'moderator')}): nothing was changed.`,
    cause: 'Whoever runs the server should not lock themselves out by a wrong name.',
    next: `Take the role away first: mstdn-ops run -- ${argv.join(' ')}`,
  })
}

function badName(name: string): UsageError {
  return new UsageError({
    code: 'bad-name',
    message: `"${name}" is no name of an account.`,
    cause: 'Names are made of letters, digits and underscores, with dots and dashes inside.',
    next: 'Give a name like alice, or alice@example.com for an account of another server.',
  })
}

function nobody(name: string): RefusedError {
  return new RefusedError({
    code: 'no-such-account',
    message: `This server knows no account "${name}".`,
    next: 'Check the spelling. An account of another server is given with its domain, like alice@example.com.',
  })
}
