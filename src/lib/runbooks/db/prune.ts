import { join } from 'node:path'
import { failedAttempt } from '../../backups/attempts.js'
import { type Judged, judge } from '../../backups/retention.js'
import { bytesOf, isProven, type StoredBackup, storeOf } from '../../backups/store.js'
import { RefusedError } from '../../errors.js'
import type { Keep } from '../../instance.js'
import type { Consent, Runbook, Step, StepContext } from '../../runbook/step.js'
import { humanBytes, plural, printableLine, shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { expiredStep } from './expired.js'

export interface PruneOptions {
  keep: Required<Keep>
  /** Backups with one of these labels stay. */
  labels: string[]
}

export interface PruneResult {
  removed: { name: string; bytes: number; reason: string }[]
  /** How many backups of the instance are left. */
  left: number
}

type Going = PruneResult['removed'][number]

/**
 * Removes the backups that no rule keeps. Nothing goes when the newest attempt to make one failed. A killed run leaves
 * whole backups, and at most one that is half removed and not listed any more.
 */
export const prune: Runbook<PruneOptions, PruneResult> = {
  name: 'db:prune',
  disposable: true,
  check: toolbox => refuseAfterFailure(toolbox),
  consent: async (toolbox, options) => {
    await refuseAfterFailure(toolbox)
    return consentOf(await goingOf(toolbox, options))
  },
  steps: async (toolbox, options) => {
    const going = await goingOf(toolbox, options)
    return [...going.map(removeStep), expiredStep()]
  },
  result: async (toolbox, _options, noted) => ({
    removed: removedSoFar(noted),
    left: (await ownBackups(toolbox)).length,
  }),
}

/** In a folder that instances share by mistake, each removes its own. */
async function ownBackups(toolbox: Toolbox): Promise<StoredBackup[]> {
  const domain = await toolbox.app.domain()
  const { backups } = await storeOf(toolbox).list()
  return backups.filter(({ manifest }) => manifest.instance.domain === domain)
}

async function refuseAfterFailure(toolbox: Toolbox): Promise<void> {
  const { broken } = await storeOf(toolbox).list()
  const backups = await ownBackups(toolbox)
  const failed = await failedAttempt({ backups, broken }, toolbox.instance.name, toolbox.clock.now())
  if (failed === undefined) return
  throw new RefusedError({
    code: 'newest-backup-failed',
    message: `${failed.name} is the newest attempt, and it failed: no older backup is removed.`,
    cause: printableLine(failed.problem ?? ''),
    next: 'Make a backup that succeeds: mstdn-ops db:backup. Where its disk is full, make room by hand.',
  })
}

async function goingOf(toolbox: Toolbox, { keep, labels }: PruneOptions): Promise<Going[]> {
  const backups = await ownBackups(toolbox)
  const candidates = backups.map(backup => ({
    name: backup.name,
    at: new Date(backup.manifest.startedAt),
    proven: isProven(backup),
    pinned: labels.includes(backup.manifest.label ?? ''),
  }))
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const judged = judge(candidates, { keep, now: toolbox.clock.now(), zone })
  return judged.flatMap((one, at) => goingFrom(one, backups[at]))
}

function goingFrom({ name, stays, reason }: Judged, backup: StoredBackup | undefined): Going[] {
  return stays || backup === undefined ? [] : [{ name, bytes: bytesOf(backup), reason }]
}

function consentOf(going: readonly Going[]): Consent {
  if (going.length === 0) return { kind: 'none' }
  const lines = going.map(({ name, bytes, reason }) => `  ${name} (${humanBytes(bytes)}): ${reason}`)
  return { kind: 'yes', question: `${lines.join('\n')}\nRemove ${plural(going.length, 'backup')} for good?` }
}

function removeStep(going: Going): Step {
  return {
    id: `remove-${going.name}`,
    title: `Remove ${going.name}: ${going.reason}`,
    effect: 'write',
    repeatable: true,
    irreversible: 'a backup that was removed is gone',
    run: context => remove(context, going),
  }
}

async function remove({ toolbox, dryRun, note, noted }: StepContext, going: Going): Promise<void> {
  const store = storeOf(toolbox)
  const line = shellLine(['rm', '-r', join(store.dir, going.name)])
  toolbox.ledger.record({ kind: 'file', exact: line, byHand: line })
  if (dryRun) return
  await store.remove(going.name).catch(error => {
    throw notRemoved(going.name, error)
  })
  await note('removed', JSON.stringify([...removedSoFar(noted), going]))
}

function removedSoFar(noted: StepContext['noted']): Going[] {
  return JSON.parse(noted('removed') ?? '[]') as Going[]
}

function notRemoved(name: string, error: Error): RefusedError {
  return new RefusedError({
    code: 'backup-not-removed',
    message: `The backup ${name} could not be removed.`,
    cause: error.message,
    next: 'Correct the owner or mode of its folder, then run the command again.',
  })
}
