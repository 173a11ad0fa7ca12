import { OutcomeUnknownError } from '../../errors.js'
import type { Runbook, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

export interface SentResult {
  /** What the server answered, in words. */
  reply: string
}

interface SentOnce<Options extends object> {
  name: string
  title: string
  /** Sends what the operator wrote and returns the answer; all of it takes effect or nothing. */
  send(toolbox: Toolbox, options: Options): Promise<string>
}

/**
 * Returns the runbook of one statement of the operator's own. It is never sent a second time: nobody but the operator
 * can tell whether that is harmless.
 */
export function sentOnce<Options extends object>(parts: SentOnce<Options>): Runbook<Options, SentResult> {
  return {
    name: parts.name,
    steps: async (_toolbox, options) => [
      { id: 'send', title: parts.title, effect: 'write', atomic: true, run: context => send(context, parts, options) },
    ],
    result: async (_toolbox, _options, noted) => ({ reply: noted('reply') ?? '' }),
  }
}

async function send<Options extends object>(context: StepContext, parts: SentOnce<Options>, options: Options) {
  if (context.noted('sent') !== undefined) throw sentBefore(parts.name)
  await context.note('sent', context.toolbox.clock.now().toISOString())
  const reply = await parts.send(context.toolbox, options)
  await context.note('reply', context.toolbox.output.clean(reply))
}

function sentBefore(name: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'sent-before',
    message: `${name} was killed after it had sent the statement: whether it took effect is not known.`,
    next: 'Look whether it did, then mstdn-ops resume --abandon, and send it again if need be.',
  })
}
