import { RefusedError } from '../../errors.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { saying } from './outcome.js'
import { theUser, userOfRun } from './user.js'

export interface ConfirmOptions {
  /** The local name or the e-mail address. */
  user: string
  /** Whether the sign-up is approved as well (Mastodon 2.8 and later). */
  approve: boolean
}

export interface ConfirmResult {
  username: string
  email: string
  confirmed: boolean
  /** Whether somebody still has to approve the sign-up before the user can sign in. */
  waitsForApproval: boolean
  changed: boolean
  /** Whether this run approved the sign-up. */
  approvedNow: boolean
}

/** Confirms a user's e-mail address without a mail, and approves the sign-up where that is asked for; reads both back. */
export const confirm: Runbook<ConfirmOptions, ConfirmResult> = {
  name: 'accounts:confirm',
  check: refuse,
  steps: async (_toolbox, options) => [
    confirmStep(options.user),
    ...(options.approve ? [approveStep(options.user)] : []),
  ],
  result: async (toolbox, options, noted) => {
    const user = await theUser(toolbox, noted('username') ?? options.user)
    const { username, email, confirmed, approved } = user
    const [changed, approvedNow] = [noted('former') !== undefined, noted('approving') === 'yes']
    return { username, email, confirmed, waitsForApproval: !approved, changed, approvedNow }
  },
}

async function refuse(toolbox: Toolbox, options: ConfirmOptions): Promise<void> {
  const { username, email, confirmed, approved } = await theUser(toolbox, options.user)
  if (options.approve) await toolbox.app.command('accounts.approve', { username })
  if (confirmed && (approved || !options.approve)) return
  await toolbox.app.command('accounts.confirm', { username, email })
  toolbox.app.oneOff()
}

function confirmStep(user: string): Step {
  return {
    id: 'confirm',
    title: `Confirm the e-mail address of ${user}`,
    effect: 'write',
    needed: async context => ((await userOfRun(context, user)).confirmed ? 'it is confirmed already' : true),
    done: async context => (await userOfRun(context, user)).confirmed,
    run: context => confirmAddress(context, user),
    undo: context => putAddressBack(context, user),
  }
}

async function confirmAddress(context: StepContext, user: string): Promise<void> {
  const { toolbox } = context
  const { id, username, email } = await userOfRun(context, user)
  await context.note('former', JSON.stringify(await addressOf(toolbox, id)))
  const outcome = await toolbox.app.run('accounts.confirm', { username, email }, { effect: 'write' })
  if (context.dryRun || (await userOfRun(context, user)).confirmed) return
  throw notDone('not-confirmed', `The e-mail address of ${username} is not confirmed.`, saying(outcome))
}

/** Confirming also puts a new address, which waited for its confirmation, into force. */
async function addressOf(toolbox: Toolbox, id: string): Promise<object> {
  const database = await toolbox.database()
  const [row] = await database.query('SELECT email, unconfirmed_email FROM users WHERE id = $1', [id])
  return row ?? {}
}

async function putAddressBack(context: StepContext, user: string): Promise<void> {
  const former = context.noted('former')
  if (former === undefined) return
  const { id } = await userOfRun(context, user)
  const { email, unconfirmed_email: waiting } = JSON.parse(former) as {
    email: string
    unconfirmed_email: string | null
  }
  const database = await context.toolbox.database()
  const sql = 'UPDATE users SET confirmed_at = NULL, email = $2, unconfirmed_email = $3 WHERE id = $1'
  await database.write(sql, [id, email, waiting])
}

/** Returns the step that approves a sign-up, with its undo. */
export function approveStep(user: string): Step {
  return {
    id: 'approve',
    title: `Approve the sign-up of ${user}`,
    effect: 'write',
    needed: async context => ((await userOfRun(context, user)).approved ? 'it is approved already' : true),
    done: async context => (await userOfRun(context, user)).approved,
    run: context => approve(context, user),
    undo: context => takeApprovalBack(context, user),
  }
}

async function approve(context: StepContext, user: string): Promise<void> {
  const { toolbox } = context
  const { username } = await userOfRun(context, user)
  await context.note('approving', 'yes')
  const outcome = await toolbox.app.run('accounts.approve', { username }, { effect: 'write' })
  if (context.dryRun || (await userOfRun(context, user)).approved) return
  throw notDone('not-approved', `The sign-up of ${username} is not approved.`, saying(outcome))
}

async function takeApprovalBack(context: StepContext, user: string): Promise<void> {
  if (context.noted('approving') !== 'yes') return
  const { id } = await userOfRun(context, user)
  const database = await context.toolbox.database()
  await database.write('UPDATE users SET approved = false WHERE id = $1', [id])
}

function notDone(code: string, message: string, cause: string): RefusedError {
  return new RefusedError({ code, message, cause, next: 'See what Mastodon said, then run the command again.' })
}

/** Returns what is to be said of the user: whether they can sign in now, and if not, what to do. */
export function confirmedText({ username, waitsForApproval, changed, approvedNow }: ConfirmResult): string {
  const head = `The e-mail address of ${username} ${changed ? 'is confirmed' : 'was confirmed already'}`
  if (approvedNow) return `${head}, and the sign-up is approved.`
  if (!waitsForApproval) return `${head}.`
  return `${head}.\nThe sign-up still waits for approval. To approve it: mstdn-ops accounts:confirm ${username} --approve`
}
