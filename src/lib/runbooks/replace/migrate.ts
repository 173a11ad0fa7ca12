import { RefusedError } from '../../errors.js'
import { type Migration, pendingMigrations } from '../../mastodon/migrations.js'
import type { Settled, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import { complaint } from '../content/outcome.js'

/** Brings a database of an older release up to the one that is installed. Taken back by the swap: it is the new one's. */
export function migrateStep(): Step {
  return {
    id: 'migrate',
    title: 'Run the migrations that the restored state lacks',
    effect: 'write',
    needed: async context => {
      if (context.toolbox.backend.oneOff === undefined) return 'it cannot be done from here'
      return (await pending(context)).length > 0 || 'nothing is pending'
    },
    run: runMigrations,
    settle: settled,
    undo: context => context.toolbox.app.oneOff().untilOver(longKey(context)),
  }
}

async function runMigrations(context: StepContext): Promise<void> {
  const { toolbox, dryRun } = context
  const how = { effect: 'write', longKey: longKey(context), onLine: context.progress } as const
  const outcome = await toolbox.app.run('db.migrate', { phase: 'all' }, how)
  if (dryRun) return
  const left = await pending(context)
  if (left.length === 0) return
  throw new RefusedError({
    code: 'migrations-pending',
    message: `${plural(left.length, 'migration is', 'migrations are')} still pending, ${left[0]?.id} first.`,
    cause: complaint(outcome),
  })
}

async function settled(context: StepContext): Promise<Settled> {
  await context.toolbox.app.oneOff().untilOver(longKey(context))
  return (await pending(context)).length === 0 ? 'done' : 'not done'
}

/** The database has another content than when it was last asked. */
function pending({ toolbox }: StepContext): Promise<Migration[]> {
  return pendingMigrations(toolbox, { fresh: true })
}

function longKey({ runId }: StepContext): string {
  return `${runId}-migrate`
}
