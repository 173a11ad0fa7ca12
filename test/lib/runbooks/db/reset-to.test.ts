import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Processes } from '../../../../src/lib/backends/backend.js'
import { MANIFEST, manifestText } from '../../../../src/lib/backups/manifest.js'
import { openOther } from '../../../../src/lib/backups/restore-into.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import type { ResetOptions } from '../../../../src/lib/runbooks/db/reset.js'
import { inPlaceBaselineSteps, inPlaceSteps } from '../../../../src/lib/runbooks/db/reset-in-place.js'
import { baselineSteps, checkBaseline, orderedBaselineSteps } from '../../../../src/lib/runbooks/db/reset-to.js'
import { seedStep } from '../../../../src/lib/runbooks/db/seed.js'
import { copyStep } from '../../../../src/lib/runbooks/replace/identity.js'
import { refuseNoRoomForRows } from '../../../../src/lib/runbooks/replace/kept-rows.js'
import { afterSwap, beforeSwap, mergeStep } from '../../../../src/lib/runbooks/replace/merge.js'
import { namesOf } from '../../../../src/lib/runbooks/replace/names.js'
import type { Sides } from '../../../../src/lib/runbooks/replace/sides.js'
import { manifestOf } from '../../../support/backups.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { type Made, toolboxOf } from '../../../support/toolbox-of.js'

const NAME = '20261122-031500-9a3f'
const OPTIONS: ResetOptions = { drop: [], withoutFollows: false, drainSeconds: 1 }
let path: string
let server: TestPostgres
let runs = 0

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'baseline-'))
  await writeFile(join(path, MANIFEST), manifestText(manifestOf(NAME)))
  server = await startPostgres()
  await server.createDatabase('mastodon')
})

afterAll(async () => {
  await server?.stop()
  await rm(path, { recursive: true, force: true })
})

beforeEach(() => {
  runs += 1
})

function contextWith(made: Made, processes?: Processes): StepContext {
  const toolbox = toolboxOf(made)
  const postgres = server.connector({ database: 'mastodon' })
  return stepContext(
    { ...toolbox, backend: { ...toolbox.backend, postgres, ...(processes && { processes }) } },
    { runId: `run-${runs}` },
  )
}

describe('the steps of a baseline', () => {
  const plan = { plan: 'heroku-postgresql:essential-1', price: undefined } as never

  test.each([true, false])(
    'raise the ids before it takes its place, and those of new tables then (%s)',
    async isOlder => {
      const toolbox = toolboxOf({})
      const beside = await baselineSteps(toolbox, { path, isOlder }, OPTIONS, seedStep(true))
      const ordered = await orderedBaselineSteps(toolbox, { path, isOlder }, { ...OPTIONS, plan }, seedStep(true))
      for (const [steps, swap] of [[beside, 'swap'] as const, [ordered, 'promote'] as const]) {
        const ids = steps.map(({ id }) => id)
        expect(ids[ids.indexOf(swap) - 1]).toBe('raise-ids')
        const after = ids.slice(ids.indexOf(swap) + 1, ids.indexOf(swap) + 4)
        if (isOlder) expect(after).toEqual(['migrate', 'raise-migrated-ids', 'merge'])
        else expect(ids).not.toContain('migrate')
      }
    },
  )
})

test('an older baseline that the app can migrate aside is whole before it takes its place', async () => {
  const to = { path, isOlder: true, isMigratedAside: true }
  const ids = (await baselineSteps(toolboxOf({}), to, OPTIONS, seedStep(true))).map(({ id }) => id)
  const inOrder = ['restore', 'compare', 'migrate-aside', 'stop', 'look', 'merge', 'compare-kept', 'raise-ids', 'swap']
  expect(ids.filter(id => inOrder.includes(id))).toEqual(inOrder)
  expect(ids.filter(id => id.includes('migrate'))).toEqual(['migrate-aside'])
})

describe('the steps of a reset in place', () => {
  const own = { kept: async () => [], count: seedStep(true), firstRows: seedStep(true) }

  test.each(['nothing', 'a backup', 'an older backup'])(
    'to %s write down what is kept before the database is emptied, and put it in before anybody is let in',
    async to => {
      const isOlder = to === 'an older backup'
      const steps =
        to === 'nothing'
          ? inPlaceSteps(OPTIONS, own)
          : await inPlaceBaselineSteps(toolboxOf({}), { path, isOlder }, OPTIONS, own)
      const ids = steps.map(({ id }) => id)
      const put = to === 'nothing' ? 'copy' : 'merge'
      const order = ['stop', 'safety-backup', 'keep-rows', 'reset', 'restore', ...(isOlder ? ['migrate'] : []), put]
      const all = [...order, 'owner', 'clear-redis', 'start', 'end-record', 'open', 'forget-rows']
      expect(ids.filter(id => all.includes(id))).toEqual(all)
      expect(ids.includes('migrate')).toBe(isOlder)
    },
  )

  test('are not begun where this machine has no room for what is kept', async () => {
    const bytes = Number.MAX_SAFE_INTEGER / 4
    await expect(refuseNoRoomForRows(toolboxOf({}), bytes)).rejects.toMatchObject({ code: 'no-room' })
    expect(await refuseNoRoomForRows(toolboxOf({}), 1)).toBeUndefined()
  })
})

describe('an older baseline', () => {
  const made = (applied: string[]): Made => ({
    database: {
      query: async (sql: string) =>
        (sql.includes('to_regclass') ? [{ there: true }] : applied.map(version => ({ version }))) as never,
    },
    oneOff: {
      run: async () => ({
        ...{ stdout: 'db/migrate:\n20180101000000_one.rb\n\ndb/post_migrate:\n20180901000000_later.rb', stderr: '' },
        ...{ exitCode: 0, planned: false },
      }),
    },
  })

  test('is refused before anything is stopped where migrations were put off', async () => {
    const check = (isOlder: boolean) => checkBaseline(toolboxOf(made(['20180101000000'])), { path, isOlder }, OPTIONS)
    await expect(check(true)).rejects.toMatchObject({ code: 'migrations-pending' })
    await expect(check(false)).rejects.not.toMatchObject({ code: 'migrations-pending' })
  })
})

describe('what fills the new database', () => {
  /** Has the work last until its sessions are ended. */
  const lasting: Sides = {
    ...beforeSwap,
    live: async (context, purpose) => {
      const database = await openOther(context.toolbox, (await namesOf(context)).fresh, purpose)
      await database.query('SELECT pg_sleep(60)').finally(() => database.close())
      return database
    },
  }

  test.each([
    ['copied', copyStep(async () => [], lasting)],
    ['merged', mergeStep(OPTIONS, { ...beforeSwap, ...lasting })],
  ])('is ended before the disk is full (%s)', async (_what, step) => {
    const context = contextWith({ disks: [{ place: 'database', path: '/data', totalBytes: 10, freeBytes: 0 }] })
    await server.createDatabase((await namesOf(context)).fresh)
    await expect(step.run(context)).rejects.toMatchObject({ code: 'no-room' })
  })
})

test('what has started by itself is stopped before rows come into the database that it serves', async () => {
  const stopped: string[] = []
  const processes: Partial<Processes> = {
    list: async () => [
      { role: 'web', name: 'web', id: 'web-1', state: 'running', health: 'none', startedAt: undefined },
    ],
    stop: async roles => void stopped.push(...roles),
  }
  const context = contextWith({}, processes as Processes)
  const merging = mergeStep(OPTIONS, {
    ...afterSwap,
    live: async () => Promise.reject(new Error('it goes on')),
  }).run(context)
  await expect(merging).rejects.toThrow('it goes on')
  expect(new Set(stopped)).toEqual(new Set(['web', 'sidekiq', 'streaming']))
})
