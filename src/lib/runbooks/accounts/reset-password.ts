import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import type { Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { saying } from './outcome.js'
import { theUser, userOfRun } from './user.js'

export interface ResetPasswordOptions {
  /** The local name or the e-mail address. */
  user: string
}

export interface ResetPasswordResult {
  username: string
  /** Browsers that are still signed in. */
  openSessions: number
  /** Apps that still have access. */
  openTokens: number
}

/** The key under which the new password is revealed. */
export const NEW_PASSWORD = 'newPassword'

/** What Mastodon prints: for a new account since 2.6.0, for a new password since 3.1.2 (lib/mastodon/accounts_cli.rb). */
export const PRINTED = /New password: ([0-9a-f]{32})/

/** Gives a user a new password, chosen by Mastodon. It is shown to the operator once and written nowhere. */
export const resetPassword: Runbook<ResetPasswordOptions, ResetPasswordResult> = {
  name: 'accounts:reset-password',
  check: async (toolbox, { user }) => {
    const { username } = await theUser(toolbox, user)
    await toolbox.app.command('accounts.resetPassword', { username })
    toolbox.app.oneOff()
  },
  steps: async (_toolbox, { user }) => [resetStep(user)],
  result: async (toolbox, { user }, noted) => {
    const { id, username } = await theUser(toolbox, noted('username') ?? user)
    return { username, ...(await openAccess(toolbox, id)) }
  },
}

/** Not asked whether it is done: the password died with the process that saw it, so a resume makes another. */
function resetStep(user: string): Step {
  const former: Former = { digest: undefined }
  return {
    id: 'reset',
    title: `Give ${user} a new password`,
    effect: 'write',
    atomic: true,
    repeatable: true,
    irreversible: 'the former password is known to nobody but the user',
    run: context => reset(context, user, former),
    settle: context => settle(context, user, former),
  }
}

/** Kept in memory alone: even this digest is nothing for a journal. */
interface Former {
  digest: string | undefined
}

async function reset(context: StepContext, user: string, former: Former): Promise<void> {
  const { toolbox } = context
  const { id, username } = await userOfRun(context, user)
  const before = await passwordDigest(toolbox, id)
  former.digest = before
  const outcome = await toolbox.app.run('accounts.resetPassword', { username }, { effect: 'write', once: true })
  if (context.dryRun) return
  const password = PRINTED.exec(outcome.stdout)?.[1]
  toolbox.output.redactor.add('new password', password)
  const changed = (await passwordDigest(toolbox, id)) !== before
  if (!changed) throw notChanged(username, saying(outcome))
  if (password === undefined) throw notShown(username)
  context.reveal(NEW_PASSWORD, password)
}

/** A password that was changed out of sight is known to nobody. */
async function settle(context: StepContext, user: string, former: Former): Promise<Settled> {
  const { id, username } = await userOfRun(context, user)
  if ((await passwordDigest(context.toolbox, id)) === former.digest) return 'not done'
  throw notShown(username)
}

/** A digest of a digest: enough to see a change, and nothing that could be tried out leaves the server. */
async function passwordDigest(toolbox: Toolbox, id: string): Promise<string | undefined> {
  const database = await toolbox.database()
  const sql = 'SELECT md5(encrypted_password) AS digest FROM users WHERE id = $1'
  const [row] = await database.query<{ digest: string }>(sql, [id])
  return row?.digest
}

/** Looked up rather than known: which patch releases end sessions and tokens differs (GHSA-f3q3-rmf7-9655). */
async function openAccess(toolbox: Toolbox, id: string): Promise<{ openSessions: number; openTokens: number }> {
  const database = await toolbox.database()
  const sessions = 'SELECT count(*)::int AS count FROM session_activations WHERE user_id = $1'
  const tokens = `SELECT count(*)::int AS count FROM oauth_access_tokens t WHERE resource_owner_id = $1 AND revoked_at IS NULL
AND NOT EXISTS (SELECT 1 FROM session_activations s WHERE s.access_token_id = t.id)`
  const [session] = await database.query<{ count: number }>(sessions, [id])
  const [token] = await database.query<{ count: number }>(tokens, [id])
  return { openSessions: session?.count ?? 0, openTokens: token?.count ?? 0 }
}

function notChanged(username: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'password-not-changed',
    message: `The password of ${username} was not changed.`,
    cause,
    next: 'See what Mastodon said, then run the command again.',
  })
}

/** Returns the failure of a password that nobody saw. */
export function notShown(username: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'password-not-shown',
    message: `${username} has a new password, but it was not seen.`,
    cause: 'Mastodon did not print it, or the connection was lost before it did.',
    next: `Make another: mstdn-ops accounts:reset-password ${username}`,
  })
}
