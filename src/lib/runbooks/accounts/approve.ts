import type { Runbook } from '../../runbook/step.js'
import { approveStep } from './confirm.js'
import { theUser } from './user.js'

export interface ApproveOptions {
  /** The local name or the e-mail address. */
  user: string
}

export interface ApproveResult {
  username: string
  approved: boolean
  /** Whether the e-mail address is confirmed: without that nobody can sign in. */
  confirmed: boolean
  changed: boolean
}

/** Approves a sign-up with Mastodon's own command, and reads it back. */
export const approveAccount: Runbook<ApproveOptions, ApproveResult> = {
  name: 'accounts:approve',
  check: async (toolbox, { user }) => {
    const { username } = await theUser(toolbox, user)
    await toolbox.app.command('accounts.approve', { username })
    toolbox.app.oneOff()
  },
  steps: async (_toolbox, { user }) => [approveStep(user)],
  result: async (toolbox, { user }, noted) => {
    const { username, approved, confirmed } = await theUser(toolbox, noted('username') ?? user)
    return { username, approved, confirmed, changed: noted('approving') === 'yes' }
  },
}

/** Returns what is to be said of the user: whether they can sign in now, and if not, what to do. */
export function approvedText({ username, confirmed, changed }: ApproveResult): string {
  const head = `The sign-up of ${username} ${changed ? 'is approved' : 'was approved already'}.`
  if (confirmed) return head
  return `${head}\nThe e-mail address is not confirmed yet. To confirm it without a mail: mstdn-ops accounts:confirm ${username}`
}
