import { RefusedError } from '../../errors.js'
import { type KeptDatabase, keptDatabases } from '../../postgres/kept.js'
import { mayCreateDatabases, withMaintenance } from '../../postgres/scratch.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from '../replace/names.js'
import { type KeptAddon, keptAddons } from './kept-addons.js'

/** A database that was replaced, on the same server or run by the platform, and can be put back. */
export type Kept = Pick<KeptDatabase, 'name' | 'runId' | 'until'> & { bytes?: number; addon?: KeptAddon }

/** Returns the databases that were replaced here and are kept, newest first. */
export async function keptHere(toolbox: Toolbox): Promise<Kept[]> {
  const kept = await orderedAndKept(toolbox)
  // Where none can be made none is kept, and there may be no other database that lets us in.
  if (!(await mayCreateDatabases(await toolbox.database()))) return kept
  const live = await liveName(toolbox)
  return [...kept, ...(await withMaintenance(toolbox, 'look', maintenance => keptDatabases(maintenance, live)))]
}

/** Returns those that the platform runs. */
export async function orderedAndKept(toolbox: Toolbox): Promise<Kept[]> {
  const { databases } = toolbox.backend
  const addons = databases === undefined ? [] : await keptAddons(toolbox, databases)
  return addons.map(addon => ({ name: addon.name, runId: addon.runId, until: addon.until, addon }))
}

/** Returns the one of a run, or the newest. @throws RefusedError where there is none. */
export async function theKept(toolbox: Toolbox, runId: string | undefined): Promise<Kept> {
  const all = await keptHere(toolbox)
  const found = runId === undefined ? all[0] : all.find(kept => kept.runId === runId)
  if (found) return found
  const known = all.map(kept => kept.runId).join(', ')
  throw new RefusedError({
    code: 'nothing-kept',
    message: runId === undefined ? 'No replaced database is kept.' : `No database is kept that run ${runId} replaced.`,
    ...(known === '' ? {} : { cause: `There are those of ${known}.` }),
    next: 'mstdn-ops db:backups (a backup can be restored)',
  })
}
