import { type KeptDatabase, keptDatabases } from '../../postgres/kept.js'
import { dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import type { Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from '../replace/names.js'

/** Drops the replaced databases that were to be kept for some time which is over. */
export function expiredStep(): Step {
  return {
    id: 'drop-expired',
    title: 'Drop replaced databases whose time is over',
    effect: 'write',
    repeatable: true,
    irreversible: 'the replaced database is gone; a backup is all that is left of that state',
    needed: async ({ toolbox }) => (await expired(toolbox)).length > 0 || 'no replaced database’s time is over',
    run: async ({ toolbox }) => {
      const over = await expired(toolbox)
      await withMaintenance(toolbox, 'discard', async maintenance => {
        for (const { name } of over) await dropDatabase(maintenance, name)
      })
    },
  }
}

/** The server's list of databases can be read from any of them. */
async function expired(toolbox: Toolbox): Promise<KeptDatabase[]> {
  if (toolbox.backend.postgres === undefined) return []
  const kept = await keptDatabases(await toolbox.database(), await liveName(toolbox))
  const now = toolbox.clock.now().getTime()
  // As times: the text of a year after 9999 begins with a plus, and sorts before every other.
  return kept.filter(({ until }) => until !== null && Date.parse(until) <= now)
}
