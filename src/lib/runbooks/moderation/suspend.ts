import { RefusedError } from '../../errors.js'
import { type AccountRow, daysKept, type TiesRow } from '../../mastodon/moderation.js'
import type { Consent, Runbook } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { nameOf, refuseStaff, theAccount, tiesOf } from './account.js'
import { actStep, beforeAct } from './act.js'

export interface SuspendOptions {
  /** A name of this server, or one of another with its domain. */
  account: string
}

export interface SuspendResult {
  account: string
  /** Whether it is of another server. */
  remote: boolean
  changed: boolean
  /** When Mastodon deletes its data; null where it does so at once. */
  deletedOn: Date | null
  /** What hung on it; null where it was suspended already. */
  ties: TiesRow | null
}

const DAY_MS = 86_400_000

/** Suspends an account as Mastodon's own pages do. What would be lost is counted first, and agreed to by the domain. */
export const suspend: Runbook<SuspendOptions, SuspendResult> = {
  name: 'accounts:suspend',
  check: refuse,
  consent: consentTo,
  steps: async (toolbox, options) => [await suspendStep(toolbox, options)],
  result: async (toolbox, options, noted) => {
    const account = await theAccount(toolbox, options.account)
    const before = beforeAct(noted)
    const days = daysKept(await toolbox.app.version())
    const deletedOn = days === undefined || account.suspended_at === null ? null : account.suspended_at
    return {
      account: nameOf(account),
      remote: account.domain !== null,
      changed: before !== undefined,
      deletedOn: deletedOn && new Date(deletedOn.getTime() + (days ?? 0) * DAY_MS),
      ties: before?.ties ?? null,
    }
  },
}

async function refuse(toolbox: Toolbox, options: SuspendOptions): Promise<void> {
  const account = await theAccount(toolbox, options.account)
  refuseDeleted(account)
  await refuseStaff(toolbox, account)
  await toolbox.app.command('accounts.suspend', { accountId: account.id })
  toolbox.app.oneOff()
}

/** Refuses an account of this server that has no user any more: what is left of it keeps its name from being used. */
export function refuseDeleted(account: AccountRow): void {
  if (account.domain !== null || account.user_id !== null) return
  throw new RefusedError({
    code: 'account-deleted',
    message: `${account.username} was deleted: nothing was changed.`,
    cause: 'What is left of it only keeps the name from being used again.',
    next: 'Nothing is to be done.',
  })
}

/** What is refused anyway is refused before anything is asked. */
async function consentTo(toolbox: Toolbox, options: SuspendOptions): Promise<Consent> {
  await refuse(toolbox, options)
  const account = await theAccount(toolbox, options.account)
  if (account.suspended) return { kind: 'none' }
  const version = await toolbox.app.version()
  const what = hangingText(await tiesOf(toolbox, account))
  const days = daysKept(version)
  const when =
    days === undefined ? `Mastodon ${version} deletes at once, for good` : `In ${days} days Mastodon deletes for good`
  const rejected = account.domain === null ? '' : '\nIts follows of people here end at once, and do not come back.'
  return {
    kind: 'domain',
    loses: `${nameOf(account)} will be suspended: nothing of it is shown any more. ${when}: ${what}.${rejected}`,
  }
}

/** Returns what hangs on the account, in words. */
function hangingText(ties: TiesRow): string {
  const side = (here: number, elsewhere: number, one: string, many: string) =>
    `${plural(here + elsewhere, one, many)} (${elsewhere} on other servers)`
  return [
    plural(ties.posts, 'post'),
    side(ties.following_here, ties.following_elsewhere, 'account that it follows', 'accounts that it follows'),
    side(ties.followers_here, ties.followers_elsewhere, 'follower', 'followers'),
  ].join(', ')
}

async function suspendStep(toolbox: Toolbox, options: SuspendOptions) {
  const account = await theAccount(toolbox, options.account)
  const deletesAtOnce = daysKept(await toolbox.app.version()) === undefined
  const why = deletesAtOnce ? 'this version deletes the data at once' : 'its follows of people here are ended'
  return actStep({
    id: 'suspend',
    title: `Suspend ${nameOf(account)}`,
    account: nameOf(account),
    operation: 'accounts.suspend',
    back: deletesAtOnce || account.domain !== null ? { irreversible: why } : 'accounts.unsuspend',
    stands: ({ suspended }) => suspended,
    already: 'it is suspended already',
  })
}

/** Returns what holds now, and until when it can be taken back. */
export function suspendedText({ account, remote, changed, deletedOn, ties }: SuspendResult): string {
  const head = `${account} ${changed ? 'is suspended' : 'was suspended already'}.`
  const ended = remote && ties ? ties.following_here : 0
  const follows = ended > 0 ? [`${plural(ended, 'follow')} of people here ended with it.`] : []
  if (deletedOn === null) return [head, 'Sidekiq deletes its posts, media and follows (queue pull).'].join('\n')
  const until = deletedOn.toISOString().slice(0, 10)
  const later = `Its data is kept until ${until}, then Mastodon deletes it for good. Until then: mstdn-ops accounts:unsuspend ${account}`
  return [head, ...follows, later].join('\n')
}
