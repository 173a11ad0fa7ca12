import type { ReleaseChange } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { appliedMigrations, migrationFiles } from '../../mastodon/migrations.js'
import { type Availability, availableReleases } from '../../mastodon/upgrade/available.js'
import { type UpgradePlan, upgradePath } from '../../mastodon/upgrade/plan.js'
import { newestPlannable } from '../../mastodon/upgrade/stops.js'
import type { UpgradeSurroundings } from '../../mastodon/upgrade/surroundings.js'
import { printableLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import type { NamedRef } from './ref.js'
import { surroundingsOf } from './surroundings.js'

/** Returns the releases that are newer than the installed one; the instance's UPDATE_CHECK_URL says who is asked. */
export async function updatesFor(toolbox: Toolbox): Promise<Availability> {
  const config = await toolbox.app.config().catch(() => new Map<string, string>())
  const url = config.get('UPDATE_CHECK_URL') ?? toolbox.instance.ambient.updateCheckUrl
  return availableReleases(await toolbox.app.version(), { url })
}

/** Returns the plan to what is no release: to the one that its code calls itself. */
export async function plannedTo(toolbox: Toolbox, { name, commit, version }: NamedRef): Promise<UpgradePlan> {
  return { ...(await plannedUpgrade(toolbox, version)), ref: { name: printableLine(name), commit } }
}

/** Returns the plan to a release; to the newest that can be planned, where none is named. */
export async function plannedUpgrade(toolbox: Toolbox, target?: string): Promise<UpgradePlan> {
  const installed = (await toolbox.app.version()).toString()
  const to = target ?? newestPlannable((await updatesFor(toolbox)).available) ?? installed
  const unseen = upgradePath(to, unseenOf(installed))
  const isSettled = unseen.steps.length === 0 && !DEPENDS_ON_SCHEMA.has(unseen.refusals[0]?.code ?? '')
  return isSettled ? unseen : upgradePath(to, await surroundingsOf(toolbox))
}

/** A build of its own may have the schema of the release all the same. */
const DEPENDS_ON_SCHEMA: ReadonlySet<string> = new Set(['fork'])

/** Nothing was looked at: enough to see that there is nothing to do, or no path. */
function unseenOf(installed: string): UpgradeSurroundings {
  return {
    ...{ installed, schema: null, variables: null, services: null, queues: null, runtimes: null },
    servers: { postgres: null, redis: null },
    can: { images: false, beside: false, appliesAtOnce: false },
  }
}

/**
 * Returns why the plan may not go ahead, as one refusal that names every reason; undefined where it may.
 *
 * @param met the codes of refusals that the upgrade itself takes care of
 */
export function refusalOf(
  { from, to, refusals: all }: UpgradePlan,
  met: ReadonlySet<string> = new Set(),
): RefusedError | undefined {
  const refusals = all.filter(({ code }) => !met.has(code))
  const [first, ...others] = refusals
  if (first === undefined) return undefined
  if (others.length === 0) return new RefusedError(first)
  return new RefusedError({
    code: 'upgrade-refused',
    message: `${refusals.length} things are in the way of upgrading Mastodon ${from} to ${to}.`,
    cause: refusals.map(({ message }) => message).join('\n'),
    next: refusals.map(({ next }) => next).join('\n'),
  })
}

const AHEAD = 'database-ahead'

/** Returns the codes of the plan's refusals that carrying it out takes care of here. */
export async function metByRun(toolbox: Toolbox, plan: UpgradePlan): Promise<ReadonlySet<string>> {
  const change = toolbox.backend.releases?.change
  const isAhead = plan.refusals.some(({ code }) => code === AHEAD)
  return new Set(change && isAhead && (await wasBegun(toolbox, change, plan)) ? [AHEAD] : [])
}

/** Whether the database is ahead by nothing but first migrations of the target: an upgrade was gone back from. */
async function wasBegun(toolbox: Toolbox, change: ReleaseChange, { to }: UpgradePlan): Promise<boolean> {
  if (!(await change.isHere(to))) return false
  const applied = await appliedMigrations(toolbox)
  const own = (await migrationFiles(toolbox)).map(({ id }) => id)
  const first = (await migrationFiles(toolbox, { release: to })).filter(({ phase }) => phase === 'pre')
  const known = new Set([...own, ...first.map(({ id }) => id)])
  return own.every(id => applied.has(id)) && [...applied].every(id => known.has(id))
}
