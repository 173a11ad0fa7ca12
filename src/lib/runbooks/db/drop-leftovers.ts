import { RefusedError, UsageError } from '../../errors.js'
import { makesIndex, makesTable, migrationsNaming } from '../../mastodon/migration-text.js'
import { pendingMigrations } from '../../mastodon/migrations.js'
import { dropLeftovers, type Leftover, leftoversOf } from '../../postgres/leftovers.js'
import type { Consent, Runbook, Step } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { safetyBackup, safetyBackupStep } from '../replace/safety-backup.js'
import { backup } from './backup.js'

const BACKUP = { with: [], label: 'leftovers' } satisfies Parameters<typeof backup.steps>[1]

export interface LeftoverOptions {
  names: string[]
  /** The release whose migrations are meant, where it is not the installed one. */
  release?: string
}

export interface LeftoverResult {
  dropped: string[]
  /** The statements by which the indexes would be made again. */
  definitions: string[]
  backup: string | null
}

/**
 * Drops what an attempt to migrate has left, so that the migration that makes it finds its name free. Only a table without
 * a row, or an index, that a pending migration makes.
 */
export const dropLeftoversRunbook: Runbook<LeftoverOptions, LeftoverResult> = {
  name: 'db:drop-leftovers',
  check: async (toolbox, options) => {
    await refuse(toolbox, await foundOf(toolbox, options.names), options)
    await backup.check?.(toolbox, BACKUP)
  },
  consent: async (toolbox, { names }) => consentOf(await foundOf(toolbox, names)),
  steps: async (_toolbox, { names }) => [safetyBackupStep(BACKUP), dropStep(names)],
  result: async (_toolbox, { names }, noted) => ({
    dropped: noted('definitions') === undefined ? [] : names,
    definitions: JSON.parse(noted('definitions') ?? '[]') as string[],
    backup: safetyBackup(noted)?.path ?? null,
  }),
}

async function foundOf(toolbox: Toolbox, names: readonly string[]): Promise<Leftover[]> {
  return leftoversOf(await toolbox.database(), names)
}

function consentOf(found: readonly Leftover[]): Consent {
  const told = found.map(({ kind, name }) => (kind === 'table' ? `the empty table ${name}` : `the index ${name}`))
  return { kind: 'yes', question: `Drop ${told.join(', ')}? A pending migration makes it again.` }
}

async function refuse(
  toolbox: Toolbox,
  found: readonly Leftover[],
  { names, release }: LeftoverOptions,
): Promise<void> {
  const missing = names.filter(name => !found.some(one => one.name === name))
  if (missing.length > 0) throw unknown(missing)
  const source = release === undefined ? {} : { release }
  const pending = new Set((await pendingMigrations(toolbox, source)).map(({ id }) => id))
  const tables = found.filter(({ kind }) => kind === 'table').map(({ name }) => name)
  for (const one of found) {
    // It goes with its table.
    if (one.kind === 'index' && tables.includes(one.table)) continue
    if (one.filled) throw holdsRows(one.name)
    if (one.constraint !== null) throw isConstraint(one)
    const making = await makingOf(toolbox, one, release)
    if (making.length === 0 || !making.every(id => pending.has(id))) throw notPending(one, making, pending)
  }
}

/** Returns the ids of the migrations that make it. */
async function makingOf(toolbox: Toolbox, { kind, name, table }: Leftover, release?: string): Promise<string[]> {
  const texts = await migrationsNaming(toolbox, table, release)
  const makes = kind === 'table' ? makesTable : makesIndex
  return texts.filter(text => makes(text, name)).map(({ id }) => id)
}

function dropStep(names: readonly string[]): Step {
  return {
    id: 'drop',
    title: `Drop ${names.join(', ')}`,
    effect: 'write',
    atomic: true,
    irreversible: 'what was dropped stands in the backup of before, and the migration makes it again',
    done: async ({ toolbox }) => (await foundOf(toolbox, names)).length === 0,
    run: async ({ toolbox, note }) => {
      const found = await foundOf(toolbox, names)
      await note('definitions', JSON.stringify(found.flatMap(({ definition }) => definition ?? [])))
      await dropLeftovers(await toolbox.database(), found, holdsRows)
    },
  }
}

function unknown(names: readonly string[]): UsageError {
  return new UsageError({
    code: 'no-such-leftover',
    message: `The database has neither a table nor an index called ${names.join(', ')}.`,
    next: 'Take the name from the message of the migration: mstdn-ops db:migrate, mstdn-ops diagnose',
  })
}

function holdsRows(table: string): RefusedError {
  return new RefusedError({
    code: 'leftover-holds-rows',
    message: `The table ${table} holds rows: nothing was dropped.`,
    cause: 'Something has used it, so that it is no mere remains of an attempt.',
    next: `See what they are: mstdn-ops db:psql -c 'SELECT * FROM ${table} LIMIT 10'`,
  })
}

function isConstraint({ name, table, constraint }: Leftover): RefusedError {
  return new RefusedError({
    code: 'leftover-is-constraint',
    message: `The index ${name} stands behind the constraint ${constraint} of ${table}: nothing was dropped.`,
    next: 'See what makes it: mstdn-ops diagnose',
  })
}

/** What no pending migration makes would be missing for good. */
function notPending({ name, kind }: Leftover, making: readonly string[], pending: ReadonlySet<string>): RefusedError {
  const done = making.filter(id => !pending.has(id))
  return new RefusedError({
    code: 'leftover-in-use',
    message: `The ${kind} ${name} is no remains of a pending migration: nothing was dropped.`,
    cause:
      done.length === 0
        ? 'No migration that makes it was found.'
        : `Migration ${done.at(-1)}, which makes it, counts as done: the app may use it.`,
    next: 'mstdn-ops db:migrate (what is pending, and what is in its way); where an upgrade failed, name its release: --to VERSION',
  })
}
