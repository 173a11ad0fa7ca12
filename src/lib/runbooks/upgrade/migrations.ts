import type { Phase } from '../../mastodon/catalogue/server.js'
import { commandFor, outcomeOf } from '../../mastodon/catalogue.js'
import { appliedMigrations, type Migration, migrationFiles } from '../../mastodon/migrations.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Settled, Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { complaint } from '../content/outcome.js'
import { tellingWaits } from '../db/lock-waits.js'
import { tellProgress } from '../db/migrate.js'
import { migratingAgain, migratingIn } from '../db/one-migration.js'
import { stillPending } from '../replace/migrate.js'
import type { UpgradeOptions } from './options.js'
import { putFilesBack } from './serving.js'

const TITLES: Readonly<Record<Phase, (to: string) => string>> = {
  pre: to => `Run the first migrations with ${to}, while the old release serves`,
  post: to => `Run the post-deployment migrations of ${to}`,
  all: to => `Run all migrations with ${to}`,
}

/**
 * Migrates with the target release, in a process of its own that goes on when this one is killed and is found again.
 * Believed only when nothing of the phase is pending afterwards.
 */
export function migrateStep(phase: Phase, options: UpgradeOptions): Step {
  return {
    id: `migrate-${phase}`,
    title: TITLES[phase](options.to),
    effect: 'write',
    ...(phase === 'pre'
      ? {}
      : { irreversible: `${options.from} cannot serve what these leave: only a backup goes back` }),
    needed: async context => {
      // What is not here yet cannot be asked.
      if (context.dryRun) return true
      return (await pending(context, phase, options)).length > 0 || 'nothing is pending'
    },
    run: context => run(context, phase, options),
    settle: context => settle(context, phase, options),
    undo: context => standStill(context, phase, options),
    ...(phase === 'pre' ? {} : { inUse: (context: StepContext) => inUse(context, phase, options) }),
  }
}

/** Returns how many migrations the run has applied. */
export function appliedNoted(noted: StepContext['noted']): number {
  return (['pre', 'post', 'all'] as const).flatMap(phase => listed(noted(`applied-${phase}`))).length
}

async function run(context: StepContext, phase: Phase, options: UpgradeOptions): Promise<void> {
  const { toolbox, dryRun } = context
  // A killed rehearsal may have left migrations of its own, which would write on the same disk.
  await toolbox.backend.apart?.close()
  const command = commandFor('db.migrate', MastodonVersion.of(options.to), { phase })
  const again = context.noted(`ended-${phase}`) === 'no'
  const total = dryRun ? 0 : await notePlanned(context, phase, options)
  await context.note(`ended-${phase}`, 'no')
  const migration = {
    argv: command.argv,
    env: command.env,
    effect: 'write',
    release: options.to,
    longKey: longKey(context, phase),
    onLine: tellProgress(context, total),
  } as const
  const migrating = () => tellingWaits(context, () => toolbox.app.oneOff().run(migration))
  const outcome = await migratingAgain(context, { again, others: () => migratingIn(toolbox), migrate: migrating })
  await context.note(`ended-${phase}`, 'yes')
  if (dryRun) return
  await noteApplied(context, phase)
  const left = await pending(context, phase, options)
  if (left.length > 0) throw stillPending(left, complaint(outcome))
  if (outcomeOf(command.row, outcome) === 'failed')
    toolbox.output.warn(`It ended badly, but all is applied: ${complaint(outcome)}`)
}

/** Kept from the first attempt on, so that a resumed run knows all that it applied; returns how many there are. */
async function notePlanned(context: StepContext, phase: Phase, options: UpgradeOptions): Promise<number> {
  const known = context.noted(`planned-${phase}`)
  const planned = known === undefined ? (await pending(context, phase, options)).map(({ id }) => id) : listed(known)
  if (known === undefined) await context.note(`planned-${phase}`, planned.join(' '))
  return planned.length
}

async function settle(context: StepContext, phase: Phase, options: UpgradeOptions): Promise<Settled> {
  await untilOver(context, phase)
  await noteApplied(context, phase)
  return (await pending(context, phase, options)).length === 0 ? 'done' : 'not done'
}

/** Nothing takes migrations back. The first ones are made so that the old release can serve with them. */
async function standStill(context: StepContext, phase: Phase, { from, to }: UpgradeOptions): Promise<void> {
  await untilOver(context, phase)
  // A killed run may have left what led its migrations to the other release.
  await putFilesBack(context)
  const applied = await appliedSinceStart(context, phase)
  if (applied.length === 0) return
  const what = plural(applied.length, 'migration of', 'migrations of')
  context.toolbox.output.info(
    `${what} ${to} stay applied: ${from} serves with them, and the next upgrade goes on from there.`,
  )
}

/** Post-deployment migrations remove what the old release needs; where the two cannot exist together, so may any other. */
async function inUse(context: StepContext, phase: Phase, options: UpgradeOptions): Promise<string | undefined> {
  if (context.noted(`planned-${phase}`) === undefined) return undefined
  await untilOver(context, phase)
  const applied = new Set(await appliedSinceStart(context, phase))
  const fatal = (await files(context.toolbox, options.to)).filter(
    migration => applied.has(migration.id) && (migration.phase === 'post' || !options.coexist),
  )
  if (fatal.length === 0) return undefined
  return `${plural(fatal.length, 'migration was', 'migrations were')} applied that ${options.from} cannot work with: it goes on with ${options.to}, or, when abandoned, back with the backup of before (mstdn-ops rollback).`
}

async function untilOver(context: StepContext, phase: Phase): Promise<void> {
  // A killed run may have left its migrations under way.
  if (context.noted(`ended-${phase}`) === 'no') await context.toolbox.app.oneOff().untilOver(longKey(context, phase))
}

async function noteApplied(context: StepContext, phase: Phase): Promise<void> {
  await context.note(`applied-${phase}`, (await appliedSinceStart(context, phase)).join(' '))
}

async function appliedSinceStart(context: StepContext, phase: Phase): Promise<string[]> {
  const applied = await appliedMigrations(context.toolbox)
  return listed(context.noted(`planned-${phase}`)).filter(id => applied.has(id))
}

async function pending({ toolbox }: StepContext, phase: Phase, { to }: UpgradeOptions): Promise<Migration[]> {
  const applied = await appliedMigrations(toolbox)
  const left = (await files(toolbox, to)).filter(({ id }) => !applied.has(id))
  return phase === 'all' ? left : left.filter(migration => migration.phase === phase)
}

/** The files of a release do not change, and reading them starts a process. */
const read = new WeakMap<Toolbox, Promise<Migration[]>>()

function files(toolbox: Toolbox, release: string): Promise<Migration[]> {
  const found = read.get(toolbox) ?? migrationFiles(toolbox, { release })
  read.set(toolbox, found)
  return found
}

function longKey({ runId }: StepContext, phase: Phase): string {
  return `${runId}-migrate-${phase}`
}

function listed(note: string | undefined): string[] {
  return (note ?? '').split(' ').filter(Boolean)
}
