import type { AppOutcome } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import type { ModerationParams } from '../../mastodon/catalogue/moderation.js'
import type { AccountRow, TiesRow } from '../../mastodon/moderation.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { saying } from '../accounts/outcome.js'
import { nameOf, theAccount, tiesOf } from './account.js'

type ModerationId = 'accounts.suspend' | 'accounts.unsuspend' | 'accounts.limit' | 'accounts.unlimit'

/** What is done with one account. */
export interface Act {
  id: string
  title: string
  /** The account's name, as the operator gave it. */
  account: string
  operation: ModerationId
  /** The operation that takes it back; where nothing does, why. */
  back: ModerationId | { irreversible: string }
  stands(account: AccountRow): boolean
  /** Said where it stands already. */
  already: string
}

/** Returns the step: Mastodon's own code, believed only when the database shows it. */
export function actStep(act: Act): Step {
  const isSo = async ({ toolbox }: StepContext) => act.stands(await theAccount(toolbox, act.account))
  const { back } = act
  return {
    id: act.id,
    title: act.title,
    effect: 'write',
    repeatable: true,
    needed: async context => ((await isSo(context)) ? act.already : true),
    done: isSo,
    run: context => perform(context, act),
    ...(typeof back === 'string' ? { undo: context => takeBack(context, act, back) } : back),
  }
}

async function perform(context: StepContext, act: Act): Promise<void> {
  const { toolbox } = context
  const account = await theAccount(toolbox, act.account)
  await context.note('before', JSON.stringify({ account, ties: await tiesOf(toolbox, account) }))
  const outcome = await toolbox.app.run(act.operation, paramsOf(account), { effect: 'write' })
  if (context.dryRun || act.stands(await theAccount(toolbox, act.account))) return
  throw notDone(act, account, outcome)
}

async function takeBack({ toolbox, noted }: StepContext, act: Act, back: ModerationId): Promise<void> {
  const account = await theAccount(toolbox, act.account)
  if (noted('before') === undefined || !act.stands(account)) return
  await toolbox.app.run(back, paramsOf(account), { effect: 'write' })
}

/** How the account stood before the step; undefined where the step had nothing to do. */
export function beforeAct(
  noted: (key: string) => string | undefined,
): { account: AccountRow; ties: TiesRow } | undefined {
  const before = noted('before')
  return before === undefined ? undefined : JSON.parse(before)
}

const paramsOf = ({ id }: AccountRow): ModerationParams => ({ accountId: id })

function notDone({ title }: Act, account: AccountRow, outcome: AppOutcome): RefusedError {
  return new RefusedError({
    code: 'not-moderated',
    message: `"${title}" did not take effect on ${nameOf(account)}.`,
    cause: saying(outcome),
    next: 'See what Mastodon said, then run the command again.',
  })
}
