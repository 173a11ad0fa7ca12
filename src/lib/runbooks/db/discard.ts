import { dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import type { Runbook, Step } from '../../runbook/step.js'
import { humanBytes } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { keptHere, theKept } from './kept.js'

export interface DiscardOptions {
  /** The run whose replaced database goes; all that are kept where it is left out. */
  runId?: string
}

export interface DiscardResult {
  dropped: string[]
}

/** Drops databases that were replaced by a restore or a reset and kept. */
export const discard: Runbook<DiscardOptions, DiscardResult> = {
  name: 'db:discard',
  check: async (toolbox, { runId }) => {
    if (runId !== undefined) await theKept(toolbox, runId)
  },
  consent: async (toolbox, options) => {
    const kept = await chosen(toolbox, options)
    if (kept.length === 0) return { kind: 'none' }
    const named = kept.map(({ name, bytes }) => `${name} (${humanBytes(bytes)})`).join(', ')
    return { kind: 'yes', question: `Drop ${named}? What it held can then only come from a backup.` }
  },
  steps: async (toolbox, options) => (await chosen(toolbox, options)).map(({ name }) => dropStep(name)),
  result: async (_toolbox, _options, noted) => ({ dropped: JSON.parse(noted('dropped') ?? '[]') as string[] }),
}

async function chosen(toolbox: Toolbox, { runId }: DiscardOptions) {
  return (await keptHere(toolbox)).filter(kept => runId === undefined || kept.runId === runId)
}

function dropStep(name: string): Step {
  return {
    id: `drop-${name}`,
    title: `Drop ${name}`,
    effect: 'write',
    repeatable: true,
    irreversible: 'the replaced database is gone; a backup is all that is left of that state',
    run: async context => {
      const dropped = JSON.parse(context.noted('dropped') ?? '[]') as string[]
      await withMaintenance(context.toolbox, 'discard', maintenance => dropDatabase(maintenance, name))
      await context.note('dropped', JSON.stringify([...dropped, name]))
    },
  }
}
