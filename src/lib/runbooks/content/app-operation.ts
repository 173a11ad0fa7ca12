import type { OperationId, ParamsOf } from '../../mastodon/catalogue.js'
import type { Consent, Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { lastLine, operationFailed } from './outcome.js'

/** One operation of the Catalogue as a step that may be repeated without harm. */
export interface OperationStep<K extends OperationId> {
  id: string
  title: string
  operation: K
  params(toolbox: Toolbox): Promise<ParamsOf<K>> | ParamsOf<K>
  /** It may take an hour: it runs in a process of its own that a killed tool finds again. */
  long?: boolean
  /** Looks whether its work stands, where that can be seen. */
  isDone?(toolbox: Toolbox): Promise<boolean>
}

/** Returns the step. It is believed only when Mastodon says so as the Catalogue knows it. */
export function operationStep<K extends OperationId>(parts: OperationStep<K>): Step {
  return {
    id: parts.id,
    title: parts.title,
    effect: 'write',
    repeatable: true,
    run: context => runOperation(context, parts),
    settle: context => (parts.long ? settleLong(context, parts) : settleShort(context, parts)),
  }
}

async function runOperation<K extends OperationId>(context: StepContext, parts: OperationStep<K>): Promise<void> {
  const { toolbox } = context
  const outcome = await toolbox.app.run(parts.operation, await parts.params(toolbox), {
    effect: 'write',
    onLine: line => context.progress(line),
    ...(parts.long ? { longKey: longKey(context, parts) } : {}),
  })
  await context.note(`ended:${parts.id}`, 'yes')
  if (context.dryRun) return
  if (outcome.verdict !== 'done') throw operationFailed(parts.title, outcome)
  await context.note(saidKey(parts.id), toolbox.output.clean(lastLine(outcome.stdout)))
}

/** A long one carries a key: where it still runs, or its end can still be read, that tells. */
async function settleLong<K extends OperationId>(context: StepContext, parts: OperationStep<K>): Promise<Settled> {
  if (context.noted(`ended:${parts.id}`) === 'yes') return 'unknown'
  const { toolbox } = context
  const verdict = await toolbox.app.found(parts.operation, await parts.params(toolbox), longKey(context, parts))
  return verdict === 'done' ? 'done' : 'unknown'
}

async function settleShort<K extends OperationId>({ toolbox }: StepContext, { isDone }: OperationStep<K>) {
  return (await isDone?.(toolbox)) ? 'done' : 'unknown'
}

function longKey<K extends OperationId>({ runId }: StepContext, { id }: OperationStep<K>): string {
  return `${runId}-${id}`
}

/** The note that keeps the last line of a step's output. */
export function saidKey(stepId: string): string {
  return `said:${stepId}`
}

export interface OperationResult {
  /** The last line that Mastodon printed; empty where it prints nothing. */
  said: string
}

interface OperationRunbook<O extends object, K extends OperationId> {
  /** The command's id. */
  name: string
  operation: K
  title(options: O): string
  params(toolbox: Toolbox, options: O): Promise<ParamsOf<K>> | ParamsOf<K>
  check?(toolbox: Toolbox, options: O): Promise<void>
  consent?(toolbox: Toolbox, options: O): Promise<Consent>
  long?: boolean
  isDone?(toolbox: Toolbox): Promise<boolean>
}

/** Returns a runbook of this one operation. */
export function appOperation<O extends object, K extends OperationId>(
  parts: OperationRunbook<O, K>,
): Runbook<O, OperationResult> {
  const { name, operation, title, params, check, consent, long, isDone } = parts
  return {
    name,
    check: async (toolbox, options) => {
      await check?.(toolbox, options)
      await toolbox.app.command(operation, await params(toolbox, options))
      toolbox.app.oneOff()
    },
    ...(consent ? { consent } : {}),
    steps: async (_toolbox, options) => [
      operationStep({
        ...{ id: 'run', title: title(options), operation },
        params: toolbox => params(toolbox, options),
        ...(long ? { long } : {}),
        ...(isDone ? { isDone } : {}),
      }),
    ],
    result: async (_toolbox, _options, noted) => ({ said: noted(saidKey('run')) ?? '' }),
  }
}

/** Returns the sentence with what Mastodon itself said, where that says more than `OK`. */
export function withSaid(sentence: string, said: string): string {
  return said === '' || said === 'OK' ? sentence : `${sentence}\nMastodon said: ${said}`
}
