import { messageOf, OperatorError } from '../errors.js'
import type { Toolbox } from '../toolbox.js'
import type { Check, Finding, Occasion } from './check.js'
import { clock } from './clock.js'
import { collation } from './collation.js'
import { configuration } from './configuration.js'
import { database } from './database.js'
import { deadJobs } from './dead-jobs.js'
import { disk } from './disk.js'
import { encryptionKeys } from './encryption-keys.js'
import { indexOrder } from './index-order.js'
import { indexes } from './indexes.js'
import { mail } from './mail.js'
import { migrations } from './migrations.js'
import { pooler } from './pooler.js'
import { postgresVersion } from './postgres-version.js'
import { queues } from './queues.js'
import { railsEnv } from './rails-env.js'
import { redis } from './redis.js'
import { redisNamespace } from './redis-namespace.js'
import { redisVersion } from './redis-version.js'
import { secrets } from './secrets.js'
import { sidekiq } from './sidekiq.js'
import { sidekiqHealthCheck } from './sidekiq-health-check.js'
import { streaming } from './streaming.js'
import { unfinished } from './unfinished-run.js'
import { vapid } from './vapid.js'
import { volumes } from './volumes.js'
import { web } from './web.js'

/** Every check, in the order in which they are shown: what stops the instance first. A new one is a file and a line here. */
export const CHECKS: readonly Check[] = [
  web,
  streaming,
  sidekiq,
  queues,
  sidekiqHealthCheck,
  database,
  redis,
  postgresVersion,
  redisVersion,
  pooler,
  migrations,
  indexes,
  indexOrder,
  collation,
  volumes,
  disk,
  railsEnv,
  secrets,
  encryptionKeys,
  vapid,
  redisNamespace,
  configuration,
  mail,
  deadJobs,
  unfinished,
  clock,
]

export interface CheckResult extends Finding {
  id: string
  title: string
}

/** Runs the checks side by side and returns what they found, in their order. */
export function runChecks(toolbox: Toolbox, checks: readonly Check[]): Promise<CheckResult[]> {
  return Promise.all(checks.map(async check => ({ id: check.id, title: check.title, ...(await look(check, toolbox)) })))
}

/** Returns the checks that are to pass before a procedure. */
export function checksFor(occasion: Occasion): readonly Check[] {
  return CHECKS.filter(check => check.for.includes(occasion))
}

/** What cannot be looked at is no proof that it is bad, and keeps no other check away. */
async function look(check: Check, toolbox: Toolbox): Promise<Finding> {
  try {
    return await check.run(toolbox)
  } catch (error) {
    const fix =
      error instanceof OperatorError ? error.next : 'mstdn-ops doctor --log-level debug, and report what you see.'
    if (error instanceof Error && error.stack) toolbox.output.debug(error.stack)
    const message = `It could not be looked at: ${messageOf(error)}`
    return { state: 'warn', message, ...(fix === undefined ? {} : { fix }) }
  }
}
