import type { AppOutcome } from '../../../backends/backend.js'
import { openOther } from '../../../backups/restore-into.js'
import { RefusedError } from '../../../errors.js'
import type { Phase } from '../../../mastodon/catalogue/server.js'
import { commandFor } from '../../../mastodon/catalogue.js'
import { explanationOf } from '../../../mastodon/known-problems.js'
import { appliedIn, type Migration, migrationFiles, migrationProgress } from '../../../mastodon/migrations.js'
import { MastodonVersion } from '../../../mastodon/version.js'
import type { Database } from '../../../postgres/access.js'
import { renewApartRole } from '../../../postgres/apart-role.js'
import { watchMigrations } from '../../../postgres/migration-watch.js'
import { whileRoom } from '../../../postgres/room.js'
import { drillName, withMaintenance } from '../../../postgres/scratch.js'
import type { Step, StepContext } from '../../../runbook/step.js'
import type { Toolbox } from '../../../toolbox.js'
import { configOf } from '../../config/change.js'
import { complaint } from '../../content/outcome.js'
import { tellProgress } from '../../db/migrate.js'
import { noteUnseen } from '../../replace/room.js'
import { missingKeys } from '../keys.js'
import type { UpgradeOptions } from '../options.js'
import type { DiskSeen, FailedMigration, PhaseSeen, RehearsalOptions, TimedMigration } from './options.js'
import { clearAway, secretsOf } from './scratch.js'
import { apartOf, apartServer, scratchToolbox, settingsLike } from './where.js'

const TITLES: Readonly<Record<Phase, (to: string) => string>> = {
  pre: to => `Run the first migrations of ${to} there`,
  post: to => `Run the post-deployment migrations of ${to} there`,
  all: to => `Run all migrations of ${to} there`,
}
const DISK = 'disk'
/** Passed over where one phase has failed. */
const ILL = 'a migration has failed'

/** Makes the network and the Redis. */
export function placeStep({ in: where }: RehearsalOptions): Step {
  const server = where !== 'server' ? 'an empty PostgreSQL and ' : ''
  return {
    id: 'place',
    title: `Make a network without a way out, with ${server}an empty Redis`,
    effect: 'write',
    run: async ({ toolbox, runId }) => {
      const settings = where !== 'server' ? await settingsLike(toolbox) : {}
      await apartOf(toolbox).open(runId, { server: apartServer(where), settings })
    },
    undo: ({ toolbox }) => clearAway(toolbox),
  }
}

/** Migrates the scratch database. What fails there is the answer, not a failure of the rehearsal. */
export function rehearseStep(phase: Phase, options: RehearsalOptions): Step {
  return {
    id: `rehearse-${phase}`,
    title: TITLES[phase](options.upgrade.to),
    effect: 'write',
    needed: async context => {
      if (context.dryRun) return true
      if (phasesSeen(context.noted).some(({ failed }) => failed !== null)) return ILL
      return (await pending(context, phase, options)).length > 0 || 'nothing is pending'
    },
    run: async context => {
      if (!context.dryRun) await noteSeen(context, await rehearsed(context, phase, options))
    },
    undo: ({ toolbox }) => clearAway(toolbox),
  }
}

/** Returns what was seen of each phase so far. */
export function phasesSeen(noted: StepContext['noted']): PhaseSeen[] {
  return (['pre', 'post', 'all'] as const).flatMap(phase => JSON.parse(noted(`seen-${phase}`) ?? '[]') as PhaseSeen[])
}

/** Returns how the disk was filled; undefined where nothing was migrated. */
export function diskSeen(noted: StepContext['noted']): DiskSeen | undefined {
  return JSON.parse(noted(DISK) ?? 'null') ?? undefined
}

async function noteSeen({ note }: StepContext, seen: PhaseSeen): Promise<void> {
  await note(`seen-${seen.phase}`, JSON.stringify([seen]))
}

async function rehearsed(context: StepContext, phase: Phase, options: RehearsalOptions): Promise<PhaseSeen> {
  const database = await openScratch(context, options)
  try {
    const before = await fill(database)
    const planned = await pending(context, phase, options)
    const log = new MigrationLog(phase, tellProgress(context, planned.length))
    const watch = await watchMigrations(database, () => log.current)
    const started = Date.now()
    const outcome = await migrated(context, phase, { options, onLine: log.line }).catch(async error => {
      await watch.stop()
      throw error
    })
    const seconds = (Date.now() - started) / 1_000
    const { locks, rewrites, problem } = await watch.stop()
    await noteDisk(context, before, await fill(database))
    const left = await pending(context, phase, options)
    const failed = left.length === 0 ? null : failure(left, { phase, log, outcome })
    if (failed !== null && log.isEmpty && NOT_REACHED.test(failed.reason)) throw notReached(failed.reason)
    return { phase, seconds, migrations: log.ended, locks, rewrites, unseen: problem, failed }
  } finally {
    await database.close()
  }
}

/** A migration that ended badly is no error of the rehearsal's, unless the disk is full by it. */
class EndedBadly extends Error {
  readonly outcome: AppOutcome

  constructor(outcome: AppOutcome) {
    super(complaint(outcome))
    this.outcome = outcome
  }
}

/** As long as the disk has room: a server without any would stop, and the live database with it. */
async function migrated(context: StepContext, phase: Phase, how: Migrating): Promise<AppOutcome> {
  const name = await drillName(context.toolbox, context.runId)
  const work = async () => {
    const outcome = await runApart(context, phase, how)
    if (outcome.exitCode !== 0) throw new EndedBadly(outcome)
    return outcome
  }
  const scratch = scratchToolbox(context, how.options.in)
  return whileRoom(scratch, name, work, noteUnseen(context)).catch((error: unknown) => {
    if (error instanceof EndedBadly) return error.outcome
    throw error
  })
}

interface Migrating {
  options: RehearsalOptions
  onLine: (line: string) => void
}

async function runApart(context: StepContext, phase: Phase, { options, onLine }: Migrating): Promise<AppOutcome> {
  const { toolbox, runId, stop } = context
  const { upgrade, in: where } = options
  const { argv, env } = commandFor('db.migrate', MastodonVersion.of(upgrade.to), { phase })
  const name = await drillName(toolbox, runId)
  const database = { server: apartServer(where), name, user: name, password: secretsOf({ runId }).password }
  await withMaintenance(scratchToolbox(context, where), 'rehearsal', maintenance => renewApartRole(maintenance, name))
  const secrets = await keysFor(context, upgrade)
  const command = { key: runId, release: upgrade.to, argv, env: env ?? {}, secrets, database, onLine, stop }
  return apartOf(toolbox).run(command)
}

/** The upgrade makes them; here they live as long as the rehearsal. */
async function keysFor({ toolbox, runId }: StepContext, options: UpgradeOptions): Promise<Record<string, string>> {
  const missing = toolbox.backend.config ? await missingKeys(configOf(toolbox), options) : []
  const { keys } = secretsOf({ runId })
  return Object.fromEntries(missing.map(name => [name, keys[name] ?? '']))
}

/** What the process prints of its migrations. */
class MigrationLog {
  readonly ended: TimedMigration[] = []
  readonly #phase: Phase
  readonly #tell: (line: string) => void
  #under: { id: string; name: string } | undefined

  constructor(phase: Phase, tell: (line: string) => void) {
    this.#phase = phase
    this.#tell = tell
  }

  readonly line = (line: string): void => {
    this.#tell(line)
    const told = migrationProgress(line)
    if (told === undefined) return
    const { id, name, seconds } = told
    this.#under = seconds === undefined ? { id, name } : undefined
    if (seconds !== undefined) this.ended.push({ id, name, phase: this.#phase, seconds })
  }

  /** The name of the one that is under way. */
  get current(): string | null {
    return this.#under?.name ?? null
  }

  /** Whether no migration was begun. */
  get isEmpty(): boolean {
    return this.#under === undefined && this.ended.length === 0
  }

  get under(): { id: string; name: string } | undefined {
    return this.#under
  }
}

/** What libpq and Rails say where there is no connection: the fault of the place, and not of a migration. */
const NOT_REACHED =
  /pg_hba\.conf|authentication failed|could not (connect|translate)|connection to server|ConnectionBad|ConnectionNotEstablished/i

function notReached(cause: string): RefusedError {
  return new RefusedError({
    code: 'scratch-not-reached',
    message: 'The new release did not reach the scratch database.',
    cause,
    next: 'See whether pg_hba.conf and listen_addresses of the server admit every network of its container.',
  })
}

/** Output may have come to its end before the migration's first line: then the next pending one is to blame. */
function failure(
  left: readonly Migration[],
  { phase, log, outcome }: { phase: Phase; log: MigrationLog; outcome: AppOutcome },
): FailedMigration {
  const reason = complaint(outcome)
  const { id, name } = log.under ?? { id: outcome.exitCode === 0 ? (left[0]?.id ?? null) : null, name: null }
  return { id, name, phase, reason, explanation: explanationOf(`${outcome.stderr}\n${outcome.stdout}`) ?? null }
}

/** By the files of the release, in the scratch database. */
async function pending(context: StepContext, phase: Phase, options: RehearsalOptions): Promise<Migration[]> {
  const { applied, files } = await scratchSchema(context, options)
  const left = files.filter(({ id }) => !applied.has(id))
  return phase === 'all' ? left : left.filter(migration => migration.phase === phase)
}

/** Returns what the scratch database has had, and what the release brings. */
export async function scratchSchema(
  context: Pick<StepContext, 'toolbox' | 'runId'>,
  options: RehearsalOptions,
): Promise<{ applied: ReadonlySet<string>; files: Migration[] }> {
  const database = await openScratch(context, options)
  try {
    return { applied: await appliedIn(database), files: await filesOf(context.toolbox, options.upgrade.to) }
  } finally {
    await database.close()
  }
}

async function openScratch(
  context: Pick<StepContext, 'toolbox' | 'runId'>,
  { in: where }: RehearsalOptions,
): Promise<Database> {
  const name = await drillName(context.toolbox, context.runId)
  return openOther(scratchToolbox(context, where), name, 'rehearsal')
}

const read = new WeakMap<Toolbox, Promise<Migration[]>>()

/** The files of a release do not change, and reading them starts a process. */
function filesOf(toolbox: Toolbox, release: string): Promise<Migration[]> {
  const found = read.get(toolbox) ?? migrationFiles(toolbox, { release })
  read.set(toolbox, found)
  return found
}

interface Filled {
  bytes: number
  /** Where the server's log stands. */
  log: string
}

async function fill(database: Database): Promise<Filled> {
  const [row] = await database.query<Filled>(
    'SELECT pg_database_size(current_database()) AS bytes, pg_current_wal_lsn()::text AS log',
  )
  return row ?? { bytes: 0, log: '0/0' }
}

/** Over all phases. */
async function noteDisk(context: StepContext, before: Filled, after: Filled): Promise<void> {
  const known = diskSeen(context.noted)
  const log = (known?.log ?? 0) + position(after.log) - position(before.log)
  await context.note(DISK, JSON.stringify({ before: known?.before ?? before.bytes, after: after.bytes, log }))
}

/** `16/B374D848`: the upper and the lower 32 bits. */
function position(log: string): number {
  const [high = '0', low = '0'] = log.split('/')
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16)
}
