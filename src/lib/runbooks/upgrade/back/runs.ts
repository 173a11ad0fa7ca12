import { RefusedError } from '../../../errors.js'
import { runsDir } from '../../../paths.js'
import { findRun, listRuns, type RunRecord, unfinishedRun } from '../../../runbook/journal.js'
import { unfinishedError } from '../../../runbook/run.js'
import type { Toolbox } from '../../../toolbox.js'
import { type Kept, keptHere, theKept } from '../../db/kept.js'
import { FORMER } from '../deploy-push.js'
import type { UpgradeOptions } from '../options.js'
import { WRITTEN } from '../serving.js'

/** What journals call the runs that take an upgrade back, by what they call the upgrade. */
export const BACK = 'upgrade:back'
export const DEPLOYED_BACK = 'upgrade:deploy-back'
const BACKS: readonly string[] = [BACK, DEPLOYED_BACK]
const UPGRADES: readonly string[] = ['upgrade', 'upgrade:deploy']

/** What a rollback takes back: the run of an upgrade (`deployed`: of one that the platform built), or one that replaced the database. */
export type Target = { upgrade: RunRecord } | { deployed: RunRecord } | { kept: Kept }

/** Returns what the run did, or the newest run that can be taken back. @throws RefusedError where there is none. */
export async function targetOf(toolbox: Toolbox, runId: string | undefined): Promise<Target> {
  await refuseUnfinished(toolbox)
  if (runId !== undefined) {
    const named = await findRun(runsDir(toolbox.instance.name), runId)
    if (named !== undefined && isUpgrade(named)) return targetFrom(await theUpgrade(toolbox, runId))
    return { kept: await theKept(toolbox, runId) }
  }
  const upgrade = (await upgradesHere(toolbox)).at(-1)
  if (upgrade === undefined) return { kept: await theKept(toolbox, undefined) }
  const [kept] = await keptHere(toolbox)
  return kept !== undefined && kept.runId > upgrade.header.runId ? { kept } : targetFrom(upgrade)
}

function targetFrom(record: RunRecord): Target {
  return record.header.runbook === 'upgrade' ? { upgrade: record } : { deployed: record }
}

function isUpgrade({ header }: RunRecord): boolean {
  return UPGRADES.includes(header.runbook)
}

/** It would be the run that is meant. */
async function refuseUnfinished(toolbox: Toolbox): Promise<void> {
  const unfinished = await unfinishedRun(runsDir(toolbox.instance.name))
  if (unfinished === undefined) return
  if (!isUpgrade(unfinished)) throw unfinishedError(unfinished)
  throw new RefusedError({
    code: 'unfinished-run',
    message: `The upgrade, run ${unfinished.header.runId}, has not ended.`,
    cause: 'Only what has ended can be taken back by a run of its own.',
    next: 'mstdn-ops resume --undo (takes it back); once that is refused: mstdn-ops resume (goes on with it) or mstdn-ops resume --abandon, and then mstdn-ops rollback',
  })
}

/** @throws RefusedError when nothing of it stands. */
export async function theUpgrade(toolbox: Toolbox, runId: string): Promise<RunRecord> {
  const all = await upgradesHere(toolbox)
  const found = all.find(({ header }) => header.runId === runId)
  if (found !== undefined) return found
  throw new RefusedError({
    code: 'no-upgrade-to-take-back',
    message: `Nothing of run ${runId} can be taken back.`,
    cause: 'It did not put another release in place, or was taken back already.',
    next: `mstdn-ops runs:show ${runId}`,
  })
}

/** Returns the upgrades whose release was put in place, or whose migrations were begun, and that were not taken back since; oldest first. */
async function upgradesHere(toolbox: Toolbox): Promise<RunRecord[]> {
  const { releases } = toolbox.backend
  if (releases?.change?.back === undefined && releases?.build === undefined) return []
  const all = await listRuns(runsDir(toolbox.instance.name))
  const back = new Set(all.flatMap(takenBackBy))
  return all.filter(record => stands(record) && !back.has(record.header.runId))
}

function stands(record: RunRecord): boolean {
  const { header, end, steps, notes } = record
  if (!isUpgrade(record) || steps.get('switch') === 'undone') return false
  if (header.runbook !== 'upgrade') return (end?.end === 'done' || end?.end === 'abandoned') && notes.has(FORMER)
  if (end?.end === 'done') return notes.has(WRITTEN)
  return end?.end === 'abandoned' && (steps.has('switch') || BEGUN.some(key => notes.has(key)))
}

/** An upgrade that was abandoned may have migrated what its former release cannot work with, and put nothing in place. */
const BEGUN = [WRITTEN, 'planned-all', 'planned-post']

function takenBackBy({ header, end }: RunRecord): string[] {
  return BACKS.includes(header.runbook) && end?.end === 'done' ? [(header.options as { of: string }).of] : []
}

/** Returns what the upgrade was asked to do. */
export function optionsOfUpgrade({ header }: RunRecord): UpgradeOptions {
  return header.options as UpgradeOptions
}
