import type { Watch, WatchedAnswer } from '../../backends/backend.js'
import { isAnswer } from '../../checks/http.js'
import { messageOf } from '../../errors.js'
import { webHealthPath } from '../../mastodon/health.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import type { Downtime } from './options.js'

const EVERY_MS = 100
/** Under this key the run notes what was seen so far. */
const NOTE = 'downtime'

/** What one process of this tool sees. */
interface Seen {
  watch: Watch | undefined
  answers: WatchedAnswer[]
  /** Whether somebody looked until it was to end. */
  whole: boolean
  /** What was seen before the run was gone on with. */
  before: Downtime | undefined
}

const seen = new WeakMap<Toolbox, Seen>()

/** Returns the step with the health page being asked for meanwhile, and until the next one that asks. */
export function watched(from: string, step: Step): Step {
  const run = async (context: StepContext) => {
    await begin(context, from)
    try {
      await step.run(context)
      await noteSeen(context)
    } catch (error) {
      await stopWatching(context)
      throw error
    }
  }
  const undo = async (context: StepContext) => {
    await stopWatching(context)
    await step.undo?.(context)
  }
  return { ...step, run, undo }
}

/** Stops asking, and notes what was seen. */
export function endWatchStep(): Step {
  return {
    id: 'watched',
    title: 'Sum up for how long the instance did not answer',
    effect: 'read',
    run: async context => {
      await stopWatching(context)
      await noteSeen(context)
    },
  }
}

/** Returns what the run has noted; null where nothing could look. */
export function downtimeNoted(noted: StepContext['noted']): Downtime | null {
  return JSON.parse(noted(NOTE) ?? 'null') as Downtime | null
}

/**
 * Returns for how long nobody got an answer: from the last answer before a question that failed to the next one after it.
 * A question counts as failed when it was asked, and as answered when the answer came: one that is asked while a
 * container has its address and no network yet is sent again after a second, and is answered by what runs by then.
 */
export function downtimeOf(answers: readonly WatchedAnswer[]): Omit<Downtime, 'whole'> {
  const sum = { milliseconds: 0, outages: 0 }
  let answered: number | undefined
  let over: number | undefined
  let since: number | undefined
  let last = 0
  for (const { time, good } of eventsOf(answers)) {
    last = time
    if (!good) {
      if (since === undefined && (over === undefined || over !== answered)) sum.outages += 1
      since ??= answered ?? time
    } else {
      if (since !== undefined) {
        sum.milliseconds += time - since
        over = time
      }
      since = undefined
      answered = time
    }
  }
  return since === undefined ? sum : { ...sum, milliseconds: sum.milliseconds + last - since }
}

function eventsOf(answers: readonly WatchedAnswer[]): { time: number; good: boolean }[] {
  const events = answers.map(({ at, answeredAt, code }) => {
    const good = isAnswer(code)
    return { time: good ? answeredAt : at, good }
  })
  return events.sort((a, b) => a.time - b.time || Number(a.good) - Number(b.good))
}

async function begin(context: StepContext, from: string): Promise<void> {
  const { toolbox, dryRun } = context
  if (dryRun || seen.has(toolbox)) return
  const record: Seen = { watch: undefined, answers: [], whole: true, before: downtimeNoted(context.noted) ?? undefined }
  seen.set(toolbox, record)
  const page = { path: webHealthPath(MastodonVersion.of(from)), host: await toolbox.app.domain(), everyMs: EVERY_MS }
  try {
    record.watch = await toolbox.backend.processes?.watch?.(page, answer => record.answers.push(answer))
  } catch (error) {
    toolbox.output.warn(`The downtime is not measured: ${messageOf(error)}`)
  }
}

async function stopWatching({ toolbox }: StepContext): Promise<void> {
  const record = seen.get(toolbox)
  if (record?.watch === undefined) return
  record.whole = (await record.watch.stop()) && record.whole
  record.watch = undefined
}

async function noteSeen({ toolbox, note, dryRun }: StepContext): Promise<void> {
  const record = seen.get(toolbox)
  if (dryRun || record === undefined || record.answers.length === 0) return
  const now = downtimeOf(record.answers)
  const { milliseconds = 0, outages = 0 } = record.before ?? {}
  const whole = record.before === undefined && record.whole
  const sum = { milliseconds: milliseconds + now.milliseconds, outages: outages + now.outages, whole }
  await note(NOTE, JSON.stringify(sum))
}
