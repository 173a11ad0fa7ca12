import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Ref, ReleaseBuild, Sources } from '../../backends/release-build.js'
import { UsageError } from '../../errors.js'
import type { UpgradePlan } from '../../mastodon/upgrade/plan.js'
import { lacks } from '../../open-toolbox.js'
import { printableLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { onlyStep, type UpgradeOptions } from './options.js'

export interface DeployOptions extends UpgradeOptions {
  /** What is pushed. */
  sources: Sources
  /** The operator's checkout that was named. */
  checkout?: string
}

/** What the operator said of the sources. */
export interface SaidOfSources {
  backup: boolean
  checkout?: string | undefined
  /** Commits of the operator's own are not taken along; `rebase`: nor is their former history. */
  discard: boolean
  rebase?: boolean
  /** What is deployed in place of the release. */
  ref?: Ref | undefined
}

/**
 * Makes the sources ready, and returns the options of the run that deploys them. Nothing of the instance changes.
 *
 * @throws RefusedError where several releases have to be deployed, or commits of the operator's own are in the way.
 */
export async function deployOptionsOf(
  toolbox: Toolbox,
  plan: UpgradePlan,
  { backup, checkout: given, discard, rebase = false, ref }: SaidOfSources,
): Promise<DeployOptions> {
  const build = buildOf(toolbox)
  if (rebase && ref) throw refNotRebased(ref)
  const { step, leftToDo } = onlyStep(plan)
  const { from, to } = step
  const named = given === undefined ? {} : { checkout: await folderOf(given) }
  toolbox.output.info(`Fetching ${to}, and what the app is made of.`)
  const wanted = { from, to, discard, rebase, ...named, ...(ref && { ref: { name: ref.name, commit: ref.commit } }) }
  const sources = await build.prepare(wanted, text => toolbox.output.info(`  ${text}`))
  if (sources.own.length > 0) toolbox.output.info(ownText(sources))
  // Where it migrates, all of it has to run before the new release serves: the old one is not let loose on that.
  const coexist = step.phases.mode === 'none'
  return { ...{ from, to, phases: 'single', coexist, backup, leftToDo, sources }, ...named }
}

function refNotRebased({ name }: Ref): UsageError {
  return new UsageError({
    code: 'ref-not-rebased',
    message: `--rebase puts commits on top of a release, and ${printableLine(name.slice(0, LONGEST_SHOWN))} is none.`,
    next: 'Leave out --rebase: what the ref leads to is deployed as it is.',
  })
}

/** Characters of a name that are shown. */
export const LONGEST_SHOWN = 60

/** @throws UsageError where there is no such folder. */
export async function folderOf(given: string): Promise<string> {
  const path = resolve(given)
  const found = await stat(path).catch(() => undefined)
  if (given !== '' && found?.isDirectory()) return path
  throw new UsageError({
    code: 'no-such-checkout',
    message: `There is no folder "${printableLine(given)}".`,
    next: 'Name a git checkout of what is deployed: --checkout DIR',
  })
}

function ownText({ own, discards, ref }: Sources): string {
  const lines = own.map(({ id, subject, author }) => `  ${id.slice(0, 12)} ${subject} (${author})`)
  const fate = discards ? 'left out' : 'taken along'
  const whose = ref === undefined || discards ? 'of your own, which Mastodon lacks' : `of ${ref}, which no release has`
  return [`Commits ${printableLine(whose)} and which are ${fate}: ${own.length}`, ...lines].join('\n')
}

/** Returns what builds releases here, or refuses with what to do instead. */
export function buildOf({ backend }: Pick<Toolbox, 'backend'>): ReleaseBuild {
  if (backend.releases?.build && backend.processes && backend.oneOff) return backend.releases.build
  throw lacks(backend, 'releases', 'releases that are built from here', 'Deploy the new release where it is built.')
}
