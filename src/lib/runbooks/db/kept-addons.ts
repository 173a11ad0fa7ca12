import type { DatabaseAddons, Price } from '../../backends/managed-database.js'
import { runsDir } from '../../paths.js'
import { listRuns, type RunRecord } from '../../runbook/journal.js'
import type { Toolbox } from '../../toolbox.js'
import { KEPT_ADDON, SERVED_ADDON } from '../replace/new-database.js'

/** A database of the platform's that was replaced, and costs on. */
export interface KeptAddon {
  name: string
  /** The run that replaced it. */
  runId: string
  plan: string
  price: Price | undefined
  /** ISO 8601: from then on it may be destroyed; null: when the operator says so. */
  until: string | null
}

/** Returns the add-ons that runs from here have replaced, and that are there still, the newest run first. */
export async function keptAddons(toolbox: Toolbox, addons: DatabaseAddons): Promise<KeptAddon[]> {
  const replaced = await replacedHere(toolbox)
  if (replaced.size === 0) return []
  const there = (await addons.list()).filter(({ isCurrent }) => !isCurrent)
  const kept = there.flatMap(({ name, plan, price }) => {
    const run = replaced.get(name)
    return run === undefined ? [] : [{ name, plan, price, runId: run.header.runId, until: untilOf(run) }]
  })
  return kept.sort((one, other) => other.runId.localeCompare(one.runId))
}

/** The last run that replaced each, where it was not taken back; or that let one serve and was taken back. */
async function replacedHere({ instance }: Toolbox): Promise<ReadonlyMap<string, RunRecord>> {
  const done = (await listRuns(runsDir(instance.name))).filter(
    ({ end, notes }) => end?.end === 'done' || (end !== undefined && notes.get(SERVED_ADDON)),
  )
  return new Map(done.flatMap(run => (run.notes.get(KEPT_ADDON) ? [[run.notes.get(KEPT_ADDON) ?? '', run]] : [])))
}

function untilOf({ notes }: RunRecord): string | null {
  return notes.get('kept-until') || null
}
