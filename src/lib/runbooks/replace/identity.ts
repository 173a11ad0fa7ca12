import { RefusedError } from '../../errors.js'
import { type KeptTable, LIST_TABLES, NEVER_IN_FRESH } from '../../mastodon/identity.js'
import { BOOKKEEPING } from '../../mastodon/lost.js'
import { countAdministrators } from '../../mastodon/roles.js'
import { lacks } from '../../open-toolbox.js'
import type { Database } from '../../postgres/access.js'
import { asCopy, type CopiedTable, copyTables, type TableCopy } from '../../postgres/copy-rows.js'
import { fillViews } from '../../postgres/copy-schema.js'
import { quoteIdent } from '../../postgres/quote.js'
import { type RowSource, sourceOf } from '../../postgres/row-source.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { fillInBoth, inBoth, type Sides } from './sides.js'

/** Tells which rows a run keeps. */
export type Kept = (toolbox: Toolbox) => Promise<readonly KeptTable[]>

/** Rows of one table that were copied, of a run's notes. */
export interface CopiedRows extends Pick<CopiedTable, 'table' | 'rows' | 'left'> {
  /** Undefined for what Rails has written down about the schema. */
  group: KeptTable['group'] | undefined
}

/** Of these every row that is kept must arrive: they are what other servers know. */
export const WHOLE = ['accounts', 'keypairs']

const NOTE = 'copied'

/** Copies what is kept. While nobody writes, so that what is copied is what was there last. */
export function copyStep(kept: Kept, sides: Sides): Step {
  return {
    id: 'copy',
    title: 'Copy what is kept into the new database',
    effect: 'write',
    run: async context => {
      const copies = await copiesOf(context.toolbox, kept)
      if (context.dryRun) return planCopies(context, copies, { to: await sides.planned(context) })
      await fillInBoth(sides, context, 'copy', (from, to) => copyInto(context, sourceOf(from), to, copies))
    },
    // It goes with the new database.
    undo: async () => undefined,
  }
}

export async function copyInto(
  context: StepContext,
  from: RowSource,
  to: Database,
  copies: readonly (TableCopy | KeptTable)[],
): Promise<void> {
  const copied = await copyTables(from, to, copies, {
    mustBeEmpty: NEVER_IN_FRESH,
    onProgress: (table, rows) => context.progress(`${table}: ${rows} rows`),
  })
  await fillViews(to)
  await noteCopied(context, copied, copies)
}

/** Compares both databases once more, by counting. */
export function compareCopiedStep(kept: Kept, sides: Sides): Step {
  return {
    id: 'compare',
    title: 'Compare how many rows of each kept table both databases have',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const copies = await copiesOf(context.toolbox, kept)
      await inBoth(sides, context, 'compare', (from, to) =>
        refuseDifference(context, to, copies, ({ table, where }) => countRowsOf(from, table, where)),
      )
    },
  }
}

/** An instance that nobody could administer is not put in the place of one that somebody can. */
export function ownerStep({ fresh }: Pick<Sides, 'fresh'>): Step {
  return {
    id: 'owner',
    title: 'Look whether somebody can administer the new database',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const version = await context.toolbox.app.version()
      const database = await fresh(context, 'look')
      const found = await database
        .query<{ count: number }>(countAdministrators(version).sql)
        .finally(() => database.close())
      if (!found[0]?.count) throw noOwner('No confirmed and approved administrator was copied.')
    },
  }
}

export function noOwner(cause: string, next?: string): RefusedError {
  const parts = { code: 'no-owner', message: 'Afterwards nobody could administer the instance.', cause }
  return new RefusedError(next === undefined ? parts : { ...parts, next })
}

/** Returns what was copied, of a run's notes. */
export function copiedRows(noted: StepContext['noted']): CopiedRows[] {
  return JSON.parse(noted(NOTE) ?? '[]') as CopiedRows[]
}

/** Notes what was copied, a line for each of the copies that were asked for. */
export function noteCopied(
  { note }: StepContext,
  copied: readonly CopiedTable[],
  copies: readonly (TableCopy | KeptTable)[],
): Promise<void> {
  return note(NOTE, JSON.stringify(copied.map((table, at) => ({ ...table, group: groupOf(copies[at]) }))))
}

/** Returns the names of the tables of the database that is asked. */
export async function tablesOf(database: Database): Promise<ReadonlySet<string>> {
  return new Set((await database.query<{ table: string }>(LIST_TABLES.sql)).map(({ table }) => table))
}

export async function copiesOf(toolbox: Toolbox, kept: Kept): Promise<readonly (TableCopy | KeptTable)[]> {
  return [...BOOKKEEPING.map(table => ({ table })), ...(await kept(toolbox))]
}

function groupOf(copy: TableCopy | KeptTable | undefined): KeptTable['group'] | undefined {
  return copy !== undefined && 'group' in copy ? copy.group : undefined
}

/** Tells by what lines each copy is made by hand. */
export async function planCopies(
  context: StepContext,
  copies: readonly TableCopy[],
  names: { from?: string; to: string },
): Promise<void> {
  const { toolbox } = context
  const connector = toolbox.backend.postgres
  if (connector === undefined) throw lacks(toolbox.backend, 'postgres', 'PostgreSQL')
  const { from = (await connector.target()).database, to } = names
  for (const copy of copies) {
    const line = asCopy({ name: from }, { name: to }, copy)
    toolbox.ledger.record({ kind: 'sql', exact: line, byHand: connector.byHand(to, line) })
  }
}

/** Refuses where what was copied is not all that `there` counts, or is not in the database. */
export async function refuseDifference<Copy extends TableCopy>(
  { noted }: StepContext,
  to: Database,
  copies: readonly Copy[],
  there: (copy: Copy) => Promise<number>,
): Promise<void> {
  const copied = copiedRows(noted)
  const problem = (await unread(copies, copied, there)) ?? (await unwritten(to, copied))
  if (problem === undefined) return
  throw new RefusedError({
    code: 'copied-otherwise',
    message: 'What was copied is not what is to be kept.',
    cause: problem,
  })
}

async function unread<Copy extends TableCopy>(
  copies: readonly Copy[],
  copied: readonly CopiedRows[],
  there: (copy: Copy) => Promise<number>,
): Promise<string | undefined> {
  for (const [at, copy] of copies.entries()) {
    const { rows, left } = copied[at] ?? { rows: 0, left: 0 }
    const count = await there(copy)
    if (count !== rows + left) return `${copy.table} has ${count} rows to keep, and ${rows + left} were read.`
    if (left > 0 && WHOLE.includes(copy.table)) return `${left} rows of ${copy.table} could not be copied.`
  }
  return undefined
}

async function unwritten(to: Database, copied: readonly CopiedRows[]): Promise<string | undefined> {
  for (const table of new Set(copied.map(copy => copy.table))) {
    const rows = copied.filter(copy => copy.table === table).reduce((sum, copy) => sum + copy.rows, 0)
    const found = await countRowsOf(to, table)
    if (found !== rows) return `${table} has ${found} rows in the new database, and ${rows} were copied.`
  }
  return undefined
}

/** Counts the rows of a table, however long that takes. */
export async function countRowsOf(database: Database, table: string, where = 'true'): Promise<number> {
  const sql = `SELECT count(*) AS rows FROM ${quoteIdent(table)} WHERE ${where}`
  const [row] = await database.snapshot(() => database.query<{ rows: number }>(sql))
  return row?.rows ?? 0
}
