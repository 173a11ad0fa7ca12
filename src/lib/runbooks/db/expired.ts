import { keptDatabases } from '../../postgres/kept.js'
import { dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import type { Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from '../replace/names.js'
import { addonsOf } from '../replace/new-database.js'
import { type Kept, orderedAndKept } from './kept.js'

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
      for (const { name } of over.filter(({ addon }) => addon)) await addonsOf(toolbox).destroy(name)
      const databases = over.filter(({ addon }) => !addon)
      if (databases.length === 0) return
      await withMaintenance(toolbox, 'discard', async maintenance => {
        for (const { name } of databases) await dropDatabase(maintenance, name)
      })
    },
  }
}

async function expired(toolbox: Toolbox): Promise<Kept[]> {
  const kept = [...(await orderedAndKept(toolbox)), ...(await databasesBeside(toolbox))]
  return kept.filter(one => isOver(one, toolbox))
}

/** The server's list of databases can be read from any of them. */
async function databasesBeside(toolbox: Toolbox): Promise<Kept[]> {
  if (toolbox.backend.postgres === undefined) return []
  return keptDatabases(await toolbox.database(), await liveName(toolbox))
}

function isOver({ until }: Kept, { clock }: Toolbox): boolean {
  // As times: the text of a year after 9999 begins with a plus, and sorts before every other.
  return until !== null && Date.parse(until) <= clock.now().getTime()
}
