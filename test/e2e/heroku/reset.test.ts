import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { globalAgent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import { type BoundaryObserver, type RunReport, runRunbook } from '../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../src/lib/runbook/step.js'
import { daily } from '../../../src/lib/runbooks/daily/daily.js'
import { backup } from '../../../src/lib/runbooks/db/backup.js'
import { theKept } from '../../../src/lib/runbooks/db/kept.js'
import { type ResetOptions, reset } from '../../../src/lib/runbooks/db/reset.js'
import { rollback } from '../../../src/lib/runbooks/db/rollback.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 180_000 })

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
async function using<T>(work: (toolbox: Toolbox) => Promise<T>): Promise<T> {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const toolbox = await openToolbox({ app: app.app }, { output, dryRun: false })
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

test('where no second database can be made it is refused, with the flag that orders one', async () => {
  const { newDatabase: _none, ...options } = OPTIONS
  await expect(run(reset, options)).rejects.toMatchObject({
    ...{ code: 'no-second-database', exitCode: 3, next: expect.stringContaining('--new-database') },
  })
})

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
