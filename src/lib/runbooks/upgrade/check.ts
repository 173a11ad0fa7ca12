import type { ReleasePart } from '../../backends/backend.js'
import { collation } from '../../checks/collation.js'
import { runChecks } from '../../checks/index.js'
import { indexOrder } from '../../checks/index-order.js'
import { indexes } from '../../checks/indexes.js'
import { volumes } from '../../checks/volumes.js'
import { RefusedError } from '../../errors.js'
import { redisNamespaceState, sidekiqMajorsIn } from '../../mastodon/health.js'
import { sidekiqMajors } from '../../mastodon/queues.js'
import { hasForeignKeys, imagesShipAssets } from '../../mastodon/releases.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Toolbox } from '../../toolbox.js'
import { backup } from '../db/backup.js'
import { refusePooler } from '../db/migrate.js'
import { missingSecrets } from './keys.js'
import { changeOf, nothingToDo, type UpgradeOptions } from './options.js'
import { refuseOwners } from './owners.js'

/** The backup that is made before an upgrade. */
export const BACKUP = { with: [], label: 'upgrade' } satisfies Parameters<typeof backup.steps>[1]

/** Refuses what is in the way of the upgrade. */
export async function refuse(toolbox: Toolbox, options: UpgradeOptions): Promise<void> {
  const change = changeOf(toolbox)
  if (nothingToDo(options)) return
  refuseEra(options)
  refuseHealthCheck(await change.parts(options.to), options)
  await refuseInstance(toolbox, options)
}

/** Refuses what of the instance itself is in the way. */
export async function refuseInstance(toolbox: Toolbox, options: UpgradeOptions): Promise<void> {
  await refusePooler(toolbox)
  await refuseOwners(toolbox)
  await refuseBadState(toolbox)
  await refuseConfiguration(toolbox, options)
  if (options.backup) await backup.check?.(toolbox, BACKUP)
}

/** What these releases need besides is done by hand: rows without a counterpart deleted, assets compiled. */
function refuseEra({ from, to }: UpgradeOptions): void {
  const [old, target] = [MastodonVersion.of(from), MastodonVersion.of(to)]
  if (target.isOlderThan(old)) {
    throw new RefusedError({
      code: 'downgrade',
      message: `${to} is older than ${from}: migrations are not taken back.`,
      next: 'To go back to a state of before, restore a backup: mstdn-ops db:backups',
    })
  }
  if (imagesShipAssets(target) && hasForeignKeys(old)) return
  throw new RefusedError({
    code: 'era-by-hand',
    message: `Going from ${from} to ${to} is not done from here.`,
    cause: hasForeignKeys(old)
      ? 'The images of that release hold no compiled assets.'
      : 'The database has rows that would be in the way of its first foreign keys.',
    next: 'Change the images by hand, then mstdn-ops db:migrate, assets:precompile and restart.',
  })
}

async function refuseBadState(toolbox: Toolbox): Promise<void> {
  const found = await runChecks(toolbox, [volumes, indexes, indexOrder, collation])
  const bad = found.find(({ state }) => state === 'bad')
  if (bad === undefined) return
  throw new RefusedError({
    code: `bad-${bad.id}`,
    message: 'The instance is not in a state to be upgraded.',
    cause: bad.message,
    ...(bad.fix === undefined ? {} : { next: bad.fix }),
  })
}

async function refuseConfiguration(toolbox: Toolbox, options: UpgradeOptions): Promise<void> {
  const { config } = toolbox.backend
  if (config === undefined) return
  const missing = await missingSecrets(config, options)
  if (missing.length > 0) throw noSecrets(options, missing, config.where)
  const namespace = (await config.stored()).get('REDIS_NAMESPACE')
  if (namespace && redisNamespaceState(MastodonVersion.of(options.to)) === 'fatal') throw namespaceSet(options)
}

function noSecrets({ to }: UpgradeOptions, names: readonly string[], where: string): RefusedError {
  return new RefusedError({
    code: 'secrets-missing',
    message: `${names.join(', ')} must be set for the upgrade to ${to}.`,
    cause: `${where} does not set it.`,
    next: `Set it as it was when the instance was made: mstdn-ops config:set ${names[0]}`,
  })
}

function namespaceSet({ to }: UpgradeOptions): RefusedError {
  return new RefusedError({
    code: 'redis-namespace-set',
    message: `${to} does not start while REDIS_NAMESPACE is set.`,
    cause: 'From 4.4.0 on all keys stand in Redis without a prefix.',
    next: 'mstdn-ops redis:drop-namespace (still with the old release)',
  })
}

/** A check that looks for another major would call a sound Sidekiq unhealthy. */
function refuseHealthCheck(parts: readonly ReleasePart[], { to }: UpgradeOptions): void {
  const right = sidekiqMajors(MastodonVersion.of(to))
  const wrong = parts.find(({ healthCommand = '' }) => {
    const majors = sidekiqMajorsIn(healthCommand)
    return majors.length > 0 && right.length > 0 && !majors.some(major => right.includes(major))
  })
  if (wrong === undefined) return
  throw new RefusedError({
    code: 'sidekiq-health-check',
    message: `The health check of ${wrong.name} would call Sidekiq of ${to} unhealthy.`,
    cause: `It looks for Sidekiq ${sidekiqMajorsIn(wrong.healthCommand ?? '').join(' or ')}; ${to} comes with ${right.join(' or ')}.`,
    next: `In the compose file let the healthcheck of ${wrong.name} look for sidekiq\\ [678], which is right before and after, and try again.`,
  })
}
