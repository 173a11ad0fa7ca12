import { setTimeout as sleep } from 'node:timers/promises'
import type { AppOutcome } from '../../backends/backend.js'
import { type MigrationSession, migrationSessions } from '../../postgres/migration-lock.js'
import type { StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

const PAUSE_MS = 1_000
/** What Rails says from 5.0 on where another session holds its lock. */
const CONCURRENT = /ConcurrentMigrationError/

interface Attempt<T extends AppOutcome> {
  /** Whether the run has begun to migrate before, and its end was not seen. */
  again: boolean
  /** Who migrates the database that is migrated here. */
  others(): Promise<MigrationSession[]>
  migrate(): Promise<T>
}

/**
 * Migrates, and once more where a process of this run that was killed left its statement to the server: that goes on with
 * it, and holds Rails' lock, until it wants to answer. Somebody else's migration is not waited for.
 */
export async function migratingAgain<T extends AppOutcome>(
  context: Pick<StepContext, 'progress' | 'stop'>,
  { again, others, migrate }: Attempt<T>,
): Promise<T> {
  const outcome = await migrate()
  if (!again || !CONCURRENT.test(`${outcome.stderr}\n${outcome.stdout}`)) return outcome
  await untilNobodyMigrates(context, others)
  return migrate()
}

async function untilNobodyMigrates(
  { progress, stop }: Pick<StepContext, 'progress' | 'stop'>,
  others: () => Promise<MigrationSession[]>,
): Promise<void> {
  for (;;) {
    const [holder] = await others()
    if (holder === undefined || stop.aborted) return
    const { pid, program } = holder
    progress(
      `The server still works on a migration that was killed: process ${pid} (${program ?? 'unnamed'}). It goes on when that ends; to end it: SELECT pg_terminate_backend(${pid})`,
    )
    await sleep(PAUSE_MS, undefined, { signal: stop }).catch(() => undefined)
  }
}

/** Returns who migrates the app's own database. */
export async function migratingIn(toolbox: Toolbox): Promise<MigrationSession[]> {
  return migrationSessions(await toolbox.database())
}
