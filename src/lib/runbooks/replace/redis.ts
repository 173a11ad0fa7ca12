import { join } from 'node:path'
import { runsDir } from '../../paths.js'
import { openRedis, type RedisDatabase } from '../../redis/access.js'
import { drainSidekiq } from '../../redis/drain.js'
import { dropSavedJobs, type PendingJobs, pendingJobs, replayJobs, saveJobs } from '../../redis/jobs-aside.js'
import { type Ownership, type RemovableKind, unlinkOwned } from '../../redis/owned.js'
import { redisServers } from '../../redis/servers.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'

/** They speak of rows of the database that is replaced; the bookkeeping of Sidekiq holds locks of jobs that are set aside. */
const STALE: readonly RemovableKind[] = ['feeds', 'cache', 'volatile', 'sidekiq']

/** Works on every Redis server of the instance, the main one first. */
export async function eachRedis(
  toolbox: Toolbox,
  work: (redis: RedisDatabase, ownership: Ownership) => Promise<void>,
): Promise<void> {
  if (toolbox.backend.redis === undefined) return
  const version = await toolbox.app.version()
  for (const { roles, connector } of await redisServers(toolbox.backend.redis, version)) {
    const redis = await openRedis(connector, { ledger: toolbox.ledger, dryRun: toolbox.dryRun })
    try {
      await work(redis, { version, roles })
    } finally {
      await redis.close()
    }
  }
}

/** Lets Sidekiq work its queues off for so many seconds, and end what it has begun. */
export function drain(seconds: number): (context: StepContext) => Promise<void> {
  return ({ toolbox, progress }) =>
    eachRedis(toolbox, async (redis, { roles }) => {
      if (!roles.includes('sidekiq')) return
      await drainSidekiq(redis, {
        seconds,
        onProgress: load => progress(`${plural(load.busy, 'job')} under way, ${plural(load.waiting, 'job')} waiting`),
      })
    })
}

/** A job of the replaced database may speak of rows that are no more: pending jobs are kept in a file, not run. */
export function jobsAsideStep(): Step {
  return {
    id: 'jobs-aside',
    title: 'Set pending jobs aside, into a file',
    effect: 'write',
    needed: async ({ toolbox }) => toolbox.backend.redis !== undefined || 'there is no Redis here',
    run: context => setAside(context),
    undo: context => putBack(context),
  }
}

async function setAside(context: StepContext): Promise<void> {
  const { toolbox } = context
  await eachRedis(toolbox, async (redis, { roles }) => {
    if (!roles.includes('sidekiq')) return
    const path = jobsFile(context)
    if (!context.dryRun) await context.note('jobs-file', path)
    const saved = redis.dryRun ? await pendingJobs(redis) : await saveJobs(redis, path, toolbox.clock.now())
    await context.note('jobs', JSON.stringify(saved))
    await dropSavedJobs(redis, path)
  })
}

/** Puts the jobs back where they were; does nothing where none were set aside. */
export async function putBack(context: StepContext): Promise<void> {
  const path = context.noted('jobs-file')
  if (path === undefined || context.noted('jobs') === undefined) return
  await eachRedis(context.toolbox, async (redis, { roles }) => {
    if (roles.includes('sidekiq')) await replayJobs(redis, path)
  })
}

function jobsFile({ toolbox, runId }: StepContext): string {
  return join(runsDir(toolbox.instance.name), `${runId}.jobs`)
}

/** What was set aside, of a run's notes. */
export interface JobsAside extends PendingJobs {
  file: string
}

export function jobsAside(noted: (key: string) => string | undefined): JobsAside | null {
  const [file, jobs] = [noted('jobs-file'), noted('jobs')]
  return file === undefined || jobs === undefined ? null : { file, ...(JSON.parse(jobs) as PendingJobs) }
}

/** Takes away what Redis holds of the replaced database: feeds, cache, locks. Never what is another application's. */
export function clearRedisStep(): Step {
  return {
    id: 'clear-redis',
    title: 'Remove feeds, cache and locks of the replaced database from Redis',
    effect: 'write',
    needed: async ({ toolbox }) => toolbox.backend.redis !== undefined || 'there is no Redis here',
    run: ({ toolbox, progress }) =>
      eachRedis(toolbox, async (redis, ownership) => {
        await unlinkOwned(redis, ownership, STALE, { onProgress: removed => progress(plural(removed, 'key')) })
      }),
    // All of it is made anew by itself, feeds not before their owners come back.
    undo: async ({ toolbox }) =>
      toolbox.output.warn('Home feeds may have been removed. They are built anew by: mstdn-ops feeds:build'),
  }
}

/** Under this key a run notes that it has put the jobs back. */
const REPLAYED = 'jobs-replayed'

/** Whether the jobs that were set aside are to be run all the same. */
export function jobsReplayed(noted: (key: string) => string | undefined): boolean {
  return noted(REPLAYED) === 'yes'
}

/** Insists that the jobs of the replaced database are run. */
export function replayStep(): Step {
  return {
    id: 'replay-jobs',
    title: 'Put the pending jobs back',
    effect: 'write',
    repeatable: true,
    run: async context => {
      await putBack(context)
      await context.note(REPLAYED, 'yes')
    },
    // They are where they were before they were set aside.
    undo: async () => undefined,
  }
}
