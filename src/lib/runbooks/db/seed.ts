import { RefusedError } from '../../errors.js'
import { pendingMigrations } from '../../mastodon/migrations.js'
import { seedsRepeatably } from '../../mastodon/releases.js'
import { inRange } from '../../mastodon/version.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { complaint } from '../content/outcome.js'

export interface SeedResult {
  /** What was made, in words. */
  made: string[]
}

/** A first row and the query that counts it (db/seeds.rb @v1.3.0, @v3.0.0, @v4.0.0). */
interface FirstRow {
  name: string
  since: string
  sql: string
}

const FIRST_ROWS: readonly FirstRow[] = [
  {
    name: 'the web application',
    since: '1.3.0',
    sql: 'SELECT count(*) AS count FROM oauth_applications WHERE superapp',
  },
  { name: "the server's own account", since: '3.0.0', sql: 'SELECT count(*) AS count FROM accounts WHERE id = -99' },
  { name: 'the role of everyone', since: '4.0.0', sql: 'SELECT count(*) AS count FROM user_roles WHERE id = -99' },
  { name: 'the staff roles', since: '4.0.0', sql: 'SELECT count(*) AS count FROM user_roles WHERE id <> -99' },
]

/**
 * Makes the first rows of the database with the app's own command and looks whether they are there. Before 4.0.0 that
 * command makes a second web application when it is run again (db/seeds.rb), so there it is refused.
 */
export const seed: Runbook<object, SeedResult> = {
  name: 'db:seed',
  check: async toolbox => {
    await toolbox.app.command('db.seed', {})
    await refusePending(toolbox)
    await refuseSecondSeed(toolbox)
  },
  steps: async toolbox => [seedStep(seedsRepeatably(await toolbox.app.version()))],
  result: async (_toolbox, _options, noted) => ({ made: listed(noted('missing')) }),
}

async function refusePending(toolbox: Toolbox): Promise<void> {
  const pending = await pendingMigrations(toolbox)
  if (pending.length === 0) return
  throw new RefusedError({
    code: 'migrations-pending',
    message: `${plural(pending.length, 'migration is', 'migrations are')} pending: seeding needs the whole schema.`,
    next: 'mstdn-ops db:migrate',
  })
}

async function refuseSecondSeed(toolbox: Toolbox): Promise<void> {
  const version = await toolbox.app.version()
  if (seedsRepeatably(version) || (await missingRows(toolbox)).includes('the web application')) return
  throw new RefusedError({
    code: 'seeded-already',
    message: 'The database was seeded before.',
    cause: `Mastodon ${version} would make the web application a second time.`,
    next: 'Nothing is to be done.',
  })
}

export function seedStep(repeatable: boolean): Step {
  return {
    id: 'seed',
    title: 'Make the first rows of the database',
    effect: 'write',
    repeatable,
    needed: async ({ toolbox }) => (await missingRows(toolbox)).length > 0 || 'nothing is missing',
    done: async ({ toolbox }) => (await missingRows(toolbox)).length === 0,
    run: plant,
    undo: findNothingMade,
  }
}

async function plant(context: StepContext): Promise<void> {
  const { toolbox } = context
  if (context.noted('missing') === undefined) await context.note('missing', (await missingRows(toolbox)).join('\n'))
  const outcome = await toolbox.app.run('db.seed', {}, { effect: 'write' })
  if (context.dryRun) return
  const missing = await missingRows(toolbox)
  if (missing.length === 0) return
  throw new RefusedError({
    code: 'not-seeded',
    message: `After seeding there is still missing: ${missing.join(', ')}.`,
    cause: complaint(outcome),
  })
}

/** The rows may be in use the moment they are there, so they are told, not deleted. */
async function findNothingMade({ toolbox, noted }: StepContext): Promise<void> {
  const missing = await missingRows(toolbox)
  const made = listed(noted('missing')).filter(name => !missing.includes(name))
  if (made.length === 0) return
  throw new RefusedError({ code: 'seeded-in-part', message: `made and left: ${made.join(', ')}` })
}

async function missingRows(toolbox: Toolbox): Promise<string[]> {
  const version = await toolbox.app.version()
  const database = await toolbox.database()
  const missing: string[] = []
  for (const row of FIRST_ROWS.filter(range => inRange(version, range))) {
    const [found] = await database.query<{ count: number | string }>(row.sql)
    if (Number(found?.count ?? 0) === 0) missing.push(row.name)
  }
  return missing
}

function listed(note: string | undefined): string[] {
  return (note ?? '').split('\n').filter(Boolean)
}
