import type { Price } from '../../backends/managed-database.js'
import { dropDatabase, withMaintenance } from '../../postgres/scratch.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import { humanBytes } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { addonsOf } from '../replace/new-database.js'
import { priceText } from '../replace/price.js'
import { type Kept, keptHere, theKept } from './kept.js'

export interface DiscardOptions {
  /** The run whose replaced database goes; all that are kept where it is left out. */
  runId?: string
}

export interface DiscardResult {
  dropped: string[]
  /** What is no longer paid for the platform's databases among them, each by itself. */
  saved: Price[]
}

/** Drops databases that were replaced by a restore or a reset and kept. */
export const discard: Runbook<DiscardOptions, DiscardResult> = {
  name: 'db:discard',
  disposable: true,
  check: async (toolbox, { runId }) => {
    if (runId !== undefined) await theKept(toolbox, runId)
  },
  consent: async (toolbox, options) => {
    const kept = await chosen(toolbox, options)
    if (kept.length === 0) return { kind: 'none' }
    const question = `Drop ${kept.map(described).join(', ')}? What it held can then only come from a backup.`
    return kept.some(({ addon }) => addon) ? { kind: 'domain', loses: question } : { kind: 'yes', question }
  },
  steps: async (toolbox, options) => (await chosen(toolbox, options)).map(dropStep),
  result: async (_toolbox, _options, noted) => ({
    dropped: JSON.parse(noted('dropped') ?? '[]') as string[],
    saved: JSON.parse(noted('saved') ?? '[]') as Price[],
  }),
}

async function chosen(toolbox: Toolbox, { runId }: DiscardOptions) {
  return (await keptHere(toolbox)).filter(kept => runId === undefined || kept.runId === runId)
}

function described({ name, bytes, addon }: Kept): string {
  if (addon) return `${name} (${addon.plan}, ${priceText(addon.price)}, which is saved then)`
  return `${name} (${humanBytes(bytes ?? 0)})`
}

function dropStep({ name, addon }: Kept): Step {
  return {
    id: `drop-${name}`,
    title: `Drop ${name}`,
    effect: 'write',
    repeatable: true,
    irreversible: 'the replaced database is gone; a backup is all that is left of that state',
    run: async context => {
      const dropped = JSON.parse(context.noted('dropped') ?? '[]') as string[]
      const { toolbox } = context
      if (addon) await addonsOf(toolbox).destroy(name)
      else await withMaintenance(toolbox, 'discard', maintenance => dropDatabase(maintenance, name))
      await context.note('dropped', JSON.stringify([...dropped, name]))
      if (addon?.price) await noteSaved(context, addon.price)
    },
  }
}

async function noteSaved({ note, noted }: StepContext, price: Price): Promise<void> {
  const saved = JSON.parse(noted('saved') ?? '[]') as Price[]
  await note('saved', JSON.stringify([...saved, price]))
}
