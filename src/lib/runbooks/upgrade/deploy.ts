import { RefusedError } from '../../errors.js'
import { hasForeignKeys } from '../../mastodon/releases.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Consent, Runbook, Step, StepContext } from '../../runbook/step.js'
import { plural, printableLine, shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { startAllStep, stopAllStep } from '../replace/close.js'
import { safetyBackup, safetyBackupStep } from '../replace/safety-backup.js'
import { formationOf } from '../scale/scale.js'
import { BACKUP, refuseInstance } from './check.js'
import { closedFor, timedCloseStep, timedOpenStep } from './closed.js'
import { buildOf, type DeployOptions } from './deploy-options.js'
import { pushStep } from './deploy-push.js'
import { gateBehindStep, gateInFrontStep } from './gate.js'
import { keysStep } from './keys.js'
import { appliedNoted, migrateStep } from './migrations.js'
import type { UpgradeResult } from './options.js'
import { replicaLag, withReplicas } from './replicas.js'
import { lookStep, noteServed } from './serving.js'
import { tidyStep, timed, tookNoted } from './took.js'
import { CONFIGURED } from './upgrade.js'

/**
 * Upgrades where the platform builds what is pushed to it and puts that into force at once: where something is migrated,
 * everything stands still meanwhile. Until the migrations a failure leaves the old release serving.
 */
export const deploy: Runbook<DeployOptions, UpgradeResult> = {
  name: 'upgrade:deploy',
  check: async (toolbox, options) => {
    buildOf(toolbox)
    formationOf(toolbox)
    refuseBeforeForeignKeys(options)
    await refuseInstance(toolbox, options)
  },
  consent: async (toolbox, options) => consentOf(options, await toolbox.app.domain()),
  steps: async (_toolbox, options) => stepsOf(options).map(timed),
  result: async (toolbox, options, noted) => ({
    ...{ from: options.from, to: options.to, phases: 'single' },
    downtime: closedFor(noted),
    took: tookNoted(stepsOf(options), noted),
    backup: safetyBackup(noted)?.path ?? null,
    ...{ applied: appliedNoted(noted), replicas: replicaLag(noted), kept: [] },
    leftToDo: leftToDo(toolbox, options),
  }),
}

function stepsOf(options: DeployOptions): Step[] {
  const backup = options.backup ? [safetyBackupStep(BACKUP)] : []
  const work = options.coexist ? serving(options) : standingStill(options)
  return [lookStep(), keysStep(options), ...backup, ...work, gateInFrontStep(options), tidyStep()]
}

/** Nothing is migrated: the platform starts the processes anew when it has built the release. */
function serving(options: DeployOptions): Step[] {
  return [pushStep(options), usingKeys(withReplicas(migrateStep('all', options))), gateBehindStep(options)]
}

/** What is built is in force before it migrates. */
function standingStill(options: DeployOptions): Step[] {
  return [
    timedCloseStep(),
    stopAllStep(async () => undefined),
    pushStep(options),
    usingKeys(withReplicas(migrateStep('all', options))),
    startAllStep(),
    gateBehindStep(options),
    timedOpenStep(),
  ]
}

function consentOf({ from, to, backup, coexist, sources }: DeployOptions, domain: string): Consent {
  const loses = [
    ...(sources.discards ? [`${plural(sources.own.length, 'commit')} of your own will not be in what runs.`] : []),
    ...(sources.forced ? ["What only the app's git repository holds is gone from it."] : []),
    ...(backup ? [] : ['No backup is made: once the migrations ran there is no way back.']),
  ]
  if (loses.length > 0) return { kind: 'domain', loses: loses.join(' ') }
  const stop = coexist ? '' : ' It stands still while that is built and migrates.'
  return { kind: 'yes', question: `Upgrade ${domain} from ${from} to ${to}${withWhat(sources)}?${stop}` }
}

function withWhat({ ref, own }: DeployOptions['sources']): string {
  if (ref !== undefined) return `, by the code of ${printableLine(ref)}`
  return own.length === 0 ? '' : ` with ${plural(own.length, 'commit')} of your own`
}

/** Rows without a counterpart would be in the way of the first foreign keys. */
function refuseBeforeForeignKeys({ from, to }: DeployOptions): void {
  if (hasForeignKeys(MastodonVersion.of(from))) return
  throw new RefusedError({
    code: 'era-by-hand',
    message: `Going from ${from} to ${to} is not done from here.`,
    cause: 'The database has rows that would be in the way of its first foreign keys.',
    next: 'Push the release by hand, then mstdn-ops db:migrate and restart.',
  })
}

/** Data may be sealed with the new keys from then on. */
function usingKeys(step: Step): Step {
  const run = async (context: StepContext) => {
    await noteServed(context)
    await step.run(context)
  }
  return { ...step, run }
}

function leftToDo({ instance }: Toolbox, { leftToDo = [], checkout, sources }: DeployOptions): string[] {
  const pull = shellLine(['git', '-C', checkout ?? '.', 'pull', 'heroku', sources.branch])
  return [
    ...leftToDo,
    ...(checkout === undefined ? [] : [`Bring what was deployed into your checkout: ${pull}`]),
    ...(instance.mastodonVersion === undefined ? [] : [CONFIGURED]),
  ]
}
