import { storeOf } from '../../../backups/store.js'
import type { Runbook, Step, StepContext } from '../../../runbook/step.js'
import type { Toolbox } from '../../../toolbox.js'
import { nothingToDo } from '../options.js'
import { fetchStep } from '../serving.js'
import { refuseRehearsal } from './check.js'
import { compareStep, schemaNoted } from './compare.js'
import { diskSeen, phasesSeen, placeStep, rehearseStep } from './migrate.js'
import type { Forecast, PhaseSeen, RehearsalOptions, RehearsalResult } from './options.js'
import { clearStep, MAY_CONNECT, removeStep, restoreStep, SOURCE } from './scratch.js'

/**
 * Carries the migrations of an upgrade out in a database of its own, with the target release in a network of its own, and
 * tells what the upgrade will be. Everything that it makes is removed at its end.
 */
export const rehearse: Runbook<RehearsalOptions, RehearsalResult> = {
  name: 'upgrade:rehearse',
  disposable: true,
  check: refuseRehearsal,
  steps: async (_toolbox, options) => (nothingToDo(options.upgrade) ? [] : stepsOf(options)),
  result: (toolbox, options, noted) => resultOf(toolbox, options, noted),
}

function stepsOf(options: RehearsalOptions): Step[] {
  const { upgrade } = options
  const phases = upgrade.phases === 'two' ? (['pre', 'post'] as const) : (['all'] as const)
  return [
    fetchStep(upgrade),
    clearStep(),
    // A server of its own has to be there first; the live one is connected no longer than it must be.
    ...(options.in !== 'server'
      ? [placeStep(options), restoreStep(options)]
      : [restoreStep(options), placeStep(options)]),
    ...phases.map(phase => rehearseStep(phase, options)),
    compareStep(options),
    removeStep(options),
  ]
}

async function resultOf(
  toolbox: Toolbox,
  { upgrade, in: where }: RehearsalOptions,
  noted: StepContext['noted'],
): Promise<RehearsalResult> {
  const { from, to, phases } = upgrade
  const seen = phasesSeen(noted)
  const failed = seen.map(one => one.failed).find(one => one !== null) ?? null
  const why = failed === null ? schemaNoted(noted) : `${failed.name ?? failed.id ?? 'A migration'} failed.`
  const disk = diskSeen(noted) ?? { before: 0, after: 0, log: null }
  const forecast = forecastOf(seen, { mayGoAhead: why === null, single: phases === 'single', disk })
  return {
    ...{ from, to, phases, ok: why === null, why, failed, disk, in: where },
    source: JSON.parse(noted(SOURCE) ?? '{}') as RehearsalResult['source'],
    migrations: seen.flatMap(({ migrations }) => migrations),
    locks: seen.flatMap(({ locks }) => locks).sort((a, b) => b.seconds - a.seconds),
    rewrites: seen.flatMap(({ rewrites }) => rewrites),
    unseen: seen.map(({ unseen }) => unseen).find(one => one !== null) ?? null,
    mayConnectTo: JSON.parse(noted(MAY_CONNECT) ?? '[]') as string[],
    forecast: { ...forecast, backupSeconds: await lastBackupSeconds(toolbox) },
  }
}

function forecastOf(
  seen: readonly PhaseSeen[],
  { mayGoAhead, single, disk }: { mayGoAhead: boolean; single: boolean; disk: RehearsalResult['disk'] },
): Omit<Forecast, 'backupSeconds'> {
  const migrationSeconds = seen.reduce((sum, { seconds }) => sum + seconds, 0)
  const diskBytes = Math.max(0, disk.after - disk.before) + (disk.log ?? 0)
  return { mayGoAhead, migrationSeconds, stoppedSeconds: single ? migrationSeconds : 0, diskBytes }
}

async function lastBackupSeconds(toolbox: Toolbox): Promise<number | null> {
  const [newest] = (await storeOf(toolbox).list()).backups
  if (newest === undefined) return null
  return Object.values(newest.manifest.took).reduce((sum, ms) => sum + ms, 0) / 1_000
}
