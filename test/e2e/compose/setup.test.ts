import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mandatorySecrets } from '../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import { type CliResult, cleanEnvironment, cli, root } from '../../support/cli.js'
import { stateFolder, writtenDown } from '../../support/state.js'
import { buildImages } from './bed/bed.js'
import { imageNames } from './bed/images.js'
import { finish, must } from './bed/process.js'

const PATIENCE = 600_000
const RELEASES = ['4.2.9', '4.5.3', '4.7.2']
const STEPS = ['files', 'servers', 'schema', 'site', 'app', 'owner']

let dir: string
let state: string
let ports: number[]

beforeAll(() => buildImages(RELEASES), PATIENCE)
beforeEach(async () => {
  dir = join(mkdtempSync(join(tmpdir(), 'mstdn-ops-setup-')), `new${process.pid}x${Date.now() % 100_000}`)
  state = stateFolder()
  ports = [await freePort(), await freePort()]
})
afterEach(async () => {
  if (existsSync(join(dir, 'compose.yaml'))) await finish('docker', ['compose', 'down', '-v', '-t', '1'], { cwd: dir })
  rmSync(join(dir, '..'), { recursive: true, force: true })
  rmSync(state, { recursive: true, force: true })
}, PATIENCE)

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** The words of an operator with a registry of their own. */
function words(release = '4.5.3', more: Readonly<Record<string, string>> = {}): string[] {
  const answers = {
    domain: 'example.social',
    owner: 'alice',
    'owner-email': 'alice@example.org',
    release,
    images: imageNames.app(release).replace(/\/mastodon:.*/, ''),
    'postgres-image': imageNames.postgres('full'),
    'redis-image': imageNames.redis('full'),
    'web-port': String(ports[0]),
    'streaming-port': String(ports[1]),
    ...more,
  }
  return ['setup', '-C', dir, ...Object.entries(answers).flatMap(([id, value]) => [`--${id}`, value])]
}

const run = (line: readonly string[]): Promise<CliResult> =>
  cli(line, { env: { XDG_STATE_HOME: state }, timeoutMs: PATIENCE })

const envFile = () => readFileSync(join(dir, '.env.production'), 'utf8')

async function psql(sql: string): Promise<string> {
  const args = ['compose', 'exec', '-T', 'db', 'psql', '-U', 'mastodon', '-d', 'mastodon_production', '-Atc', sql]
  return (await must('docker', args, { cwd: dir })).trim()
}

const remains = async () => {
  const filter = ['--filter', `label=com.docker.compose.project=${basename(dir)}`, '-q']
  return (await must('docker', ['ps', '-a', ...filter])) + (await must('docker', ['volume', 'ls', ...filter]))
}

const PEOPLE = `SELECT a.username, u.email, u.confirmed_at IS NOT NULL, u.approved, r.name FROM users u
JOIN accounts a ON a.id = u.account_id LEFT JOIN user_roles r ON r.id = u.role_id`
const PASSWORD = /^The owner's password: ([0-9a-f]{32})$/m

async function expectInstance(): Promise<void> {
  expect(await psql(PEOPLE)).toBe('alice|alice@example.org|t|t|Owner')
  expect(await psql("SELECT trim(value) FROM settings WHERE var = 'registrations_mode'")).toBe('--- none')
  expect(await psql('SELECT count(*) FROM oauth_applications WHERE superapp')).toBe('1')
  const health = await fetch(`http://127.0.0.1:${ports[0]}/health`)
  expect(await health.text()).toContain('OK')
  expect((await fetch(`http://127.0.0.1:${ports[1]}/api/v1/streaming/health`)).status).toBe(200)
}

describe.each(RELEASES)('an empty folder and Mastodon %s', release => {
  test(
    'become an instance with an owner; again is nothing to do, and another is refused',
    async () => {
      const line = words(release, { volumes: release === '4.2.9' ? 'folders' : 'named' })
      const planned = await run([...line, '--dry-run'])
      expect(planned.exitCode, planned.stderr).toBe(0)
      expect(planned.stdout).toMatch(/compose up -d[\s\S]*db:setup[\s\S]*accounts create alice/)
      expect(existsSync(dir)).toBe(false)

      const made = await run(line)
      expect(made.exitCode, made.stderr).toBe(0)
      await expectInstance()
      expect(statSync(join(dir, '.env.production')).mode & 0o777).toBe(0o600)
      const secrets = mandatorySecrets(MastodonVersion.of(release)).map(
        name => new RegExp(`^${name}=(\\w{32,})$`, 'm').exec(envFile())?.[1] ?? 'missing',
      )
      const password = PASSWORD.exec(made.stdout)?.[1] ?? 'missing'
      for (const secret of [...secrets, password]) expect(writtenDown(state)).not.toContain(secret)
      for (const secret of secrets) expect(planned.stdout + made.stdout + made.stderr).not.toContain(secret)

      const before = envFile()
      const again = await run([...line, '--json'])
      expect(again.exitCode, again.stderr).toBe(0)
      expect(JSON.parse(again.stdout)).toMatchObject({ changes: [], result: { made: false } })
      const other = await run([
        ...line.slice(0, 3),
        ...words(release, { domain: 'other.example' }).slice(3),
        '--replace',
      ])
      expect(other.exitCode).toBe(3)
      expect(other.stderr).toContain('An instance of example.social stands')
      expect(envFile()).toBe(before)
    },
    PATIENCE,
  )
})

/** Starts setup and kills it as soon as the journal holds that the step was begun, or that it is done. */
async function killedAt(step: string, at: 'started' | 'done'): Promise<void> {
  const env = { ...cleanEnvironment(), XDG_STATE_HOME: state, UPDATE_CHECK_URL: '' }
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...words()], { env, stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('close', resolve))
  const journals = join(state, 'mstdn-ops', basename(dir), 'runs')
  const reached = () =>
    existsSync(journals) &&
    readdirSync(journals)
      .filter(name => name.endsWith('.jsonl'))
      .some(name => readFileSync(join(journals, name), 'utf8').includes(`"step":"${step}","state":"${at}"`))
  for (const end = Date.now() + PATIENCE / 3; !reached() && child.exitCode === null && Date.now() < end; )
    await sleep(20)
  child.kill('SIGKILL')
  await ended
}

describe('a setup that was killed', () => {
  test.each(STEPS)(
    'in %s goes on when it is run again, with the secrets that were used',
    async step => {
      await killedAt(step, 'started')
      const before = existsSync(join(dir, 'compose.yaml')) && step !== 'files' ? envFile() : undefined
      const again = await run(words())
      expect(again.exitCode, again.stderr).toBe(0)
      expect(again.stderr).toContain('which was interrupted')
      await expectInstance()
      if (before !== undefined) expect(envFile()).toBe(before)
      expect(again.stdout).toMatch(PASSWORD)
    },
    PATIENCE,
  )

  test(
    'is taken back by resume --undo, with all that it has made, unless somebody has used it',
    async () => {
      await killedAt('owner', 'started')
      expect(await remains()).not.toBe('')
      await psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local)
        SELECT 'somebody was here', id, now(), now(), true FROM accounts LIMIT 1`)
      const used = await run(['resume', '--undo', '-C', dir])
      expect(used.exitCode, used.stderr).toBe(3)
      expect(used.stderr).toContain('The new instance has been used')
      expect(await psql('SELECT count(*) FROM statuses')).toBe('1')
      await psql('DELETE FROM statuses')
      const undone = await run(['resume', '--undo', '-C', dir])
      expect(undone.exitCode, undone.stderr).toBe(0)
      expect(await remains()).toBe('')
      expect(readdirSync(dir)).toEqual([])
    },
    PATIENCE,
  )
})

describe('what stands in the way', () => {
  test(
    'a failure on the way takes everything back, files that were there included',
    async () => {
      mkdirSync(dir)
      writeFileSync(join(dir, '.env.production'), 'LOCAL_DOMAIN=old.example\n')
      const refused = await run(words())
      expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('--replace') })
      const failed = await run([...words('4.5.3', { 'redis-image': 'mstdn-ops.test/no-such/redis:7' }), '--replace'])
      expect(failed.exitCode, failed.stderr).toBe(4)
      expect(envFile()).toBe('LOCAL_DOMAIN=old.example\n')
      expect(readdirSync(dir)).toEqual(['.env.production'])
      expect(await remains()).toBe('')
    },
    PATIENCE,
  )

  test('left-over volumes and a port that is taken are named, and nothing is changed', async () => {
    const label = `com.docker.compose.project=${basename(dir)}`
    const volume = `${basename(dir)}_postgres`
    await must('docker', ['volume', 'create', '--label', label, volume])
    try {
      expect(await run(words())).toMatchObject({ exitCode: 3, stderr: expect.stringContaining(`volume ${volume}`) })
    } finally {
      await must('docker', ['volume', 'rm', volume])
    }
    const server = createServer().listen(ports[0], '127.0.0.1')
    try {
      expect(await run(words())).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('--web-port') })
    } finally {
      server.close()
    }
    expect(existsSync(dir)).toBe(false)
  })
})
