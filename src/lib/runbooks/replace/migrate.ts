import { RefusedError } from '../../errors.js'
import { type Migration, pendingMigrations } from '../../mastodon/migrations.js'
import type { Settled, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { complaint } from '../content/outcome.js'
import { migratingAgain, migratingIn } from '../db/one-migration.js'

/** Under this key a run notes that it has migrated. */
export const MIGRATED = 'migrated'

/** Tells how many migrations a state lacks that is not the live one yet; null where it is not known. */
export type Lacking = (toolbox: Toolbox) => Promise<number | null>

/** Which of the migrations that a database lacks are run. */
type MigratedPhase = 'pre' | 'all'

/**
 * Brings a database of an older release up to the one that is installed. Taken back by the swap: it is the new one's.
 *
 * @param phase `pre` leaves post-deployment migrations to the operator, who may have put them off.
 * @param lacking how many the state lacks, null where that is not known: asked in a dry run, which puts nothing in place
 */
export function migrateStep(phase: MigratedPhase = 'all', lacking?: Lacking): Step {
  return {
    id: 'migrate',
    title: 'Run the migrations that the restored state lacks',
    effect: 'write',
    needed: async context => {
      if (context.toolbox.backend.oneOff === undefined) return 'it cannot be done from here'
      if (context.dryRun && lacking) return (await lacking(context.toolbox)) !== 0 || 'nothing is pending'
      return (await pending(context, phase)).length > 0 || 'nothing is pending'
    },
    run: context => runMigrations(context, phase),
    settle: context => settled(context, phase),
    undo: context => context.toolbox.app.oneOff().untilOver(longKey(context)),
  }
}

/**
 * Raises the ids of tables that the migrations of the run have made: the replaced database may have had them, and other
 * servers know the ids that it gave out. What is taken back is raised by the undo of `raise-ids`, which sees them all.
 */
export function migratedIdsStep(raise: (context: StepContext) => Promise<void>): Step {
  return {
    id: 'raise-migrated-ids',
    title: 'Let the ids of what migrations have made begin above all that were ever given out',
    effect: 'write',
    needed: async ({ noted }) => noted(MIGRATED) === 'yes' || 'no migration was run',
    run: raise,
    undo: async () => undefined,
  }
}

async function runMigrations(context: StepContext, phase: MigratedPhase): Promise<void> {
  const { toolbox, dryRun } = context
  const how = { effect: 'write', longKey: longKey(context), onLine: context.progress } as const
  const again = context.noted(MIGRATED) === 'yes'
  await context.note(MIGRATED, 'yes')
  const migrating = () => toolbox.app.run('db.migrate', { phase }, how)
  const outcome = await migratingAgain(context, { again, others: () => migratingIn(toolbox), migrate: migrating })
  if (dryRun) return
  const left = await pending(context, phase)
  if (left.length > 0) throw stillPending(left, complaint(outcome))
}

/** Says that migrations were run and some are left, with what the app said. */
export function stillPending(left: readonly Migration[], cause: string): RefusedError {
  return new RefusedError({
    code: 'migrations-pending',
    message: `${plural(left.length, 'migration is', 'migrations are')} still pending, ${left[0]?.id} first.`,
    cause,
  })
}

async function settled(context: StepContext, phase: MigratedPhase): Promise<Settled> {
  await context.toolbox.app.oneOff().untilOver(longKey(context))
  return (await pending(context, phase)).length === 0 ? 'done' : 'not done'
}

/** The database has another content than when it was last asked. */
async function pending({ toolbox }: StepContext, phase: MigratedPhase): Promise<Migration[]> {
  const all = await pendingMigrations(toolbox, { fresh: true })
  return phase === 'all' ? all : all.filter(migration => migration.phase === phase)
}

function longKey({ runId }: StepContext): string {
  return `${runId}-migrate`
}
