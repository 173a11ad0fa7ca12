import type { Runbook } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { nameOf, refuseStaff, theAccount } from './account.js'
import { actStep, beforeAct } from './act.js'
import { refuseDeleted } from './suspend.js'

export interface LimitOptions {
  /** A name of this server, or one of another with its domain. */
  account: string
  /** Whether the limit is lifted. */
  lift: boolean
}

export interface LimitResult {
  account: string
  limited: boolean
  changed: boolean
}

/** Limits an account (Mastodon's own word was "silence"): its posts are shown to its followers alone. Or lifts that. */
export const limit: Runbook<LimitOptions, LimitResult> = {
  name: 'accounts:limit',
  check: refuse,
  steps: async (toolbox, options) => [await limitStep(toolbox, options)],
  result: async (toolbox, options, noted) => {
    const account = await theAccount(toolbox, options.account)
    return { account: nameOf(account), limited: account.limited, changed: beforeAct(noted) !== undefined }
  },
}

async function refuse(toolbox: Toolbox, { account: name, lift }: LimitOptions): Promise<void> {
  const account = await theAccount(toolbox, name)
  refuseDeleted(account)
  if (!lift) await refuseStaff(toolbox, account)
  await toolbox.app.command(lift ? 'accounts.unlimit' : 'accounts.limit', { accountId: account.id })
  toolbox.app.oneOff()
}

async function limitStep(toolbox: Toolbox, { account: name, lift }: LimitOptions) {
  const account = nameOf(await theAccount(toolbox, name))
  return actStep({
    id: 'limit',
    title: lift ? `Lift the limit of ${account}` : `Limit ${account}`,
    account,
    operation: lift ? 'accounts.unlimit' : 'accounts.limit',
    back: lift ? 'accounts.limit' : 'accounts.unlimit',
    stands: ({ limited }) => limited === !lift,
    already: lift ? 'it is not limited' : 'it is limited already',
  })
}

/** Returns what holds now. */
export function limitedText({ account, limited, changed }: LimitResult): string {
  const now = limited
    ? 'Its posts are shown to its followers alone, and in no public timeline. To lift that: '
    : 'It is shown like any other.'
  const head = `${account} is ${limited ? 'limited' : 'not limited'}${changed ? '' : ', as before'}.`
  return `${head} ${now}${limited ? `mstdn-ops accounts:limit ${account} --lift` : ''}`
}
