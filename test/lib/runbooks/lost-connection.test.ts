import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AppCommand } from '../../../src/lib/backends/backend.js'
import { OperatorError, OutcomeUnknownError } from '../../../src/lib/errors.js'
import { type RunReport, runRunbook } from '../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../src/lib/runbook/step.js'
import { confirm } from '../../../src/lib/runbooks/accounts/confirm.js'
import { makeAdmin } from '../../../src/lib/runbooks/accounts/make-admin.js'
import { resetPassword } from '../../../src/lib/runbooks/accounts/reset-password.js'
import { clearCache, clearFeeds } from '../../../src/lib/runbooks/content/caches.js'
import { removeMedia } from '../../../src/lib/runbooks/content/media.js'
import { migrate } from '../../../src/lib/runbooks/db/migrate.js'
import { seed } from '../../../src/lib/runbooks/db/seed.js'
import { restart } from '../../../src/lib/runbooks/restart/restart.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { type Fate, withLostApp } from '../../support/lost-app.js'
import { type TestSandbox, testSandbox } from '../../support/sandbox.js'
import { type Made, toolboxOf } from '../../support/toolbox-of.js'

let sandbox: TestSandbox
let toolbox: Toolbox
beforeAll(async () => {
  sandbox = await testSandbox()
  toolbox = await sandbox.toolbox()
})
afterAll(async () => {
  await toolbox?.close()
  await sandbox?.stop()
})
beforeEach(async () => {
  process.env.XDG_STATE_HOME = mkdtempSync(join(sandbox.dir, 'state-'))
})

const sql = async (text: string) => (await toolbox.database()).write(text)
const value = async (text: string) => Object.values((await (await toolbox.database()).query(text))[0] ?? {})[0]

/** How the run ended: 0, or the exit code of its error. */
interface Ended {
  exitCode: number
  error?: OperatorError
  report?: RunReport
}

async function carriedOut<O extends object>(box: Toolbox, runbook: Runbook<O, object>, options: O): Promise<Ended> {
  try {
    return { exitCode: 0, report: await runRunbook(box, runbook, options, { pauseMs: 0 }) }
  } catch (error) {
    if (error instanceof OperatorError) return { exitCode: error.exitCode, error }
    throw error
  }
}

const MIGRATIONS = ['29990101000000', '29990101000001'] as const
const FILES = `db/migrate:\n${MIGRATIONS.map(id => `${id}_some.rb`).join('\n')}\n\ndb/post_migrate:\n`
const inserted = (id: string) => `INSERT INTO schema_migrations (version) VALUES ('${id}')`
const OWNER = "(SELECT id FROM user_roles WHERE name = 'Owner')"

interface Case {
  name: string
  runbook: Runbook<never, object>
  options: object
  files?: string
  /** Makes it be needed. */
  before: string
  effect: readonly string[]
  /** Whether it is done, and whether all is as before. */
  done: string
  former: string
  codes: Partial<Record<Fate, number>>
}

const cases: Case[] = [
  {
    name: 'accounts:make-admin',
    ...{ runbook: makeAdmin, options: { user: 'bob' } },
    before: 'UPDATE users SET role_id = NULL WHERE id = 2',
    effect: [`UPDATE users SET role_id = ${OWNER} WHERE id = 2`],
    done: `SELECT role_id = ${OWNER} FROM users WHERE id = 2`,
    former: 'SELECT role_id IS NULL FROM users WHERE id = 2',
    codes: { done: 0, nothing: 4, away: 8 },
  },
  {
    name: 'accounts:confirm',
    ...{ runbook: confirm, options: { user: 'bob', approve: false } },
    before: 'UPDATE users SET confirmed_at = NULL WHERE id = 2',
    effect: ['UPDATE users SET confirmed_at = now() WHERE id = 2'],
    done: 'SELECT confirmed_at IS NOT NULL FROM users WHERE id = 2',
    former: 'SELECT confirmed_at IS NULL FROM users WHERE id = 2',
    codes: { done: 0, nothing: 4, away: 8 },
  },
  {
    name: 'accounts:reset-password, whose password nobody saw,',
    ...{ runbook: resetPassword, options: { user: 'alice' } },
    before: "UPDATE users SET encrypted_password = 'former' WHERE id = 1",
    effect: ["UPDATE users SET encrypted_password = 'other' WHERE id = 1"],
    done: "SELECT encrypted_password = 'other' FROM users WHERE id = 1",
    former: "SELECT encrypted_password = 'former' FROM users WHERE id = 1",
    codes: { done: 8, nothing: 4, away: 8 },
  },
  {
    name: 'db:migrate',
    ...{ runbook: migrate, options: { phase: 'all' }, files: FILES },
    before: `DELETE FROM schema_migrations WHERE version IN ('${MIGRATIONS.join("', '")}')`,
    effect: MIGRATIONS.map(inserted),
    done: `SELECT count(*) = 2 FROM schema_migrations WHERE version LIKE '2999%'`,
    former: `SELECT count(*) = 0 FROM schema_migrations WHERE version LIKE '2999%'`,
    codes: { done: 0, nothing: 4, half: 5, away: 8 },
  },
  {
    name: 'db:seed',
    ...{ runbook: seed, options: {}, files: 'db/migrate:\n20160220174730_create_accounts.rb\n' },
    before: 'UPDATE oauth_applications SET superapp = false',
    effect: ['UPDATE oauth_applications SET superapp = true'],
    done: 'SELECT count(*) > 0 FROM oauth_applications WHERE superapp',
    former: 'SELECT count(*) = 0 FROM oauth_applications WHERE superapp',
    codes: { done: 0, nothing: 4, away: 8 },
  },
]

const fates = cases.flatMap(one => Object.entries(one.codes).map(([fate, code]) => ({ ...one, fate, code })))

describe('a command of the app whose end nobody saw', () => {
  it.each(fates)('$name is looked at: $fate is $code', async one => {
    await sql(one.before)
    const fate = one.fate as Fate
    const box = withLostApp(toolbox, { fate, effect: one.effect, files: one.files ?? '' })
    const { exitCode, error, report } = await carriedOut(box, one.runbook as Runbook<object, object>, one.options)
    expect({ exitCode, error }).toMatchObject({ exitCode: one.code })
    if (fate === 'nothing') expect(error?.why).toContain('Looked: it was not done.')
    if (fate === 'nothing') expect(await value(one.former)).toBe(true)
    if (fate === 'done' || fate === 'away') expect(await value(one.done)).toBe(true)
    if (one.code === 0) expect(report?.steps.at(-1)).toMatchObject({ state: 'done' })
  })

  it('is looked at more than once, for it may be about to take effect', async () => {
    await sql('UPDATE users SET role_id = NULL WHERE id = 2')
    const effect = [`UPDATE users SET role_id = ${OWNER} WHERE id = 2`]
    const box = withLostApp(toolbox, { fate: 'late', effect })
    const { steps } = await runRunbook(box, makeAdmin, { user: 'bob' }, { pauseMs: 400 })
    expect(steps).toMatchObject([{ id: 'promote', state: 'done' }])
  })

  it('tells which migrations stand when some are left, and can be gone on with', async () => {
    await sql(cases[3]?.before ?? '')
    const box = withLostApp(toolbox, { fate: 'half', effect: MIGRATIONS.map(inserted), files: FILES })
    const { error } = await carriedOut(box, migrate, { phase: 'all' })
    expect(error?.why).toContain(MIGRATIONS[0])
    expect(error?.next).toContain('mstdn-ops resume')
  })

  it('says to reset the password once more when it is not known', async () => {
    await sql("UPDATE users SET encrypted_password = 'former' WHERE id = 1")
    const effect = ["UPDATE users SET encrypted_password = 'other' WHERE id = 1"]
    const { error } = await carriedOut(withLostApp(toolbox, { fate: 'done', effect }), resetPassword, { user: 'alice' })
    expect(error).toMatchObject({ code: 'password-not-shown' })
    expect(error?.next).toContain('mstdn-ops accounts:reset-password alice')
  })
})

/** A one-off that loses the connection; what is asked for by its key afterwards answers as `found` says. */
function losing(found?: { stdout: string; exitCode: number }): Made['oneOff'] {
  return {
    run: async ({ argv }: AppCommand) => {
      if (argv[0] !== 'echo') throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
      return { stderr: '', planned: false, ...(found ?? { stdout: argv.slice(1).join(' '), exitCode: 0 }) }
    },
  }
}

const redisOf = (keys: readonly string[]): Made['redis'] => ({ read: async () => ['0', keys] })

describe('an operation of the app', () => {
  it('that leaves nothing to look at stays unknown, and holds up no other run', async () => {
    const box = toolboxOf({ oneOff: losing() })
    expect(await carriedOut(box, clearCache, {})).toMatchObject({ exitCode: 8 })
    expect(await carriedOut(box, clearCache, {})).toMatchObject({ exitCode: 8 })
  })

  it.each([
    ['done, when none is left', [], 0],
    ['not known, when some are there', ['feed:home:1'], 8],
  ])('feeds:clear is %s', async (_title, keys, exitCode) => {
    const box = toolboxOf({ oneOff: losing(), redis: redisOf(keys) })
    expect(await carriedOut(box, clearFeeds, {})).toMatchObject({ exitCode })
  })

  it.each([
    ['done, when its process is found and went well', { stdout: 'Removed 5 media attachments\n', exitCode: 0 }, 0],
    ['not known, when its process is found and failed', { stdout: '', exitCode: 1 }, 8],
    ['not known, when its process is no more', undefined, 8],
  ])('that takes long is %s', async (_title, found, exitCode) => {
    const box = toolboxOf({ oneOff: losing(found) })
    expect(await carriedOut(box, removeMedia, {})).toMatchObject({ exitCode })
  })
})

describe('restart', () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 10, 22, 12, minute))

  function restartingTo(after: Date, state: 'running' | 'stopped' = 'running'): Toolbox {
    const box = toolboxOf({ processes: [] })
    let lost = false
    const one = () =>
      ({ role: 'web', name: 'web', id: 'web.1', health: 'none', startedAt: lost ? after : at(0) }) as const
    const list = async () => [{ ...one(), state: lost ? state : ('running' as const) }]
    const anew = async () => {
      lost = true
      throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
    }
    const processes = { list, restart: anew, stop: async () => undefined, start: async () => undefined }
    return { ...box, backend: { ...box.backend, processes } }
  }

  it('is done when every process was started anew', async () => {
    const { exitCode, report } = await carriedOut(restartingTo(at(5)), restart, { roles: [] })
    expect({ exitCode, result: report?.result }).toMatchObject({
      exitCode: 0,
      result: { processes: [{ name: 'web' }] },
    })
  })

  it('did nothing when all run as before', async () => {
    expect(await carriedOut(restartingTo(at(0)), restart, { roles: [] })).toMatchObject({ exitCode: 4 })
  })

  it('is not known when one does not run', async () => {
    expect(await carriedOut(restartingTo(at(5), 'stopped'), restart, { roles: [] })).toMatchObject({ exitCode: 8 })
  })
})
