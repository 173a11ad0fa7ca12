import type { Consent, Runbook, Step } from '../../runbook/step.js'
import { safetyBackup, safetyBackupStep } from '../replace/safety-backup.js'
import { BACKUP, refuse } from './check.js'
import { downtimeNoted, endWatchStep, watched } from './downtime.js'
import { gateStep } from './gate.js'
import { keysStep } from './keys.js'
import { appliedNoted, migrateStep } from './migrations.js'
import { nothingToDo, type UpgradeOptions, type UpgradeResult } from './options.js'
import { replicaLag, withReplicas } from './replicas.js'
import { bringStep, fetchStep, lookStep, stopStep, switchStep } from './serving.js'
import { tidyStep, timed, tookNoted } from './took.js'

export type { UpgradeOptions, UpgradeResult } from './options.js'

/**
 * Puts another release in the place of the installed one. In two phases the old one serves until the new one is started
 * in its place; until the post-deployment migrations, a failure leaves the old one serving.
 */
export const upgrade: Runbook<UpgradeOptions, UpgradeResult> = {
  name: 'upgrade',
  check: refuse,
  consent: async (toolbox, options) => consentOf(options, await toolbox.app.domain()),
  steps: async (_toolbox, options) => (nothingToDo(options) ? [] : stepsOf(options).map(timed)),
  result: async (toolbox, options, noted) => ({
    from: options.from,
    to: options.to,
    phases: options.phases,
    downtime: downtimeNoted(noted),
    took: tookNoted(nothingToDo(options) ? [] : stepsOf(options), noted),
    backup: safetyBackup(noted)?.path ?? null,
    applied: appliedNoted(noted),
    replicas: replicaLag(noted),
    kept: JSON.parse(noted('kept') ?? '[]') as string[],
    leftToDo: [...(options.leftToDo ?? []), ...(toolbox.instance.mastodonVersion === undefined ? [] : [CONFIGURED])],
  }),
}

export const CONFIGURED = 'Take mastodon_version out of mstdn-ops.yaml, or write the new version there.'

function consentOf(options: UpgradeOptions, domain: string): Consent {
  if (nothingToDo(options)) return { kind: 'none' }
  if (!options.backup) {
    return { kind: 'domain', loses: 'No backup is made: once the post-deployment migrations ran there is no way back.' }
  }
  return { kind: 'yes', question: `Upgrade ${domain} from ${options.from} to ${options.to}?` }
}

function stepsOf(options: UpgradeOptions): Step[] {
  const before = [
    fetchStep(options),
    lookStep(),
    keysStep(options),
    ...(options.backup ? [safetyBackupStep(BACKUP)] : []),
  ]
  const work = options.phases === 'two' ? twoPhases(options) : singlePhase(options)
  return [...before, ...work.map(step => watched(options.from, step)), endWatchStep(), tidyStep()]
}

function twoPhases(options: UpgradeOptions): Step[] {
  return [
    withReplicas(migrateStep('pre', options)),
    switchStep(options),
    bringStep(options),
    gateStep('gate', options),
    withReplicas(migrateStep('post', options)),
    gateStep('gate-again', options),
  ]
}

function singlePhase(options: UpgradeOptions): Step[] {
  return [
    stopStep(),
    withReplicas(migrateStep('all', options)),
    switchStep(options),
    bringStep(options),
    gateStep('gate', options),
  ]
}
