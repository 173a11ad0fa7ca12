import { RefusedError, UsageError } from '../../errors.js'
import type { MediaRefreshParams, MediaRemoveParams } from '../../mastodon/catalogue/content.js'
import type { Toolbox } from '../../toolbox.js'
import { appOperation } from './app-operation.js'
import { refuseLostMedia } from './lost-files.js'

export type MediaRemoveOptions = Omit<MediaRemoveParams, 'dryRun'>
export type MediaRefreshOptions = MediaRefreshParams

/** Removes cached media of other servers: they are fetched again when somebody looks at them. */
export const removeMedia = appOperation<MediaRemoveOptions, 'media.remove'>({
  name: 'media:remove',
  operation: 'media.remove',
  long: true,
  title: removeTitle,
  params: (_toolbox, options) => options,
  check: refuseLostMedia,
})

function removeTitle({ days, pruneProfiles, removeHeaders }: MediaRemoveOptions): string {
  const what = pruneProfiles ? 'avatars and headers' : removeHeaders ? 'headers' : 'media'
  return `Remove cached ${what} of other servers older than ${days ?? 7} days`
}

/** Fetches media of other servers again. */
export const refreshMedia = appOperation<MediaRefreshOptions, 'media.refresh'>({
  name: 'media:refresh',
  operation: 'media.refresh',
  long: true,
  title: ({ account, domain, status }) =>
    `Fetch the media of ${account ?? (status === undefined ? domain : `post ${status}`)} again`,
  params: (_toolbox, options) => options,
  check: async (toolbox, options) => {
    await refuseLostMedia(toolbox)
    await findSource(toolbox, options)
  },
})

/** Of a misspelt name nothing is fetched and Mastodon says OK, so what is named must be known. */
async function findSource(toolbox: Toolbox, { account, domain, status }: MediaRefreshOptions): Promise<void> {
  if (account !== undefined) await known(toolbox, account, ...accountQuery(account))
  if (domain !== undefined) await known(toolbox, domain, 'SELECT FROM accounts WHERE domain = $1 LIMIT 1', [domain])
  if (status !== undefined) await known(toolbox, `post ${status}`, 'SELECT FROM statuses WHERE id = $1', [status])
}

function accountQuery(account: string): [sql: string, params: string[]] {
  const [name = '', domain = ''] = account.replace(/^@/, '').split('@')
  const sql = "SELECT FROM accounts WHERE lower(username) = lower($1) AND coalesce(domain, '') = lower($2)"
  return [sql, [name, domain]]
}

async function known(toolbox: Toolbox, name: string, sql: string, params: readonly string[]): Promise<void> {
  const found = await (await toolbox.database()).query(sql, params)
  if (found.length > 0) return
  throw new RefusedError({
    code: 'unknown-source',
    message: `This server knows nothing of ${name}.`,
    next: 'Check the spelling. Accounts are named like name@example.com, posts by their number here.',
  })
}

/** Labels of letters, digits and dashes, as DNS has them; names in other scripts in their `xn--` form. */
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:\d+)?$/
/** A remote account's name may hold dots and dashes (app/models/account.rb, all versions). */
const ACCOUNT = /^@?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(@[^@\s]+)?$/
/** The largest bigint has 19 digits. */
const STATUS = /^\d{1,19}$/

/** Returns the options with the domain in its lower-case form. @throws UsageError for words that can be no such thing. */
export function validRefresh(options: MediaRefreshOptions): MediaRefreshOptions {
  const { account, domain, status } = options
  const accountDomain = account?.replace(/^@/, '').split('@')[1]?.toLowerCase()
  if (account !== undefined && !ACCOUNT.test(account)) throw noSuchThing(account, 'account name')
  for (const name of [domain?.toLowerCase(), accountDomain]) {
    if (name !== undefined && !DOMAIN.test(name)) throw noSuchThing(name, 'domain')
  }
  if (status !== undefined && !STATUS.test(status)) throw noSuchThing(status, 'number of a post')
  return domain === undefined ? options : { ...options, domain: domain.toLowerCase() }
}

function noSuchThing(word: string, what: string): UsageError {
  return new UsageError({
    code: 'bad-name',
    message: `"${word}" is no ${what}.`,
    next: 'Give an account like name@example.com, a domain like example.com, or the number of a post on this server.',
  })
}
