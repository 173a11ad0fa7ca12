import { daysKept } from '../../mastodon/moderation.js'
import type { Runbook } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { nameOf, theAccount } from './account.js'
import { actStep, beforeAct } from './act.js'
import { refuseDeleted, type SuspendOptions } from './suspend.js'

export interface UnsuspendResult {
  account: string
  /** Whether it is of another server. */
  remote: boolean
  changed: boolean
  /** Its posts, media and follows were deleted: the name comes back, and nothing else. */
  dataGone: boolean
}

const DAY_MS = 86_400_000

/** Ends the suspension of an account, and says what does not come back. */
export const unsuspend: Runbook<SuspendOptions, UnsuspendResult> = {
  name: 'accounts:unsuspend',
  check: refuse,
  steps: async (toolbox, options) => [await unsuspendStep(toolbox, options)],
  result: async (toolbox, options, noted) => {
    const account = await theAccount(toolbox, options.account)
    const before = beforeAct(noted)
    const since = before?.account.suspended_at ?? null
    const dataGone = before !== undefined && (await isGone(toolbox, since))
    return { account: nameOf(account), remote: account.domain !== null, changed: before !== undefined, dataGone }
  },
}

async function refuse(toolbox: Toolbox, options: SuspendOptions): Promise<void> {
  const account = await theAccount(toolbox, options.account)
  refuseDeleted(account)
  await toolbox.app.command('accounts.unsuspend', { accountId: account.id })
  toolbox.app.oneOff()
}

/** `since` comes from the journal, where a time is a text. */
async function isGone(toolbox: Toolbox, since: Date | string | null): Promise<boolean> {
  const days = daysKept(await toolbox.app.version())
  if (days === undefined || since === null) return true
  return toolbox.clock.now().getTime() > new Date(since).getTime() + days * DAY_MS
}

async function unsuspendStep(toolbox: Toolbox, options: SuspendOptions) {
  const account = await theAccount(toolbox, options.account)
  return actStep({
    id: 'unsuspend',
    title: `End the suspension of ${nameOf(account)}`,
    account: nameOf(account),
    operation: 'accounts.unsuspend',
    back: { irreversible: 'other servers are told at once that it is back' },
    stands: ({ suspended }) => !suspended,
    already: 'it is not suspended',
  })
}

/** Returns what holds now, and what does not come back. */
export function unsuspendedText({ account, remote, changed, dataGone }: UnsuspendResult): string {
  if (!changed) return `${account} is not suspended: nothing was to be done.`
  return `${account} is not suspended any more.\n${lostText(remote, dataGone)}`
}

function lostText(remote: boolean, dataGone: boolean): string {
  if (dataGone) return 'Its posts, media and follows do not come back: they were deleted.'
  if (remote) return 'That it followed people here does not come back: its owner follows them anew.'
  return 'Posts, media and follows are back; its owner signs in anew. Servers that had ended follows meanwhile do not take that back.'
}
