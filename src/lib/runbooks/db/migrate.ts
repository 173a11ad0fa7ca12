import { RefusedError } from '../../errors.js'
import type { Phase } from '../../mastodon/catalogue/server.js'
import { supports } from '../../mastodon/catalogue.js'
import {
  appliedMigrations,
  type Migration,
  type MigrationRows,
  migrationFiles,
  migrationProgress,
  migrationRows,
} from '../../mastodon/migrations.js'
import { hasForeignKeys } from '../../mastodon/releases.js'
import type { Consent, Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { complaint } from '../content/outcome.js'
import { tellingWaits } from './lock-waits.js'
import { migratingAgain, migratingIn } from './one-migration.js'

export interface MigrateOptions {
  /** `pre` leaves the post-deployment migrations out; `post` runs them once no other is left; `all` runs everything. */
  phase: Phase
}

export interface MigrateResult {
  phase: Phase
  /** The ids that this run applied, in order. */
  applied: string[]
  /** Post-deployment migrations that are still to be run. */
  waiting: number
}

/** The newest migration of 1.4.1, the last release before the foreign keys (db/schema.rb @v1.4.1). */
const LAST_WITHOUT_FOREIGN_KEYS = '20170520145338'

/**
 * Migrates the database with the app's own command in a process of its own, which goes on when this one is killed and
 * is found again by `resume`. Believed only when nothing of the phase is pending afterwards.
 */
export const migrate: Runbook<MigrateOptions, MigrateResult> = {
  name: 'db:migrate',
  check: async (toolbox, { phase }) => {
    await toolbox.app.command('db.migrate', { phase })
    const pending = await pendingOf(toolbox, 'all')
    refuseEarlyPost(phase, pending)
    if (pending.length > 0) await refusePooler(toolbox)
    if (await isBeforeForeignKeys(toolbox)) await toolbox.app.command('db.preparePreForeignKeys', {})
  },
  consent: toolbox => consentOf(toolbox),
  steps: async (toolbox, { phase }) => {
    const preparable = supports('db.preparePreForeignKeys', await toolbox.app.version())
    return [...(preparable ? [prepareStep()] : []), migrateStep(phase)]
  },
  result: async (toolbox, { phase }, noted) => {
    const waiting = (await pendingOf(toolbox, 'post')).length
    return { phase, applied: listed(noted('applied')), waiting }
  },
}

/** Running the post-deployment migrations runs whatever is pending, so the others must have had their turn. */
function refuseEarlyPost(phase: Phase, pending: readonly Migration[]): void {
  const early = pending.filter(migration => migration.phase === 'pre').length
  if (phase !== 'post' || early === 0) return
  throw new RefusedError({
    code: 'pre-migrations-pending',
    message: `${plural(early, 'migration')} must run before the post-deployment migrations.`,
    cause: 'The old release may still need what the post-deployment migrations remove.',
    next: 'mstdn-ops db:migrate --phase pre, restart the new release, then --phase post; or --phase all at once',
  })
}

/**
 * Rails locks the database for the length of a migration by its session, which a pooler gives to others (all versions).
 *
 * @throws RefusedError where one stands before the database.
 */
export async function refusePooler(toolbox: Toolbox): Promise<void> {
  const database = await toolbox.database()
  if (!database.pooled) return
  throw new RefusedError({
    code: 'pooler-in-the-way',
    message: `Migrations do not work through the pooler that stands before ${database.where}.`,
    cause: 'Each statement may reach another session, so that neither the lock nor what a migration sets holds.',
    next: 'Let the app’s DATABASE_URL (or DB_HOST and DB_PORT) lead to PostgreSQL itself, migrate, and put it back.',
  })
}

/** Up to 1.4.1 rows may point to nothing; the foreign keys of 1.4.2 cannot be made over them. */
async function isBeforeForeignKeys(toolbox: Toolbox): Promise<boolean> {
  if (!hasForeignKeys(await toolbox.app.version())) return false
  const applied = await appliedMigrations(toolbox)
  return applied.size > 0 && [...applied].every(id => id <= LAST_WITHOUT_FOREIGN_KEYS)
}

async function consentOf(toolbox: Toolbox): Promise<Consent> {
  if (!(await isBeforeForeignKeys(toolbox))) return { kind: 'none' }
  return { kind: 'yes', question: 'Rows that point to something deleted will be deleted before migrating. Go on?' }
}

function prepareStep(): Step {
  return {
    id: 'prepare-foreign-keys',
    title: 'Delete orphaned rows before the first foreign keys',
    effect: 'write',
    repeatable: true,
    irreversible: 'orphaned rows are deleted for good',
    needed: async ({ toolbox }) => (await isBeforeForeignKeys(toolbox)) || 'the schema has its foreign keys',
    run: async context => {
      const { toolbox } = context
      const how = { effect: 'write', longKey: prepareKey(context) } as const
      const outcome = await toolbox.app.run('db.preparePreForeignKeys', {}, how)
      if (outcome.verdict === 'failed') throw new RefusedError({ code: 'not-prepared', message: complaint(outcome) })
    },
    settle: async context => {
      const verdict = await context.toolbox.app.found('db.preparePreForeignKeys', {}, prepareKey(context))
      return verdict === undefined || verdict === 'failed' ? 'unknown' : 'done'
    },
  }
}

function migrateStep(phase: Phase): Step {
  return {
    id: 'migrate',
    title: TITLES[phase],
    effect: 'write',
    irreversible: 'migrations are not taken back, only a backup does that',
    needed: async ({ toolbox }) => (await pendingOf(toolbox, phase)).length > 0 || 'nothing is pending',
    run: context => runMigrations(context, phase),
    settle: context => settleMigrations(context, phase),
    undo: findUnchanged,
  }
}

const TITLES: Readonly<Record<Phase, string>> = {
  pre: 'Run the migrations, without the post-deployment ones',
  post: 'Run the post-deployment migrations',
  all: 'Run all migrations',
}

async function runMigrations(context: StepContext, phase: Phase): Promise<void> {
  const { toolbox } = context
  const again = context.noted('ended') === 'no'
  const total = await notePlanned(context, phase)
  await context.note('ended', 'no')
  const how = { effect: 'write', longKey: longKey(context), onLine: tellProgress(context, total) } as const
  const migrating = () => tellingWaits(context, () => toolbox.app.run('db.migrate', { phase }, how))
  const outcome = await migratingAgain(context, { again, others: () => migratingIn(toolbox), migrate: migrating })
  await context.note('ended', 'yes')
  if (!context.dryRun) await verify(context, phase, complaint(outcome))
}

/** Kept from the first attempt on, so that a resumed run knows all that it applied; returns how many there are. */
async function notePlanned(context: StepContext, phase: Phase): Promise<number> {
  const known = context.noted('planned')
  const planned = known === undefined ? (await pendingOf(context.toolbox, phase)).map(({ id }) => id) : listed(known)
  if (known === undefined) await context.note('planned', planned.join(' '))
  return planned.length
}

/** Returns what tells the progress of that many migrations by the lines that they print. */
export function tellProgress(context: Pick<StepContext, 'progress'>, total: number): (line: string) => void {
  let at = 0
  let under = ''
  return line => {
    const told = migrationProgress(line)
    const rows = migrationRows(line)
    if (rows !== undefined) context.progress([under, rowsText(rows)].join(''))
    if (told?.seconds !== undefined) context.progress(`${told.name} took ${told.seconds.toFixed(1)} s`)
    if (told === undefined || told.seconds !== undefined) return
    at += 1
    under = `${at} of ${total}: ${told.name}`
    context.progress(under)
    under += ': '
  }
}

function rowsText({ rows, percent, left }: MigrationRows): string {
  const share = percent === undefined ? [] : [`about ${percent.toFixed(1)} %`]
  return [plural(rows, 'row'), ...share, ...(left === undefined ? [] : [`${left} left`])].join(', ')
}

/** Several releases say nothing useful by their exit code: what counts is that nothing is left to do. */
async function verify(context: StepContext, phase: Phase, said: string): Promise<void> {
  const applied = await appliedSinceStart(context)
  await context.note('applied', applied.join(' '))
  const left = await pendingOf(context.toolbox, phase)
  const [next] = left
  if (next === undefined) return
  throw new RefusedError({
    code: 'migrations-pending',
    message: `${plural(left.length, 'migration is', 'migrations are')} still pending, ${next.id} first.`,
    cause: said,
  })
}

/** The end was not seen: what still runs is followed to its end, then the database tells. */
async function settleMigrations(context: StepContext, phase: Phase): Promise<Settled> {
  await context.toolbox.app.oneOff().untilOver(longKey(context))
  await context.note('ended', 'yes')
  await context.note('applied', (await appliedSinceStart(context)).join(' '))
  return (await pendingOf(context.toolbox, phase)).length === 0 ? 'done' : 'not done'
}

/**
 * Migrations cannot be taken back. When none was applied nothing is to be undone; else the run stays open, to be gone
 * on with once the cause is mended.
 */
async function findUnchanged(context: StepContext): Promise<void> {
  if (context.noted('planned') === undefined) return
  // A killed run may have left its migrations under way.
  if (context.noted('ended') !== 'yes') await context.toolbox.app.oneOff().untilOver(longKey(context))
  const applied = await appliedSinceStart(context)
  if (applied.length === 0) return
  throw new RefusedError({
    code: 'migrations-applied',
    message: `${plural(applied.length, 'migration was', 'migrations were')} applied and cannot be taken back: ${named(applied)}`,
  })
}

/** A whole upgrade has hundreds: then the first and the last tell enough. */
function named(ids: readonly string[]): string {
  return ids.length > 5 ? `${ids[0]} to ${ids.at(-1)}` : ids.join(', ')
}

async function appliedSinceStart(context: StepContext): Promise<string[]> {
  const applied = await appliedMigrations(context.toolbox)
  return listed(context.noted('planned')).filter(id => applied.has(id))
}

/** Of the release that the next start would run: its image may be newer than the running one. */
async function pendingOf(toolbox: Toolbox, phase: Phase): Promise<Migration[]> {
  const applied = await appliedMigrations(toolbox)
  const pending = (await filesOf(toolbox)).filter(({ id }) => !applied.has(id))
  return phase === 'all' ? pending : pending.filter(migration => migration.phase === phase)
}

/** The files do not change while the command runs, and reading them starts a process. */
const read = new WeakMap<Toolbox, Promise<Migration[]>>()

function filesOf(toolbox: Toolbox): Promise<Migration[]> {
  const files = read.get(toolbox) ?? migrationFiles(toolbox, { fresh: true })
  read.set(toolbox, files)
  return files
}

function prepareKey(context: StepContext): string {
  return `${context.runId}-prepare`
}

function longKey(context: StepContext): string {
  return `${context.runId}-migrate`
}

function listed(note: string | undefined): string[] {
  return (note ?? '').split(' ').filter(Boolean)
}
