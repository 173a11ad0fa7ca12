import { openOther } from '../../backups/restore-into.js'
import { RefusedError } from '../../errors.js'
import { baselineRules } from '../../mastodon/baseline.js'
import { type KeptTable, keptTables, type Selection } from '../../mastodon/identity.js'
import { lacks } from '../../open-toolbox.js'
import type { Database } from '../../postgres/access.js'
import { asCopy } from '../../postgres/copy-rows.js'
import { fillViews } from '../../postgres/copy-schema.js'
import { type MergeOptions, mergeTables } from '../../postgres/merge-rows.js'
import { type RowSource, sourceOf } from '../../postgres/row-source.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { type CopiedRows, copiedRows, countRowsOf, noteCopied, tablesOf, WHOLE } from './identity.js'
import { liveName, namesOf } from './names.js'
import { besideByName, besideOrdered, fillInBoth, inBoth, type Sides } from './sides.js'
import { stopAgain } from './writers.js'

/** What a run leaves out of what a reset keeps. */
export type Left = Pick<Selection, 'drop' | 'withoutFollows'>

/** The database of which rows are kept, and the restored one, into which they come. */
export interface MergeSides extends Sides {
  /** What a plan calls the first one. */
  source(context: StepContext): Promise<string>
  /** Sees to it that nobody writes where the restored one may be served already. */
  quiet?(context: StepContext): Promise<void>
}

type MergePlan = Pick<MergeSides, 'source' | 'planned'>

/** The restored database has the live one's tables already: the rows come before it takes its place. */
export const beforeSwap: MergeSides = { ...besideByName, source: ({ toolbox }) => liveName(toolbox) }

/**
 * It has taken the live one's place, where only there the app's own migrations can be run. A machine that was restarted
 * since may have started the app by itself.
 */
export const afterSwap: MergeSides = {
  quiet: stopAgain,
  live: async (context, purpose) => openOther(context.toolbox, (await namesOf(context)).kept, purpose),
  fresh: async (context, purpose) => openOther(context.toolbox, (await namesOf(context)).live, purpose),
  planned: ({ toolbox }) => liveName(toolbox),
  isOnServer: true,
  source: async context => (await namesOf(context)).kept,
}

/** It was ordered from the platform. */
export const ordered: MergeSides = { ...besideOrdered, source: ({ toolbox }) => liveName(toolbox) }

/** Puts what is kept into the restored database, in one transaction, while nobody writes. */
export function mergeStep(left: Left, sides: MergeSides): Step {
  return {
    id: 'merge',
    title: 'Put what is kept in the place of what the backup has of it',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return planMerge(context, left, sides)
      await sides.quiet?.(context)
      const kept = await fillInBoth(sides, context, 'merge', async (from, to) => {
        const merging = await rulesOf(context.toolbox, await tablesOf(from), left)
        await mergeInto(context, sourceOf(from), to, merging)
        return merging.rows
      })
      await recordMerge(context, kept, sides)
    },
    // It goes with the restored database.
    undo: async () => undefined,
  }
}

/** What is kept, and how it comes into the place of what is there. */
type Merging = Awaited<ReturnType<typeof rulesOf>>

export async function mergeInto(
  context: StepContext,
  from: RowSource,
  to: Database,
  { rows, rules }: Merging,
): Promise<void> {
  const onProgress = (table: string, count: number) => context.progress(`${table}: ${count} rows`)
  const copied = await mergeTables(from, to, rows, { ...rules, onProgress })
  refuseLoss(copied)
  await fillViews(to)
  await noteCopied(context, copied, rows)
}

/** Counts once more in both. */
export function compareMergedStep(left: Left, sides: MergeSides): Step {
  return {
    id: 'compare-kept',
    title: 'Compare how many rows of each kept table both databases have',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      await inBoth(sides, context, 'compare', async (from, to) => {
        const merging = await rulesOf(context.toolbox, await tablesOf(from), left)
        await refuseUnmerged(context, to, merging, ({ table, where }) => countRowsOf(from, table, where))
      })
    },
  }
}

/** Refuses where what was read is not all that `there` counts, or is not in the database. */
export async function refuseUnmerged(
  { noted }: StepContext,
  to: Database,
  { rows, rules }: Merging,
  there: (kept: KeptTable) => Promise<number>,
): Promise<void> {
  const copied = copiedRows(noted)
  const problem = (await unread(rows, copied, there)) ?? (await unwritten(to, rules, copied))
  if (problem !== undefined) throw keptOtherwise(problem)
}

/** `tables` are those of the database of which rows are kept. */
export async function rulesOf({ app }: Toolbox, tables: ReadonlySet<string>, left: Left) {
  const version = await app.version()
  return { rows: keptTables(version, { ...left, tables }), rules: baselineRules(version, tables) }
}

/** Tells by what lines it is made by hand; asked while the rows are where they come from. */
export async function planMerge(context: StepContext, left: Left, sides: MergePlan): Promise<void> {
  const { toolbox } = context
  const { rows } = await rulesOf(toolbox, await tablesOf(await toolbox.database()), left)
  await recordMerge(context, rows, sides)
}

/** What other servers know has to arrive whole. */
function refuseLoss(copied: readonly Pick<CopiedRows, 'table' | 'left'>[]): void {
  const lost = copied.find(({ table, left }) => left > 0 && WHOLE.includes(table))
  if (lost !== undefined) throw keptOtherwise(`${lost.left} rows of ${lost.table} could not be copied.`)
}

function keptOtherwise(cause: string): RefusedError {
  const message = 'What the new database holds is not what is to be kept.'
  return new RefusedError({ code: 'copied-otherwise', message, cause })
}

async function unread(
  kept: readonly KeptTable[],
  copied: readonly CopiedRows[],
  there: (kept: KeptTable) => Promise<number>,
): Promise<string | undefined> {
  for (const [at, row] of kept.entries()) {
    const { rows, left } = copied[at] ?? { rows: 0, left: 0 }
    const count = await there(row)
    if (count !== rows + left) return `${row.table} has ${count} rows to keep, and ${rows + left} were read.`
  }
  return undefined
}

/** Tables in which rows of the backup stay have more. */
async function unwritten(to: Database, { tables, stays }: MergeOptions, copied: readonly CopiedRows[]) {
  for (const table of tables) {
    const rows = copied.filter(row => row.table === table).reduce((sum, row) => sum + row.rows, 0)
    const found = await countRowsOf(to, table)
    const isRight = table in stays ? found >= rows : found === rows
    if (!isRight) return `${table} has ${found} rows in the new database, and ${rows} were copied.`
  }
  return undefined
}

export async function recordMerge(context: StepContext, kept: readonly KeptTable[], sides: MergePlan): Promise<void> {
  const { toolbox } = context
  const connector = toolbox.backend.postgres
  if (connector === undefined) throw lacks(toolbox.backend, 'postgres', 'PostgreSQL')
  const [from, to] = [await sides.source(context), await sides.planned(context)]
  for (const copy of kept) {
    const line = asCopy({ name: from }, { name: to }, copy)
    toolbox.ledger.record({ kind: 'sql', exact: line, byHand: connector.byHand(to, line) })
  }
}
