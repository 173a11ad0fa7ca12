import { INSERT_SETTING, settingText, siteSettings, UPDATE_SETTING } from '../../mastodon/new-instance/site.js'
import { schemaOf } from '../../mastodon/releases.js'
import type { Step, StepContext } from '../../runbook/step.js'
import type { Answers } from '../../setup/questions.js'
import type { Toolbox } from '../../toolbox.js'
import { operationFailed } from '../content/outcome.js'

const SCHEMA_TITLE = 'Make the tables and the first rows'
/** Rails' own guard, which the half of a schema that this run has made trips. */
const AGAIN = { DISABLE_DATABASE_ENVIRONMENT_CHECK: '1' }

/** All that these steps make goes with the database, whose own step takes it away. */
const goesWithDatabase = async () => undefined

export function schemaStep(): Step {
  return {
    id: 'schema',
    title: SCHEMA_TITLE,
    effect: 'write',
    needed: async ({ toolbox, noted, dryRun }) =>
      dryRun || noted('schema') === 'begun' || (await isEmpty(toolbox)) || 'the database is not empty',
    done: async ({ toolbox, noted }) => noted('schema') === 'made' && (await isWhole(toolbox)),
    run: makeSchema,
    undo: goesWithDatabase,
  }
}

async function makeSchema(context: StepContext): Promise<void> {
  const { toolbox, runId } = context
  if (context.dryRun) return recordOperation(toolbox)
  const again = context.noted('schema') === 'begun'
  await context.note('schema', 'begun')
  const how = { effect: 'write', fresh: true, longKey: `${runId}-schema`, onLine: context.progress } as const
  const outcome = await toolbox.app.run('db.setup', {}, { ...how, ...(again ? { env: AGAIN } : {}) })
  if (!(await isWhole(toolbox))) throw operationFailed(SCHEMA_TITLE, { ...outcome, verdict: 'failed' })
  await context.note('schema', 'made')
}

/** In a dry run there is no project yet that could be asked. */
async function recordOperation(toolbox: Toolbox): Promise<void> {
  const { argv, env } = await toolbox.app.command('db.setup', {})
  toolbox.ledger.command(toolbox.app.oneOff().byHand({ argv, effect: 'write', fresh: true, ...(env ? { env } : {}) }))
}

async function isEmpty(toolbox: Toolbox): Promise<boolean> {
  const database = await toolbox.database()
  const [row] = await database.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
  )
  return row?.count === 0
}

/** Returns why nothing may be taken away any more: the undo removes the data, and an unfinished setup serves already. */
export async function usedSince(toolbox: Toolbox): Promise<string | undefined> {
  const [row] = await (await toolbox.database()).query<{ users: number; posts: number }>(
    'SELECT (SELECT count(*)::int FROM users) AS users, (SELECT count(*)::int FROM statuses) AS posts',
  )
  if (row !== undefined && row.users <= 1 && row.posts === 0) return undefined
  return 'The new instance has been used: there are posts, or accounts besides the owner, and taking it back would delete them.'
}

/** The last that the command makes are the roles (db/seeds/04_admin.rb and the like, 4.0 and newer). */
async function isWhole(toolbox: Toolbox): Promise<boolean> {
  if (await isEmpty(toolbox)) return false
  const database = await toolbox.database()
  const [row] = await database.query<{ schema: string | null; roles: number; apps: number }>(
    `SELECT (SELECT max(version) FROM schema_migrations) AS schema, (SELECT count(*)::int FROM user_roles) AS roles,
  (SELECT count(*)::int FROM oauth_applications WHERE superapp) AS apps`,
  )
  const expected = schemaOf(await toolbox.app.version())
  return row !== undefined && (expected ?? row.schema) === row.schema && row.roles > 1 && row.apps > 0
}

/** Only for tables that this run has made: later the site's title is its administrators' business. */
export function siteStep(answers: Answers): Step {
  return {
    id: 'site',
    title: 'Set title, contact and registrations',
    effect: 'write',
    atomic: true,
    needed: async ({ noted, dryRun }) => dryRun || noted('schema') === 'made' || 'they were set before',
    run: context => setSite(context, answers),
    undo: goesWithDatabase,
  }
}

async function setSite({ toolbox, dryRun }: StepContext, answers: Answers): Promise<void> {
  const settings = siteSettings(answers)
  const rows = await Promise.all(settings.map(async ({ name, value }) => [name, await settingText(value)]))
  if (dryRun) return recordSite(toolbox, rows)
  const database = await toolbox.database()
  await database.transaction(async () => {
    for (const row of rows) {
      const changed = await database.write(UPDATE_SETTING, row, { recordAs: '' })
      if (changed === 0) await database.write(INSERT_SETTING, row)
    }
  })
}

async function recordSite(toolbox: Toolbox, rows: readonly (readonly string[])[]): Promise<void> {
  const { withLiterals } = await import('../../postgres/quote.js')
  const statements = rows.map(row => withLiterals(INSERT_SETTING, row))
  for (const exact of statements) toolbox.ledger.record({ kind: 'sql', exact, byHand: `psql: ${exact}` })
}
