import { RefusedError } from '../../errors.js'
import { type KeptDatabase, keptDatabases } from '../../postgres/kept.js'
import { withMaintenance } from '../../postgres/scratch.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from '../replace/names.js'

/** Returns the databases that were replaced here and are kept, newest first. */
export async function keptHere(toolbox: Toolbox): Promise<KeptDatabase[]> {
  const live = await liveName(toolbox)
  return withMaintenance(toolbox, 'look', maintenance => keptDatabases(maintenance, live))
}

/** Returns the one of a run, or the newest. @throws RefusedError where there is none. */
export async function theKept(toolbox: Toolbox, runId: string | undefined): Promise<KeptDatabase> {
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
