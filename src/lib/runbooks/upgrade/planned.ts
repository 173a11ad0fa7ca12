import { RefusedError } from '../../errors.js'
import { type Availability, availableReleases } from '../../mastodon/upgrade/available.js'
import { type UpgradePlan, upgradePath } from '../../mastodon/upgrade/plan.js'
import { newestPlannable } from '../../mastodon/upgrade/stops.js'
import type { UpgradeSurroundings } from '../../mastodon/upgrade/surroundings.js'
import type { Toolbox } from '../../toolbox.js'
import { surroundingsOf } from './surroundings.js'

/** Returns the releases that are newer than the installed one; the instance's UPDATE_CHECK_URL says who is asked. */
export async function updatesFor(toolbox: Toolbox): Promise<Availability> {
  const config = await toolbox.app.config().catch(() => new Map<string, string>())
  const url = config.get('UPDATE_CHECK_URL') ?? toolbox.instance.ambient.updateCheckUrl
  return availableReleases(await toolbox.app.version(), { url })
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

/** Returns why the plan may not go ahead, as one refusal that names every reason; undefined where it may. */
export function refusalOf({ from, to, refusals }: UpgradePlan): RefusedError | undefined {
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
