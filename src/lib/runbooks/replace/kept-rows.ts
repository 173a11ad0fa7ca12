import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openThrough, restoreThrough } from '../../backups/restore-into.js'
import { freeBytes } from '../../backups/room.js'
import { beforeEmptied, openRows, type RowFiles, rowsIn, writeRows } from '../../backups/row-files.js'
import { NotUndoneError, RefusedError } from '../../errors.js'
import type { KeptTable } from '../../mastodon/identity.js'
import { runsDir } from '../../paths.js'
import type { Database } from '../../postgres/access.js'
import type { TableCopy } from '../../postgres/copy-rows.js'
import { schemaDump } from '../../postgres/copy-schema.js'
import { shapeDifferences, shapeOf } from '../../postgres/shape.js'
import { restoreStage } from '../../postgres/toc.js'
import { ownFilesOf } from '../../runbook/journal.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { humanBytes, shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { BROKEN } from './close.js'
import type { Content } from './content.js'
import { dumpTablesTo } from './empty.js'
import { copiesOf, copyInto, type Kept, planCopies, refuseDifference, tablesOf } from './identity.js'
import { refuseForeign } from './in-place.js'
import { liveDatabase } from './live.js'
import type { Sides } from './sides.js'

type Copy = TableCopy | KeptTable

/** Under this key a run notes the checksum of the files that hold what is kept. */
const NOTE = 'kept-rows'
const TABLES = 'tables.dump'
/** A row of few columns takes about this many times as much as text with the names of its columns. */
const AS_TEXT = 2

/** There is one database, which is emptied and filled. */
export const emptied: Pick<Sides, 'fresh' | 'planned'> = {
  fresh: async (context, purpose) => openThrough(context.toolbox, await liveDatabase(context), purpose),
  planned: async context => (await (await liveDatabase(context)).target()).database,
}

/** Refuses where this machine has no room for the rows. */
export async function refuseNoRoomForRows(toolbox: Toolbox, bytes: number): Promise<void> {
  const dir = runsDir(toolbox.instance.name)
  const [needed, free] = [bytes * AS_TEXT, await freeBytes(dir)]
  if (free >= needed) return
  throw new RefusedError({
    code: 'no-room',
    message: `There is not enough room for what is kept in ${dir}.`,
    cause: `At most ${humanBytes(needed)} are needed, ${humanBytes(free)} are free.`,
    next: 'Make room on that disk, or let XDG_STATE_HOME name another folder.',
  })
}

/** Writes down what is kept while nobody writes any more, for the database that it is in will be emptied. */
export function keepRowsStep(kept: Kept): Step {
  return {
    id: 'keep-rows',
    title: 'Write what is kept, and how the tables are made, into files of this run',
    effect: 'write',
    run: async context => {
      const { toolbox, dryRun, noted, note, progress } = context
      toolbox.ledger.command(`${shellLine(schemaDump().words)} > ${TABLES}`)
      // Gone on with after an undo that failed: they were written before the database was emptied.
      if (dryRun || noted(BROKEN) === 'yes') return
      const copies = await copiesOf(toolbox, kept)
      const written = await inEmptied(context, 'keep', async live =>
        writeRows<Copy>(live, rowsDir(context), {
          ...{ tables: [...(await tablesOf(live))], copies },
          beside: { name: TABLES, write: path => dumpTablesTo(toolbox, path) },
          onProgress: (table, rows) => progress(`${table}: ${rows} rows`),
        }),
      )
      await note(NOTE, written)
    },
    undo: async context => {
      if (context.noted(BROKEN) === 'yes') throw stillNeeded()
      await removed(context)
    },
  }
}

function stillNeeded(): NotUndoneError {
  return new NotUndoneError({
    code: 'rows-still-needed',
    message: 'The files of what is kept stay until the database is whole: a run that goes on needs them.',
    next: 'mstdn-ops resume --undo (puts the safety backup back)',
  })
}

/** Returns what was written down, where it is still that. @throws RefusedError where it is not. */
export function keptFiles(context: StepContext): Promise<RowFiles<Copy>> {
  return openRows<Copy>(rowsDir(context), context.noted(NOTE) ?? '')
}

/** The tables of the emptied database, as they were and without rows. */
export const emptyTables: Pick<Content, 'name' | 'line' | 'into'> = {
  name: 'the tables, without rows',
  line: async (_context, database) => `${shellLine(restoreStage(['-d', database], undefined).words)} < ${TABLES}`,
  into: async (context, connector) => {
    const { shape } = await keptFiles(context)
    await restoreThrough(context.toolbox, connector, { path: join(rowsDir(context), TABLES), zstd: false })
    const [first] = shapeDifferences(shape, await inEmptied(context, 'compare', shapeOf))
    if (first === undefined) return
    throw new RefusedError({
      code: 'other-schema',
      message: 'The tables are not made as they were.',
      cause: `${first}.`,
    })
  },
}

/** Puts what was written down into the tables. */
export function loadRowsStep(kept: Kept): Step {
  return {
    id: 'copy',
    title: 'Put what is kept into the emptied database',
    effect: 'write',
    run: async context => {
      if (context.dryRun) return planCopies(context, await copiesOf(context.toolbox, kept), await planned(context))
      await refuseForeign(context)
      const index = await keptFiles(context)
      const copies = index.files.map(({ copy }) => copy)
      await inEmptied(context, 'copy', to => copyInto(context, rowsIn(rowsDir(context), index), to, copies))
    },
    // The safety backup replaces it.
    undo: async () => undefined,
  }
}

/** Compares with what was written down, by counting. */
export function compareLoadedStep(): Step {
  return {
    id: 'compare',
    title: 'Compare how many rows of each kept table there were and are',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const { files } = await keptFiles(context)
      const copies = files.map(({ copy, rows }) => ({ ...copy, rows }))
      await inEmptied(context, 'compare', to => refuseDifference(context, to, copies, async ({ rows }) => rows))
    },
  }
}

/** They hold keys and password hashes, and nobody needs them any more. */
export function forgetRowsStep(): Step {
  return {
    id: 'forget-rows',
    title: 'Remove the files of what was kept',
    effect: 'write',
    repeatable: true,
    run: async context => {
      if (!context.dryRun) await removed(context)
    },
    // The way back needs the safety backup alone.
    undo: async () => undefined,
  }
}

async function planned(context: StepContext) {
  const to = await emptied.planned(context)
  return { from: beforeEmptied(to), to }
}

export function rowsDir({ toolbox, runId }: StepContext): string {
  return ownFilesOf(runsDir(toolbox.instance.name), runId)
}

function removed(context: StepContext): Promise<void> {
  return rm(rowsDir(context), { recursive: true, force: true })
}

export async function inEmptied<T>(
  context: StepContext,
  purpose: string,
  work: (live: Database) => Promise<T>,
): Promise<T> {
  const live = await emptied.fresh(context, purpose)
  return work(live).finally(() => live.close())
}
