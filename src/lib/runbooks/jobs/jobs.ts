import { UsageError } from '../../errors.js'
import { scheduledJob } from '../../mastodon/catalogue.js'
import { queuesOf } from '../../mastodon/queues.js'
import { clearQueue, type Queue, queues, type RubyByHand, retryAll } from '../../redis/sidekiq.js'
import type { Consent, Runbook, Step } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { appOperation } from '../content/app-operation.js'

export interface RunJobOptions {
  /** The name of a scheduled job, or its Ruby class. */
  name: string
}

/** Runs a job of the scheduler now, in a process of the app's own rather than in Sidekiq. */
export const runJob = appOperation<RunJobOptions, 'jobs.run'>({
  name: 'jobs:run',
  operation: 'jobs.run',
  long: true,
  title: ({ name }) => `Run the scheduled job ${name}`,
  params: async (toolbox, { name }) => ({ job: scheduledJob(name, await toolbox.app.version()) }),
})

export interface RetryOptions {
  limit?: number
}

export interface RetryResult {
  moved: number
  /** Entries that are no jobs: they stay where they are. */
  unreadable: number
}

/** Moves the jobs that wait for their next attempt to their queues, the one that is due first first. */
export const retryJobs: Runbook<RetryOptions, RetryResult> = {
  name: 'jobs:retry',
  steps: async (_toolbox, { limit }) => [retryStep(limit)],
  result: async (_toolbox, _options, noted) => JSON.parse(noted('retried') ?? '{"moved":0,"unreadable":0}'),
}

function retryStep(limit: number | undefined): Step {
  return {
    id: 'retry',
    title:
      limit === undefined
        ? 'Retry all failed jobs now'
        : `Retry the next ${limit === 1 ? 'failed job' : plural(limit, 'failed job')} now`,
    effect: 'write',
    repeatable: true,
    needed: async ({ toolbox }) => {
      const redis = await toolbox.redis('sidekiq')
      return Number(await redis.read('ZCARD', redis.key('retry'))) > 0 || 'no job waits for another attempt'
    },
    run: async ({ toolbox, note }) => {
      const options = { byHand: rubyByHand(toolbox), ...(limit === undefined ? {} : { limit }) }
      const { moved, unreadable } = await retryAll(await toolbox.redis('sidekiq'), options)
      await note('retried', JSON.stringify({ moved, unreadable }))
    },
  }
}

export interface ClearOptions {
  queue: string
}

export interface ClearResult {
  queue: string
  dropped: number
}

/** Throws the jobs of a queue away. */
export const clearJobs: Runbook<ClearOptions, ClearResult> = {
  name: 'jobs:clear',
  consent: (toolbox, { queue }) => clearConsent(toolbox, queue),
  steps: async (_toolbox, { queue }) => [clearStep(queue)],
  result: async (_toolbox, { queue }, noted) => ({ queue, dropped: Number(noted('dropped') ?? 0) }),
}

function clearStep(queue: string): Step {
  return {
    id: 'clear',
    title: `Throw away the jobs of the queue ${queue}`,
    effect: 'write',
    atomic: true,
    repeatable: true,
    irreversible: 'the jobs are lost',
    needed: async ({ toolbox }) => (await jobsIn(toolbox, queue)) > 0 || 'no job is in it',
    run: async ({ toolbox, note }) =>
      note('dropped', String(await clearQueue(await toolbox.redis('sidekiq'), queue, rubyByHand(toolbox)))),
  }
}

/** Where the app's commands can be run, its own way to run them; the bare command elsewhere. */
function rubyByHand({ backend }: Toolbox): RubyByHand | undefined {
  const { oneOff } = backend
  return oneOff && (ruby => oneOff.byHand({ argv: ['bin/rails', 'runner', ruby], effect: 'write' }))
}

async function clearConsent(toolbox: Toolbox, queue: string): Promise<Consent> {
  const jobs = await jobsIn(toolbox, queue)
  if (jobs === 0) return { kind: 'none' }
  const loss = LOSSES.get(queue) ?? ''
  const question = `${plural(jobs, 'job')} in the queue ${queue} will be thrown away.${loss} Go on?`
  return { kind: 'yes', question }
}

/** A queue that Mastodon has is there only once a job was put into it. @throws UsageError for any other that is not. */
async function jobsIn(toolbox: Toolbox, queue: string): Promise<number> {
  const known = await queues(await toolbox.redis('sidekiq'))
  const found = known.find(({ name }) => name === queue)
  if (found !== undefined) return found.size
  if (queuesOf(await toolbox.app.version()).some(({ name }) => name === queue)) return 0
  throw unknownQueue(queue, known)
}

function unknownQueue(queue: string, known: readonly Queue[]): UsageError {
  return new UsageError({
    code: 'unknown-queue',
    message: `Sidekiq has no queue "${queue}".`,
    cause: `There are: ${known.map(({ name }) => name).join(', ') || 'none'}. A queue is there once a job was put into it.`,
    next: 'mstdn-ops jobs',
  })
}

/** What nobody sends a second time (config/sidekiq.yml, app/controllers/activitypub/inboxes_controller.rb). */
const LOSSES = new Map([
  ['ingress', ' What other servers sent is lost for ever: they were told that it arrived and do not send it again.'],
  ['mailers', ' Mails in it are never sent: confirmations and password resets must be asked for again.'],
  ['push', ' Posts in it never reach other servers.'],
])
