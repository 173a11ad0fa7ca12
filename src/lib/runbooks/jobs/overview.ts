import { missingQueues, queuesOf } from '../../mastodon/queues.js'
import { processes, queues, type SidekiqProcess, type SidekiqStats, stats } from '../../redis/sidekiq.js'
import { humanDuration, plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'

export interface QueueState {
  name: string
  size: number
  /** Seconds that the oldest job has waited; null when it does not say. */
  latency: number | null
  /** How many living processes take jobs from it. */
  listeners: number
}

export interface JobsOverview {
  queues: QueueState[]
  processes: SidekiqProcess[]
  stats: SidekiqStats
  /** What is wrong, in sentences; empty when all is well. */
  problems: string[]
}

/** A heartbeat comes every 5 or 10 seconds: after so many the process hangs. */
const OLDEST_BEAT = 60
/** Seconds that a job may wait before a queue counts as behind. */
const LONGEST_WAIT = 600

/** Returns what Sidekiq has to do, who does it, and what is wrong. */
export async function readJobs(toolbox: Toolbox): Promise<JobsOverview> {
  const redis = await toolbox.redis('sidekiq')
  const now = toolbox.clock.now()
  const alive = await processes(redis, now)
  const version = await toolbox.app.version()
  const used = await queues(redis, now)
  const listened = alive.filter(process => !process.quiet).flatMap(process => process.queues)
  const names = [...new Set([...queuesOf(version).map(queue => queue.name), ...used.map(queue => queue.name)])]
  const states = names.map(name => {
    const queue = used.find(each => each.name === name)
    const listeners = listened.filter(each => each === name).length
    return { name, size: queue?.size ?? 0, latency: queue === undefined ? 0 : (queue.latency ?? null), listeners }
  })
  // Without any process it goes without saying that nobody listens to each of the queues.
  const missing = alive.length === 0 ? [] : missingQueues(version, listened)
  const problems = [...processProblems(alive), ...missing.map(unheard), ...states.flatMap(queueProblems)]
  return { queues: states, processes: alive, stats: await stats(redis), problems }
}

function processProblems(alive: readonly SidekiqProcess[]): string[] {
  if (alive.length === 0) return ['No Sidekiq process runs: nothing is worked off.']
  const silent = alive.filter(({ beatAge }) => beatAge === undefined || beatAge > OLDEST_BEAT)
  return silent.map(({ identity, beatAge }) => {
    const since = beatAge === undefined ? 'it never sent one' : `the last was ${humanDuration(beatAge)} ago`
    return `Sidekiq process ${identity} sends no heartbeat: ${since}.`
  })
}

function unheard({ name, carries }: { name: string; carries: string }): string {
  return `Nobody takes jobs from the queue ${name}, which carries ${carries}.`
}

function queueProblems({ name, size, latency, listeners }: QueueState): string[] {
  if (latency === null || latency <= LONGEST_WAIT) return []
  const who = listeners === 0 ? 'nobody takes them' : `${plural(listeners, 'process takes', 'processes take')} them`
  return [`The queue ${name} is behind: ${plural(size, 'job')}, the oldest for ${humanDuration(latency)}; ${who}.`]
}
