import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { globalAgent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import { runsDir } from '../../../src/lib/paths.js'
import { isUnfinished, listRuns } from '../../../src/lib/runbook/journal.js'
import {
  type Boundary,
  type BoundaryObserver,
  type RunReport,
  resumeRun,
  runRunbook,
} from '../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../src/lib/runbook/step.js'
import { daily } from '../../../src/lib/runbooks/daily/daily.js'
import { backup } from '../../../src/lib/runbooks/db/backup.js'
import { theKept } from '../../../src/lib/runbooks/db/kept.js'
import { migrate } from '../../../src/lib/runbooks/db/migrate.js'
import { type ResetOptions, reset } from '../../../src/lib/runbooks/db/reset.js'
import { restore } from '../../../src/lib/runbooks/db/restore.js'
import { rollback } from '../../../src/lib/runbooks/db/rollback.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { killedRun } from '../../support/killed-run.js'
import { TAKE_BACK as TAKE_BACK_LOGGED } from '../pending-migrations.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 180_000 })

const TAKE_BACK = TAKE_BACK_LOGGED.replace('TRUNCATE applied_log;\n', '')
const FULL = process.env.MSTDN_TEST_FULL !== undefined
const OPTIONS: ResetOptions = { drop: [], withoutFollows: false, drainSeconds: 0, newDatabase: 'essential-1' }

let app: HerokuApp
let dir: string
const before = { ...process.env }
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3' })
  dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-reset-'))
  globalAgent.options.ca = readFileSync(app.certificate)
  const places = { XDG_STATE_HOME: dir, XDG_DATA_HOME: join(dir, 'data'), XDG_CONFIG_HOME: join(dir, 'config') }
  Object.assign(process.env, app.env, places, { MSTDN_OPS_ACCEPT_SELF_SIGNED: 'true' })
}, 300_000)
afterAll(async () => {
  await app?.stop()
  if (dir) await rm(dir, { recursive: true, force: true })
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
  Object.assign(process.env, before)
})

/** Opens the toolbox for the work and closes it again. */
async function using<T>(work: (toolbox: Toolbox) => Promise<T>, dryRun = false): Promise<T> {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const toolbox = await openToolbox({ app: app.app }, { output, dryRun })
  return work(toolbox).finally(() => toolbox.close())
}

function run<O extends object, R extends object>(
  runbook: Runbook<O, R>,
  options: O,
  observer?: BoundaryObserver,
): Promise<RunReport<R>> {
  return using(toolbox => runRunbook(toolbox, runbook, options, { pauseMs: 10, ...(observer ? { observer } : {}) }))
}

/** Of the database that DATABASE_URL leads to. */
const sql = (text: string) => app.psql(text, app.config().DATABASE_URL)
const posts = () => sql('SELECT count(*) FROM statuses')
const databases = async () => (await using(async ({ backend }) => backend.databases?.list())) ?? []
const provisioned = async () => (await databases()).filter(({ state }) => state === 'provisioned').length

/** By which others know the server, and what people would miss. */
const kept = () =>
  sql(`SELECT to_jsonb(a) FROM accounts a WHERE domain IS NULL UNION ALL SELECT to_jsonb(f) FROM follows f
    UNION ALL SELECT to_jsonb(u) FROM users u UNION ALL SELECT to_jsonb(v) FROM schema_migrations v ORDER BY 1`)

const STEPS = ['order', 'empty', 'copy', 'promote']
test.each(FULL ? STEPS : ['empty'])('a failure after %s takes everything back, and nothing costs on', async step => {
  const former = { posts: await posts(), formation: app.formation(), url: app.config().DATABASE_URL }
  const fails: BoundaryObserver = (id, at) => {
    if (id === step && at === 'acted') throw new Error(`${step} was made to fail`)
  }
  await expect(run(reset, OPTIONS, fails)).rejects.toMatchObject({ exitCode: 4 })
  expect({ posts: await posts(), formation: app.formation(), url: app.config().DATABASE_URL }).toEqual(former)
  expect({ closed: app.maintenance(), databases: await provisioned() }).toEqual({ closed: false, databases: 1 })
})

test('an ordered database without the posts takes its place, and rollback brings them back', async () => {
  const former = { posts: await posts(), kept: await kept(), formation: app.formation() }
  const consent = await using(async toolbox => reset.consent?.(toolbox, OPTIONS))
  expect(consent).toMatchObject({
    kind: 'domain',
    loses: expect.stringMatching(/posts of people here.*\$9\.00 a month/s),
  })
  const highest = await sql('SELECT max(id) FROM favourites')
  const { result } = await run(reset, OPTIONS)
  expect({ posts: await posts(), kept: await kept() }).toEqual({ posts: '0', kept: former.kept })
  expect({ formation: app.formation(), closed: app.maintenance() }).toEqual({
    ...{ formation: former.formation, closed: false },
  })
  expect(Number(await sql("SELECT nextval('favourites_id_seq')"))).toBeGreaterThan(Number(highest))
  const { name, runId } = await using(toolbox => theKept(toolbox, undefined))
  expect(result).toMatchObject({ database: name, leftBehind: 0 })
  await expect(run(daily, { removeOrphans: true })).rejects.toMatchObject({ code: 'orphans-held-back' })
  await run(rollback, { of: runId, database: name, ordered: true, drainSeconds: 0 })
  expect({ posts: await posts(), kept: await kept() }).toEqual({ posts: former.posts, kept: former.kept })
})

test.each(FULL ? ['the posts of that'] : [])(
  'with a backup the ordered database has %s, and what is kept as it is now',
  async () => {
    const former = await posts()
    const made = await run(backup, { with: [] })
    await sql(`INSERT INTO statuses (account_id, text, created_at, updated_at) SELECT min(id), 'later', now(), now()
    FROM accounts WHERE id > 0; DELETE FROM follows WHERE id = (SELECT min(id) FROM follows)`)
    const now = await kept()
    const to = { path: made.result?.path ?? '', isOlder: false }
    const { result } = await run(reset, { ...OPTIONS, to })
    expect({ posts: await posts(), kept: await kept() }).toEqual({ posts: former, kept: now })
    expect(result).toMatchObject({ leftBehind: 0, baseline: made.result?.name })
    const { name, runId } = await using(toolbox => theKept(toolbox, undefined))
    await run(rollback, { of: runId, database: name, ordered: true, drainSeconds: 0 })
    expect(Number(await posts())).toBe(Number(former) + 1)
  },
)

describe('in place, where there is one database', () => {
  const { newDatabase: _none, ...IN_PLACE } = OPTIONS
  /** What a failed or killed reset must not change. */
  const state = async () => ({
    ...{ posts: await posts(), kept: await kept(), formation: app.formation(), closed: app.maintenance() },
    database: new URL(app.config().DATABASE_URL ?? '').pathname,
  })
  const rowFiles = () => readdirSync(runsDir(app.app)).filter(name => name.endsWith('.rows'))
  const ours = () =>
    sql("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()")
  const putBack = (source: string) => run(restore, { source, drainSeconds: 0, replayJobs: false })
  const failsAt = (step: string, boundary: Boundary): BoundaryObserver => {
    return (id, at) => {
      if (id === step && at === boundary) throw new Error(`${boundary} ${step} was made to fail`)
    }
  }
  const killed = async (options: ResetOptions, step: string, boundary: Boundary) => {
    const stop = { step, boundary }
    const end = await killedRun(dir, { app: app.app, runbook: 'db:reset', options, mode: 'run', stop })
    expect(end).toMatchObject({ killed: true })
  }
  const resumed = async (undo: boolean) => {
    const [record] = (await listRuns(runsDir(app.app))).filter(isUnfinished)
    return using(toolbox => resumeRun(toolbox, reset, record?.header.runId ?? '', { undo }))
  }

  test('a dry run changes nothing and names the plain lines', async () => {
    const from = app.requests.length
    const { byHand } = await using(toolbox => runRunbook(toolbox, reset, IN_PLACE), true)
    const sent = app.requests.slice(from).filter(({ method, path }) => method !== 'GET' && !path.endsWith('/dynos'))
    expect(sent).toEqual([])
    for (const line of [
      'heroku maintenance:on',
      'heroku pg:backups:capture',
      'pg_dump',
      'heroku pg:reset',
      'pg_restore',
    ])
      expect(
        byHand.filter(words => words.startsWith(`${line} `)),
        line,
      ).not.toEqual([])
    expect(byHand.join('\n')).toContain('COPY accounts FROM STDIN')
  })

  const FAILS = ['keep-rows', 'reset', 'restore', 'copy', 'owner', 'raise-ids', 'clear-redis', 'start', 'end-record']
  test.each(FULL ? FAILS : ['copy'])('a failure after %s: the safety backup goes back by itself', async step => {
    const former = await state()
    await expect(run(reset, IN_PLACE, failsAt(step, 'acted'))).rejects.toMatchObject({ exitCode: 4 })
    expect({ state: await state(), files: rowFiles(), ours: await ours() }).toEqual({
      ...{ state: former, files: [], ours: '' },
    })
  })

  test('with a backup it has the posts of that, and what is kept as it is now', async () => {
    const former = await posts()
    const made = await run(backup, { with: [] })
    await sql(`INSERT INTO statuses (account_id, text, created_at, updated_at) SELECT min(id), 'later', now(), now()
    FROM accounts WHERE id > 0; DELETE FROM follows WHERE id = (SELECT min(id) FROM follows)`)
    const now = await state()
    const to = { path: made.result?.path ?? '', isOlder: false }
    if (FULL) {
      await expect(run(reset, { ...IN_PLACE, to }, failsAt('merge', 'acted'))).rejects.toMatchObject({ exitCode: 4 })
      expect(await state()).toEqual(now)
    }
    const { result } = await run(reset, { ...IN_PLACE, to })
    expect(await state()).toEqual({ ...now, posts: former })
    expect(result).toMatchObject({ database: null, leftBehind: 0, baseline: made.result?.name })
    expect(rowFiles()).toEqual([])
  })

  test.each(FULL ? ['an older'] : [])('with a backup of %s schema it is migrated first', async () => {
    const former = await posts()
    await sql(TAKE_BACK)
    const made = await run(backup, { with: [] })
    await run(migrate, { phase: 'all' })
    await sql(`INSERT INTO statuses (account_id, text, created_at, updated_at) SELECT min(id), 'later', now(), now()
    FROM accounts WHERE id > 0`)
    const now = await state()
    await run(reset, { ...IN_PLACE, to: { path: made.result?.path ?? '', isOlder: true } })
    expect(await state()).toEqual({ ...now, posts: former })
  })

  test.each(FULL ? [true, false] : [])(
    'while the safety backup does not go back it stays closed; resume (undo: %s) ends it',
    async undo => {
      const former = await state()
      const observer: BoundaryObserver = (id, at) => {
        if (id === 'reset' && at === 'before-undo') app.inject({ kind: 'transfer-fails', times: 2 })
        failsAt('copy', 'acted')(id, at)
      }
      await expect(run(reset, IN_PLACE, observer)).rejects.toMatchObject({ exitCode: 5 })
      expect([app.maintenance(), app.formation(), rowFiles().length]).toEqual([true, { web: 0, worker: 0 }, 1])
      const { result } = await resumed(undo)
      expect(rowFiles()).toEqual([])
      if (!undo) {
        expect(await posts()).toBe('0')
        await putBack((result as { backup: string }).backup)
      }
      expect(await state()).toEqual(former)
    },
  )

  // The last, for it leaves no posts.
  const BOUNDARIES: Boundary[] = ['started', 'acted']
  const LONG = ['keep-rows', 'restore', 'copy', 'start', 'forget-rows']
  const kills: [string, Boundary][] = [
    ['reset', 'acted'],
    ...(FULL ? LONG.flatMap(step => BOUNDARIES.map((boundary): [string, Boundary] => [step, boundary])) : []),
  ]
  test.each(kills)('killed when %s has %s: resume goes on', async (step, boundary) => {
    const former = await state()
    const highest = await sql('SELECT max(id) FROM favourites')
    await killed(IN_PLACE, step, boundary)
    const { result } = await resumed(false)
    expect(await state()).toEqual({ ...former, posts: '0' })
    expect(result).toMatchObject({ database: null, leftBehind: 0, backup: expect.any(String) })
    expect(Number(await sql("SELECT nextval('favourites_id_seq')"))).toBeGreaterThan(Number(highest))
    expect([rowFiles(), await ours()]).toEqual([[], ''])
    if (!FULL) return
    await putBack((result as { backup: string }).backup)
    expect(await state()).toEqual(former)
  })

  const closed = kills.filter(([step]) => step !== 'forget-rows')
  test.each(FULL ? closed : [])('killed when %s has %s: resume --undo takes all back', async (step, boundary) => {
    const former = await state()
    await killed(IN_PLACE, step, boundary)
    expect((await resumed(true)).undone).toBe(true)
    expect({ state: await state(), files: rowFiles() }).toEqual({ state: former, files: [] })
  })
})
