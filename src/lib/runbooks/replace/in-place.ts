import { hostname, userInfo } from 'node:os'
import { holdsNothing, openThrough } from '../../backups/restore-into.js'
import { messageOf, NotUndoneError } from '../../errors.js'
import type { Database } from '../../postgres/access.js'
import { readRecord, writeRecord } from '../../postgres/record.js'
import { idsGivenOut, raiseAbove, raiseLow, setvalsLine } from '../../postgres/sequences.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { shellLine } from '../../text.js'
import { BROKEN } from './close.js'
import type { Content } from './content.js'
import { capturesOf, liveDatabase } from './live.js'
import { migratedIdsStep } from './migrate.js'
import { forgetBack, putSafetyBack } from './safety-capture.js'
import { mayHaveServed } from './writers.js'

/** Under this key a run notes that it may not write beside the database what is at work there. */
const UNRECORDED = 'unrecorded'
/** Under this key a run notes, on its way back, which ids the restored database has given out. */
const SERVED_IDS = 'served-ids'

/** What was given out cannot be asked when the database is no more. */
export function noteIdsStep(): Step {
  return {
    id: 'note-ids',
    title: 'Note which ids were given out',
    effect: 'read',
    run: async context => {
      if (context.noted(BROKEN) === 'yes') return
      await context.note('ids', idsText(await idsGivenOut(await context.toolbox.database())))
    },
  }
}

/** Empties the live database. Taken back by the safety backup. `prove` refuses while nothing is lost yet. */
export function resetStep(prove?: (context: StepContext) => Promise<unknown>): Step {
  return {
    id: 'reset',
    title: 'Delete all data in the live database',
    effect: 'write',
    done: async context => context.noted(BROKEN) === 'yes' && (await isEmpty(context)),
    run: async context => {
      if (context.dryRun) return empty(context)
      if (context.noted(BROKEN) !== 'yes') await prove?.(context)
      // Gone on with after an undo that failed: somebody else may have filled it since.
      else if (await isAnother(context)) await refuseForeign(context)
      await noteMark(context)
      await empty(context)
    },
    undo: async context => {
      if (context.noted(BROKEN) === undefined) return
      if (context.noted(BROKEN) === 'yes') await putBack(context)
      // A run that goes on all the same empties another database than the one that was marked.
      if (context.noted('mark')) await forget(context)
      await context.note('mark', '')
    },
  }
}

async function putBack(context: StepContext): Promise<void> {
  if (await isAnother(context).catch(() => true)) {
    await refuseForeign(context)
    await putSafetyBack(context, empty)
    await raiseServed(context)
  }
  await context.note(BROKEN, 'no')
}

/** Restores the backup into the emptied database; once more from the beginning, where a killed run had begun with it. */
export function fillLiveStep(content: Pick<Content, 'name' | 'line' | 'into'>): Step {
  return {
    id: 'restore',
    title: `Restore ${content.name}`,
    effect: 'write',
    run: async context => {
      const connector = await liveDatabase(context)
      context.toolbox.ledger.command(await content.line(context, (await connector.target()).database))
      if (context.dryRun) return
      await refuseForeign(context)
      await forgetBack(context)
      await ((await isEmpty(context)) ? remember(context) : empty(context))
      await content.into(context, connector)
      await context.toolbox.letGoOfDatabase()
    },
    // The safety backup, which the step before puts back, replaces it.
    undo: async () => undefined,
  }
}

/** Ids that the replaced state gave out are known to other servers, which would ignore them the second time. */
export function raiseNotedStep(): Step {
  return {
    id: 'raise-ids',
    title: 'Let new ids begin above all that were ever given out',
    effect: 'write',
    run: context => raiseNoted(context, raiseAbove),
    // The safety backup replaces it; but what was given out since the start must not come again either.
    undo: async context => {
      if (!mayHaveServed(context) || context.noted(BROKEN) !== 'yes') return
      await context.note(SERVED_IDS, idsText(await inLive(context, idsGivenOut)))
    },
  }
}

/** After the safety backup is back. */
async function raiseServed(context: StepContext): Promise<void> {
  const ids = context.noted(SERVED_IDS)
  if (ids !== undefined) await inLive(context, database => raiseAbove(idsOf(ids), database))
}

function idsText(ids: ReadonlyMap<string, bigint>): string {
  return JSON.stringify([...ids].map(([name, id]) => [name, String(id)]))
}

function idsOf(text: string): ReadonlyMap<string, bigint> {
  return new Map((JSON.parse(text) as [string, string][]).map(([name, id]) => [name, BigInt(id)]))
}

/** What migrations have made is raised above what was noted of the database that is no more. */
export function raiseNotedMigratedStep(): Step {
  return migratedIdsStep(context => raiseNoted(context, raiseLow))
}

async function raiseNoted(context: StepContext, raise: typeof raiseAbove): Promise<void> {
  const { toolbox } = context
  const live = (await toolbox.backend.postgres?.target())?.database ?? ''
  const printed = `${setvalsLine(live)} > ids.sql`
  toolbox.ledger.command(
    `${shellLine(['psql', '-q', '-d', live])} < ids.sql   # made before it was emptied: ${printed}`,
  )
  if (context.dryRun) return
  await raise(idsOf(context.noted('ids') ?? '[]'), await toolbox.database())
}

/** A reset ends all sessions, that of the lock too. */
async function empty(context: StepContext): Promise<void> {
  const { toolbox } = context
  await forgetBack(context)
  await toolbox.letGoOfDatabase()
  await capturesOf(toolbox).reset(() => isEmpty(context))
  if (context.dryRun) return
  await context.lockAgain()
  await remember(context)
}

/** From here on others may take what is in the database for the state of the instance. */
export function endRecordStep(): Step {
  return {
    id: 'end-record',
    title: 'Take away the note beside the database that a run is at work',
    effect: 'write',
    run: async context => {
      if (!context.dryRun) await forget(context)
    },
    undo: remember,
  }
}

/** What lies in the database was put there by somebody else since: it is theirs. */
export async function refuseForeign(context: StepContext): Promise<void> {
  if (context.noted(UNRECORDED) === 'yes' || (await isEmpty(context))) return
  const record = await inLive(context, readRecord)
  if (record?.runId === context.runId) return
  throw new NotUndoneError({
    code: 'database-filled-since',
    message: 'Somebody else has filled the database since this run has emptied it: nothing is touched.',
    cause: record === undefined ? 'It bears no note of a run.' : `It was run ${record.runId} by ${record.by}.`,
    next: 'mstdn-ops resume --abandon (leaves things as they are), where what is in there is to stay.',
  })
}

/** For other machines, which do not see the journal. A user who may not do it goes without. */
async function remember(context: StepContext): Promise<void> {
  const record = { runId: context.runId, by: `${userInfo().username}@${hostname()}`, since: new Date().toISOString() }
  await inLive(context, database => writeRecord(database, record)).catch(async (error: unknown) => {
    context.toolbox.output.debug(messageOf(error))
    await context.note(UNRECORDED, 'yes')
  })
}

async function forget(context: StepContext): Promise<void> {
  if (context.noted(UNRECORDED) !== 'yes') await inLive(context, database => writeRecord(database, undefined))
}

async function inLive<T>(context: StepContext, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openThrough(context.toolbox, await liveDatabase(context), 'look')
  return work(database).finally(() => database.close())
}

/** Over a connection of its own, for a reset ends the others. */
async function isEmpty(context: StepContext): Promise<boolean> {
  return inLive(context, holdsNothing)
}

async function noteMark(context: StepContext): Promise<void> {
  if (!context.noted('mark')) await context.note('mark', await markOf(context))
  await context.note(BROKEN, 'yes')
}

/** Whether the database is not the one any more that was noted. */
async function isAnother(context: StepContext): Promise<boolean> {
  return (await markOf(context)) !== context.noted('mark')
}

/** Made anew, a database and its tables have other numbers. */
async function markOf(context: StepContext): Promise<string> {
  const [row] = await inLive(context, database =>
    database.query<{ mark: string }>(
      `SELECT concat_ws(' ', (SELECT oid FROM pg_database WHERE datname = current_database()), count(*), max(oid::bigint))
       AS mark FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
    ),
  )
  return row?.mark ?? ''
}
