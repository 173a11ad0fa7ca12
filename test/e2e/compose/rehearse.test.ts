import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { composeBackend } from '../../../src/lib/backends/compose/index.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { Output } from '../../../src/lib/output.js'
import { Runner } from '../../../src/lib/runner.js'
import { type Stack, startStack } from './bed/bed.js'
import { buildImages } from './bed/images.js'
import { must } from './bed/process.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 500_000
const OPTIONS = {
  upgrade: { from: '4.2.9', to: '4.3.8', phases: 'two', coexist: true, backup: false },
  backup: null,
  in: 'server',
}
const BOUNDARIES = ['started', 'acted', 'after'] as const
const STEPS = ['clear', 'restore', 'place', 'rehearse-pre', 'rehearse-post', 'compare', 'remove']
const PLACES = [1, 2, 3].flatMap(round =>
  STEPS.flatMap(step =>
    BOUNDARIES.map(boundary => ({ step, boundary, round, where: round === 2 ? 'sandbox' : 'server' })),
  ),
)

interface Report {
  exitCode: number
  result: {
    ok: boolean
    why: string | null
    in: string
    failed: { id: string; name: string; reason: string } | null
    source: { backup: string | null; bytes: number }
    migrations: { id: string; name: string; phase: string; seconds: number }[]
    locks: { table: string; mode: string; seconds: number }[]
    rewrites: { table: string }[]
    disk: { before: number; after: number; log: number }
    forecast: { mayGoAhead: boolean; migrationSeconds: number; stoppedSeconds: number }
  }
}

let stack: Stack
let story: BrokenRun
let former: string

beforeAll(async () => {
  await buildImages(['4.2.9', '4.3.8'])
  stack = await startStack({ version: '4.2.9', variant: 'lean', streaming: false, healthSeconds: 1 })
  story = new BrokenRun(stack)
  const path = join(stack.projectDir, 'docker-compose.yml')
  writeFileSync(path, readFileSync(path, 'utf8').replace('[s]idekiq\\ 6', '[s]idekiq\\ [678]'))
  await stack.redis('SET', 'kept:one', '1')
  former = await production()
}, 300_000)
afterAll(async () => {
  story?.remove()
  if (stack === undefined) return
  // Where a test has failed: the bed does not know them.
  const ids = async (...words: string[]) =>
    (await must('docker', [...words, '-q', '--filter', label()])).split('\n').filter(Boolean)
  const containers = await ids('ps', '-a')
  if (containers.length > 0) await must('docker', ['rm', '-f', '-v', ...containers])
  await stack.stop()
  const networks = await ids('network', 'ls')
  if (networks.length > 0) await must('docker', ['network', 'rm', ...networks])
})

/** Of what a rehearsal has made. */
const label = () => `label=mstdn-ops.apart=${stack.projectName}`

/** What a rehearsal must not touch: every row, every key, every container, the files of the project. */
async function production(): Promise<string> {
  const names = (await stack.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")).split('\n')
  const sums = names.map(
    name => `SELECT '${name}', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM "${name}" t`,
  )
  const ids = (await stack.containers()).map(({ id }) => id).sort()
  const format =
    '{{.Name}} {{.State.StartedAt}} {{.Config.Image}} {{range $n, $_ := .NetworkSettings.Networks}}{{$n}} {{end}}'
  const containers = await must('docker', ['inspect', '--format', format, ...ids])
  const files = readdirSync(stack.projectDir).filter(name => !['postgres14', 'redis', 'public'].includes(name))
  const texts = files.sort().map(name => `${name}: ${readFileSync(join(stack.projectDir, name), 'utf8')}`)
  return [await stack.psql(sums.join(' UNION ALL ')), containers, ...texts].join('\n')
}

/** Redis is written to by the stand-in's own Sidekiq: what is not its heartbeat stays. */
const redisKeys = async () => (await stack.redis('KEYS', 'kept:*')).trim()

/** No database, role, network, container or file of a rehearsal. */
async function left(): Promise<string[]> {
  const lists = [
    await stack.psql("SELECT datname FROM pg_database WHERE datname LIKE 'mstdn_ops%'"),
    await stack.psql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'mstdn_ops%'"),
    await must('docker', ['ps', '-aq', '--filter', label()]),
    await must('docker', ['network', 'ls', '-q', '--filter', label()]),
    readdirSync(story.state, { recursive: true })
      .map(String)
      .filter(name => /\.(partial|rehearsal)/.test(name))
      .join('\n'),
  ]
  return lists.flatMap(list => list.split('\n')).filter(Boolean)
}

async function expectUntouched(): Promise<void> {
  expect(await left()).toEqual([])
  expect(await production()).toBe(former)
  expect(await redisKeys()).toBe('kept:one')
}

test(
  'an upgrade that goes well is told beforehand, from the newest backup, and nothing stays',
  async () => {
    const made = await story.tool('db:backup', '--json')
    expect(made.exitCode, made.stderr).toBe(0)
    const { name } = (JSON.parse(made.stdout) as { result: { name: string } }).result
    const { exitCode, stdout, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--rehearse', '--json')
    expect(exitCode, stdout + stderr).toBe(0)
    const { result } = JSON.parse(stdout) as Report
    expect(result).toMatchObject({ ok: true, why: null, failed: null, in: 'server', source: { backup: name } })
    expect(result.migrations.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['pre', 'post']))
    expect(result.migrations.every(({ seconds }) => seconds >= 0)).toBe(true)
    expect(result.disk.before).toBeGreaterThan(1e6)
    expect(result.disk.log).toBeGreaterThan(0)
    expect(result.forecast).toMatchObject({ mayGoAhead: true, stoppedSeconds: 0 })
    expect(result.forecast.migrationSeconds).toBeGreaterThan(0)
    await expectUntouched()
  },
  PATIENCE,
)

test(
  'one whose migration will fail says which and why, ends with 7, and leaves nothing either',
  async () => {
    // Not by the volume that the faults usually stand on: a rehearsal has none of the instance's folders.
    await stack.writeEnv({ STANDIN_FAIL_MIGRATION: '20240322161611' })
    const faulty = await production()
    const { exitCode, stdout, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--rehearse', '--fresh')
    await stack.writeEnv({ STANDIN_FAIL_MIGRATION: null })
    expect(exitCode, stdout + stderr).toBe(7)
    expect(stdout).toContain('Migration: 20240322161611')
    expect(stdout).toContain('fails as it was asked to')
    expect(stdout).toContain('past the point of no return')
    expect(stdout).not.toContain('may go ahead')
    expect(faulty.replace('STANDIN_FAIL_MIGRATION=20240322161611\n', '')).toBe(former)
    await expectUntouched()
  },
  PATIENCE,
)

/** What another run finds is the most while the process runs. */
test.each(FULL ? (['SIGKILL', 'SIGINT'] as const) : (['SIGKILL'] as const))(
  'ended by %s while it migrates: its migrations end with it, a kill holds up nobody, and the next one clears it away',
  async signal => {
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: '20231210154528:600' })
    const run = story.start(['upgrade', '--to', '4.3.8', '--rehearse'])
    await run.until('1 of 5')
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: null })
    expect(await left()).toHaveLength(5)
    await expectApart()
    run.signal(signal)
    expect(await run.ended, run.said()).toBe(signal === 'SIGKILL' ? 137 : 130)
    if (signal === 'SIGINT') return expectUntouched()
    await expect.poll(migrating, { timeout: 60_000 }).toEqual([])
    const made = await story.tool('db:backup')
    expect(made.exitCode, made.stderr).toBe(0)
    expect(await left()).toEqual([expect.stringContaining('mstdn_ops')])
    await expectNextWell('sandbox')
  },
  PATIENCE,
)

test.each(FULL ? ['sandbox'] : [])(
  'killed while it migrates in a %s, its migrations end too, and the live server has nothing of it',
  async where => {
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: '20231210154528:600' })
    const run = story.start(['upgrade', '--to', '4.3.8', '--rehearse', '--in', where])
    await run.until('1 of 5')
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: null })
    // The three containers and the network; the live server has no database and no role.
    expect(await left()).toHaveLength(4)
    const networks = await networksOf('db')
    expect(networks).not.toContain('apart')
    const volumes = await volumesLeft()
    expect(volumes).not.toEqual([])
    run.signal('SIGKILL')
    expect(await run.ended, run.said()).toBe(137)
    await expect.poll(migrating, { timeout: 60_000 }).toEqual([])
    await expectNextWell('server')
    expect(await existing(volumes)).toEqual([])
  },
  PATIENCE,
)

test.each(FULL ? ['sandbox'] : [])(
  'an owner of the database who may make no role is refused on the server, and rehearses in a %s',
  async where => {
    const app = (await stack.psql('SELECT current_user')).trim()
    await stack.psql('CREATE ROLE boss LOGIN SUPERUSER')
    try {
      await asBoss(`ALTER ROLE "${app}" NOSUPERUSER NOCREATEROLE NOCREATEDB`)
      const refused = await story.tool('upgrade', '--to', '4.3.8', '--rehearse')
      expect(refused.exitCode, refused.stdout + refused.stderr).toBe(3)
      expect(refused.stderr).toContain('--in sandbox')
      const { exitCode, stdout, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--rehearse', '--in', where)
      expect(exitCode, stdout + stderr).toBe(0)
      expect(await left()).toEqual([])
    } finally {
      await asBoss(`ALTER ROLE "${app}" SUPERUSER`)
      await stack.psql('DROP ROLE boss')
    }
    await expectUntouched()
  },
  PATIENCE,
)

test.each(FULL ? ['SIGHUP'] : [])(
  'a terminal that goes away (%s) ends neither the rehearsal nor its migrations',
  async () => {
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: '20231210154528:20' })
    const run = story.start(['upgrade', '--to', '4.3.8', '--rehearse'])
    await run.until('1 of 5')
    await stack.writeEnv({ STANDIN_SLEEP_MIGRATION: null })
    run.signal('SIGHUP')
    expect(await run.ended, run.said()).toBe(0)
    expect(run.said()).toContain('may go ahead')
    await expectUntouched()
  },
  PATIENCE,
)

test.each(FULL ? PLACES : [])(
  'killed at $step ($boundary, $round, $where), the next one clears away what it left',
  async ({ step, boundary, where }) => {
    const options = { ...OPTIONS, in: where }
    expect(await story.breakAt('upgrade:rehearse', options, { step, boundary })).toMatchObject({ killed: true })
    const volumes = await volumesLeft()
    await expectNextWell('server')
    expect(await existing(volumes)).toEqual([])
  },
  PATIENCE,
)

test.each(FULL ? ['single'] : [])(
  'in a %s phase, the stop that is foretold is as long as all migrations',
  async () => {
    const words = ['upgrade', '--to', '4.3.8', '--rehearse', '--single-phase', '--json']
    const { exitCode, stdout, stderr } = await story.tool(...words)
    expect(exitCode, stdout + stderr).toBe(0)
    const { result } = JSON.parse(stdout) as Report
    expect(result.migrations.every(({ phase }) => phase === 'all')).toBe(true)
    expect(result.forecast.stoppedSeconds).toBeGreaterThan(0)
    expect(result.forecast.stoppedSeconds).toBe(result.forecast.migrationSeconds)
    await expectUntouched()
  },
  PATIENCE,
)

/** The last one: the database is stopped and started. A network that its container names and that is gone stops its start. */
test(
  'a place is removed while the database is down, which starts again',
  async () => {
    const output = new Output({ logLevel: 'error' })
    const ledger = new Ledger()
    const runner = new Runner({ output, ledger, dryRun: false })
    const backend = await composeBackend({ projectDir: stack.projectDir }, { output, ledger, runner, terminal: false })
    await backend.apart?.open('down', { server: 'live' })
    await stack.compose('stop', 'db')
    expect(await backend.apart?.close()).toBe(1)
    const id = await stack.containerOf('db')
    await must('docker', ['start', id])
    expect(await networksOf('db')).not.toContain('apart')
    expect((await must('docker', ['network', 'ls', '-q', '--filter', label()])).trim()).toBe('')
  },
  PATIENCE,
)

/** The containers of migrations that run, and the sessions of a rehearsal's role. */
async function migrating(): Promise<string[]> {
  const lists = [
    await must('docker', ['ps', '-q', '--filter', label(), '--filter', 'label=mstdn-ops.apart.kind=process']),
    await stack.psql("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'mstdn_ops%'"),
  ]
  return lists.flatMap(list => list.split('\n')).filter(Boolean)
}

/** The process reaches neither the live Redis nor the other services, and its role reads nothing of the live database. */
async function expectApart(): Promise<void> {
  const filter = ['--filter', label(), '--filter', 'label=mstdn-ops.apart.kind=process']
  const process = (await must('docker', ['ps', '-q', ...filter])).trim()
  const found =
    'for name in redis web db mstdn-ops-redis mstdn-ops-database; do getent hosts $name >/dev/null && echo $name; done'
  const names = await must('docker', ['exec', process, 'sh', '-c', `${found}; exit 0`])
  expect(names.trim().split('\n')).toEqual(['mstdn-ops-redis', 'mstdn-ops-database'])
  const role = await stack.psql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'mstdn_ops%'")
  const asRole = `SET SESSION AUTHORIZATION "${role.trim()}"; SELECT count(*) FROM users`
  await expect(stack.psql(asRole)).rejects.toThrow('permission denied')
}

async function expectNextWell(where: 'server' | 'sandbox'): Promise<void> {
  const { exitCode, stdout, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--rehearse', '--in', where)
  expect(exitCode, stdout + stderr).toBe(0)
  expect(stdout).toContain('may go ahead')
  expect(stdout).toContain(where === 'sandbox' ? 'in a PostgreSQL of its own' : 'on the live server')
  await expectUntouched()
}

/** The volumes of a rehearsal's containers, which nothing but these names. */
async function volumesLeft(): Promise<string[]> {
  const ids = (await must('docker', ['ps', '-aq', '--filter', label()])).split('\n').filter(Boolean)
  if (ids.length === 0) return []
  const format = '{{range .Mounts}}{{.Name}}\n{{end}}'
  return (await must('docker', ['inspect', '--format', format, ...ids])).split('\n').filter(Boolean)
}

async function existing(volumes: readonly string[]): Promise<string[]> {
  const names = (await must('docker', ['volume', 'ls', '-q'])).split('\n')
  return volumes.filter(name => names.includes(name))
}

async function networksOf(service: string): Promise<string> {
  const id = await stack.containerOf(service)
  return must('docker', ['inspect', '--format', '{{json .NetworkSettings.Networks}}', id])
}

async function asBoss(sql: string): Promise<void> {
  await must('docker', ['exec', await stack.containerOf('db'), 'psql', '-U', 'boss', '-d', 'postgres', '-c', sql])
}
