import { openOther } from '../../backups/restore-into.js'
import { RefusedError } from '../../errors.js'
import { appliedIn, type Migration, migrationFiles, pendingMigrations, variablesOf } from '../../mastodon/migrations.js'
import { type MigrationSession, migrationSessions } from '../../postgres/migration-lock.js'
import { whileRoom } from '../../postgres/room.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { complaint } from '../content/outcome.js'
import { migratingAgain } from '../db/one-migration.js'
import { type Lacking, stillPending } from './migrate.js'
import { namesOf } from './names.js'
import { noteUnseen } from './room.js'

/** Under this key a run notes whether the new database lacks no migration any more; nothing before it was begun. */
const ASIDE = 'migrated-aside'

/** Returns why the app cannot migrate a database that is not its own; undefined where it can. */
export async function whyNotAside(toolbox: Toolbox): Promise<string | undefined> {
  if (toolbox.backend.oneOff === undefined) return 'it cannot be done from here'
  if ((await variablesOf(toolbox, 'new')) === undefined) return 'DATABASE_URL leads the app to the live database alone'
  return (await toolbox.database()).pooled ? 'a pooler stands before the database' : undefined
}

/**
 * Brings the new database up to the release that is installed before it takes the live one's place: what fails then
 * harms nobody, and nobody waits for it. Taken back with the new database.
 *
 * @param lacking how many it lacks, asked in a dry run
 */
export function migrateAsideStep(lacking: Lacking): Step {
  return {
    id: 'migrate-aside',
    title: 'Run the migrations that the new database lacks, beside the live one',
    effect: 'write',
    needed: context => isNeeded(context, lacking),
    run: migrateAside,
    settle: async context => {
      await context.toolbox.app.oneOff().untilOver(longKey(context))
      return (await noteNothingLeft(context)).length === 0 ? 'done' : 'not done'
    },
    undo: context => context.toolbox.app.oneOff().untilOver(longKey(context)),
  }
}

/**
 * The same where what comes next has no other place for it: a state that was not migrated would be served.
 *
 * @throws RefusedError where it cannot be done any more.
 */
export function migrateAsideOrRefuse(lacking: Lacking): Step {
  const step = migrateAsideStep(lacking)
  const needed = async (context: StepContext) => {
    const is = (await step.needed?.(context)) ?? true
    if (is === true || context.dryRun || context.noted(ASIDE) === 'yes') return is
    throw new RefusedError({
      code: 'not-migrated-aside',
      message: 'The restored state cannot be migrated beside the live database any more.',
      cause: `Since the run began that has changed: ${is}.`,
      next: 'Run the command again.',
    })
  }
  return { ...step, needed }
}

/** Lets a step that migrates in the live one's place do so only where that was not done beside it. */
export function unlessAside(step: Step): Step {
  const needed = async (context: StepContext) => {
    const { dryRun, noted, toolbox } = context
    const isDone = dryRun ? (await whyNotAside(toolbox)) === undefined : noted(ASIDE) === 'yes'
    return isDone ? 'nothing is pending' : ((await step.needed?.(context)) ?? true)
  }
  return { ...step, needed }
}

async function isNeeded(context: StepContext, lacking: Lacking): Promise<boolean | string> {
  const { toolbox, dryRun } = context
  const why = await whyNotAside(toolbox)
  if (why !== undefined) return why
  if (dryRun) return (await lacking(toolbox)) !== 0 || 'nothing is pending'
  if ((await noteNothingLeft(context)).length === 0) return 'nothing is pending'
  // Where the app took no notice of the name, it would migrate the live one.
  return (await pendingMigrations(toolbox, { fresh: true })).length === 0 || 'the live database lacks some itself'
}

async function migrateAside(context: StepContext): Promise<void> {
  const { toolbox, dryRun } = context
  const { fresh } = await namesOf(context)
  const env = (await variablesOf(toolbox, fresh)) ?? {}
  const how = { effect: 'write', env, longKey: longKey(context), onLine: context.progress } as const
  const migrating = () => toolbox.app.run('db.migrate', { phase: 'all' }, how)
  if (dryRun) return void (await migrating())
  const again = context.noted(ASIDE) === 'no'
  await context.note(ASIDE, 'no')
  // The app whose sessions were ended tells by its code alone, so that it is looked for what is left within.
  const untilNothingLeft = async () => {
    const outcome = await migratingAgain(context, { again, others: () => migratingBeside(context), migrate: migrating })
    const left = await noteNothingLeft(context)
    if (left.length > 0) throw stillPending(left, complaint(outcome))
  }
  await whileRoom(toolbox, fresh, untilNothingLeft, noteUnseen(context))
}

async function migratingBeside(context: StepContext): Promise<MigrationSession[]> {
  const database = await openOther(context.toolbox, (await namesOf(context)).fresh, 'look')
  return migrationSessions(database).finally(() => database.close())
}

/** Returns what the new database lacks, and notes it where that is nothing. */
async function noteNothingLeft(context: StepContext): Promise<Migration[]> {
  const database = await openOther(context.toolbox, (await namesOf(context)).fresh, 'look')
  const applied = await appliedIn(database).finally(() => database.close())
  const left = (await migrationFiles(context.toolbox, { fresh: true })).filter(({ id }) => !applied.has(id))
  if (left.length === 0) await context.note(ASIDE, 'yes')
  return left
}

function longKey({ runId }: StepContext): string {
  return `${runId}-migrate-aside`
}
