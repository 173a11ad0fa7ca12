import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { buildImages, type Stack, startStack } from './bed/bed.js'

// Beside other stacks on a small machine each process takes its time.
vi.setConfig({ testTimeout: 180_000 })

const key = 'x'.repeat(32)
const ENCRYPTION = {
  ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY: key,
  ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT: key,
  ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: key,
}

/** Each test goes on where the one before it ended: one database on its way from 4.2.9 to 4.3.8. */
describe('from 4.2.9 to 4.3.8', () => {
  const state = mkdtempSync(join(tmpdir(), 'mstdn-ops-state-'))
  let stack: Stack
  let former: string[]
  let pre: string[]
  let post: string[]
  beforeAll(async () => {
    await buildImages(['4.3.8'])
    stack = await startStack({ version: '4.2.9', running: 'servers', demo: false, imageFromEnv: true })
    former = await applied()
    await stack.writeEnv(ENCRYPTION)
    await writeFile(join(stack.projectDir, '.env'), 'MASTODON_VERSION=4.3.8\n')
    pre = (await files('db/migrate')).filter(id => !former.includes(id))
    post = (await files('db/post_migrate')).filter(id => !former.includes(id))
  })
  afterAll(async () => {
    await stack?.stop()
    rmSync(state, { recursive: true, force: true })
  })

  const ops = (...words: string[]): Promise<CliResult> =>
    cli([...words, '-C', stack.projectDir], { env: { XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') } })
  const json = async (...words: string[]) => JSON.parse((await ops(...words, '--json')).stdout)
  const applied = async () => (await stack.psql('SELECT version FROM schema_migrations ORDER BY version')).split('\n')
  const files = async (folder: string) =>
    (await stack.oneOff(['ls', folder])).stdout.split('\n').flatMap(name => name.match(/^\d{14}/) ?? [])
  const oneOffs = async () => (await stack.containers()).filter(container => container.oneOff)

  test('post-deployment migrations are refused while others are pending', async () => {
    const { exitCode, stderr } = await ops('db:migrate', '--phase', 'post')
    expect({ exitCode, applied: await applied() }).toEqual({ exitCode: 3, applied: former })
    expect(stderr).toContain(`${pre.length} migrations must run before`)
  })

  test('seeding needs the whole schema', async () => {
    const { exitCode, stderr } = await ops('db:seed')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('Next: mstdn-ops db:migrate')
  })

  test('a dry run shows the command and changes nothing', async () => {
    const { stdout, exitCode } = await ops('db:migrate', '--phase', 'pre', '--dry-run')
    expect({ exitCode, applied: await applied(), left: await oneOffs() }).toEqual({
      exitCode: 0,
      applied: former,
      left: [],
    })
    expect(stdout).toContain('-e SKIP_POST_DEPLOYMENT_MIGRATIONS=true web bundle exec rails db:migrate')
    expect(stdout).toContain('Point of no return')
  })

  test('when the first migration fails, nothing was done', async () => {
    await stack.faults({ STANDIN_FAIL_MIGRATION: pre[0] ?? '' })
    const { exitCode, stderr } = await ops('db:migrate', '--phase', 'pre')
    expect({ exitCode, applied: await applied(), left: await oneOffs() }).toEqual({
      exitCode: 4,
      applied: former,
      left: [],
    })
    expect(stderr).toContain('fails as it was asked to')
    expect(stderr).toContain(`${pre[0]} first`)
  })

  test('an empty table in the way is named, and dropped where nobody has used it', async () => {
    await stack.faults({})
    await stack.psql('CREATE TABLE notification_permissions (id bigint)')
    const failed = await ops('db:migrate', '--phase', 'pre')
    expect(failed.stderr).toContain('mstdn-ops db:drop-leftovers notification_permissions')
    expect(failed.exitCode, 'what was applied before it stays').toBe(5)
    expect((await ops('resume', '--abandon', '--confirm', stack.domain)).exitCode).toBe(0)
    expect((await ops('db:drop-leftovers', 'webhooks', '--yes')).stderr).toContain('counts as done')
    await stack.psql('INSERT INTO notification_permissions VALUES (1)')
    expect((await ops('db:drop-leftovers', 'notification_permissions', '--yes')).stderr).toContain('holds rows')
    await stack.psql('DELETE FROM notification_permissions')
    const { exitCode, stdout, stderr } = await ops('db:drop-leftovers', 'notification_permissions', '--yes')
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain('The backup of before')
    expect(await stack.psql("SELECT to_regclass('notification_permissions') IS NULL")).toBe('t')
    former = await applied()
    pre = pre.filter(id => !former.includes(id))
  })

  test('the migrations without the post-deployment ones', async () => {
    await stack.faults({})
    const { result, steps } = await json('db:migrate', '--phase', 'pre')
    expect(result).toEqual({ phase: 'pre', applied: pre, waiting: post.length })
    expect(steps).toMatchObject([{ id: 'migrate', state: 'done' }])
    expect({ applied: await applied(), left: await oneOffs() }).toEqual({
      applied: [...former, ...pre].sort(),
      left: [],
    })
  })

  test('the post-deployment migrations wait until they are asked for', async () => {
    const { stdout } = await ops('db:migrate', '--phase', 'pre')
    expect(stdout).toContain('Nothing was pending before the post-deployment migrations.')
    expect(stdout).toContain('mstdn-ops db:migrate --phase post')
  })

  test('a failure in the middle says what was applied, holds up other changes, and is resumed', async () => {
    await stack.faults({ STANDIN_FAIL_MIGRATION: post[2] ?? '' })
    const failed = await ops('db:migrate', '--phase', 'post')
    expect({ exitCode: failed.exitCode, applied: (await applied()).length }).toEqual({
      exitCode: 5,
      applied: former.length + pre.length + 2,
    })
    expect(failed.stderr).toContain(`2 migrations were applied and cannot be taken back: ${post[0]}, ${post[1]}`)
    expect((await ops('cache:clear')).exitCode).toBe(3)
    await stack.faults({})
    const resumed = await ops('resume', '--json')
    expect(JSON.parse(resumed.stdout).report.result).toEqual({ phase: 'post', applied: post, waiting: 0 })
    expect(await applied()).toEqual([...former, ...pre, ...post].sort())
  })

  test('a second time there is nothing to do', async () => {
    expect(await json('db:migrate')).toMatchObject({ changes: [], byHand: [], result: { applied: [], waiting: 0 } })
  })

  test('seeding makes what is missing, and is believed when it is there', async () => {
    await stack.psql('DELETE FROM oauth_applications')
    expect((await json('db:seed')).result).toEqual({ made: ['the web application'] })
    expect(await stack.psql('SELECT count(*) FROM oauth_applications WHERE superapp')).toBe('1')
    expect(await json('db:seed')).toMatchObject({ changes: [], steps: [{ state: 'skipped' }] })
  })

  test('a reading statement is printed as a table, and as JSON', async () => {
    const { stdout } = await ops('db:psql', '-c', "SELECT 1 AS one, 'x' AS name, NULL AS nothing")
    expect(stdout).toBe('one  name  nothing\n1    x\n(1 row)\n')
    expect(await json('db:psql', '-c', 'SELECT 1 AS one')).toEqual({ rows: [{ one: 1 }], exitCode: 0 })
  })

  test.each([
    'DELETE FROM accounts',
    'WITH gone AS (DELETE FROM accounts RETURNING 1) SELECT * FROM gone',
    '/* SELECT */ DROP TABLE accounts',
    "SELECT setval('accounts_id_seq', 1)",
    "COPY accounts TO PROGRAM 'touch /tmp/mstdn-ops-was-here'",
  ])('a writing statement is not sent without --write: %s', async sql => {
    const before = await stack.psql('SELECT count(*) FROM accounts')
    const { exitCode, stderr } = await ops('db:psql', '-c', sql)
    expect({ exitCode, count: await stack.psql('SELECT count(*) FROM accounts') }).toEqual({
      exitCode: 3,
      count: before,
    })
    expect(stderr).toContain('--write')
  })

  test('several statements at once are refused by the server', async () => {
    expect((await ops('db:psql', '-c', 'SELECT 1; DROP TABLE accounts')).exitCode).not.toBe(0)
    expect(await stack.psql("SELECT to_regclass('accounts')")).toBe('accounts')
  })

  test('a writing statement is carried out with --write, and recorded; in a dry run only shown', async () => {
    const sql = "INSERT INTO settings (var, value) VALUES ('made_by_hand', '--- 1')"
    const dry = await ops('db:psql', '--write', '-c', sql, '--dry-run')
    const count = () => stack.psql("SELECT count(*) FROM settings WHERE var = 'made_by_hand'")
    expect({ dry: dry.stdout.includes(sql), count: await count() }).toEqual({ dry: true, count: '0' })
    const done = await json('db:psql', '--write', '-c', sql)
    expect({ reply: done.result.reply, changes: done.changes, count: await count() }).toEqual({
      ...{ reply: '1 row', changes: [sql], count: '1' },
    })
  })

  test('a statement that fails changed nothing', async () => {
    const { exitCode, stderr } = await ops('db:psql', '--write', '-c', 'INSERT INTO nowhere VALUES (1)')
    expect(exitCode).toBe(4)
    expect(stderr).toContain('relation "nowhere" does not exist')
  })

  test('psql itself needs a terminal', async () => {
    const { exitCode, stderr } = await ops('db:psql')
    expect(exitCode).toBe(2)
    expect(stderr).toContain('mstdn-ops db:psql -c')
  })

  test('Redis: reading is sent at once, writing needs --write', async () => {
    const at = ['-C', stack.projectDir]
    expect((await cli(['redis:cli', ...at, '--', 'PING'])).stdout).toBe('PONG\n')
    expect((await cli(['redis:cli', ...at, '--', 'SET', 'a', 'b'])).exitCode).toBe(3)
    const written = await cli(['redis:cli', '--write', ...at, '--', 'RPUSH', 'list', 'a b', 'c'])
    expect(written.stdout).toContain("docker compose exec redis redis-cli RPUSH list 'a b' c")
    expect((await cli(['redis:cli', ...at, '--', 'LRANGE', 'list', '0', '-1'])).stdout).toBe('1) a b\n2) c\n')
    expect((await cli(['redis:cli', ...at])).exitCode).toBe(2)
  })
})

describe('2.9.4, with its first rows', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ version: '2.9.4', running: 'servers' })
  })
  afterAll(() => stack?.stop())

  test('a second seed is refused, for it would make the web application twice', async () => {
    const { exitCode, stderr } = await cli(['db:seed', '-C', stack.projectDir])
    expect({ exitCode, count: await stack.psql('SELECT count(*) FROM oauth_applications') }).toEqual({
      ...{ exitCode: 3, count: '1' },
    })
    expect(stderr).toContain('was seeded before')
  })
})
