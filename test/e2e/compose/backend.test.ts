import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AppCommand, Backend } from '../../../src/lib/backends/backend.js'
import { servicesFrom } from '../../../src/lib/backends/compose/configuration.js'
import { changedEnvFile, spellingOf } from '../../../src/lib/backends/compose/env-file.js'
import { type ComposeOptions, composeBackend, detectCompose } from '../../../src/lib/backends/compose/index.js'
import { RELAYS } from '../../../src/lib/backends/compose/relay.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { Output } from '../../../src/lib/output.js'
import { openRedis } from '../../../src/lib/redis/access.js'
import { Runner } from '../../../src/lib/runner.js'
import { type Stack, startStack } from './bed/bed.js'
import { finish, must } from './bed/process.js'

const FULL = process.env.MSTDN_TEST_FULL === '1'

function partsOf(dryRun = false) {
  const output = new Output({ logLevel: 'error' })
  const ledger = new Ledger()
  return { output, ledger, runner: new Runner({ output, ledger, dryRun }), terminal: false }
}

function backendOf(stack: Stack, options: ComposeOptions = {}): Promise<Backend> {
  return composeBackend({ projectDir: stack.projectDir, ...options }, partsOf())
}

function write(argv: string[], more: Partial<AppCommand> = {}): AppCommand {
  return { argv, effect: 'write', ...more }
}

/** Returns the facet; its absence fails the test. */
function facet<K extends keyof Backend>(backend: Backend, name: K): NonNullable<Backend[K]> {
  const found = backend[name]
  if (found === undefined || found === null) throw new Error(`the compose backend has no ${String(name)}`)
  return found as NonNullable<Backend[K]>
}

async function clientOver(backend: Backend, database = 'postgres'): Promise<pg.Client> {
  const connector = facet(backend, 'postgres')
  const stream = await connector.openStream?.()
  const { user, password } = await connector.target()
  const client = new pg.Client({ stream: () => stream as never, user, database, password: () => password ?? '' })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Waits until the condition holds; fails after some seconds. */
async function until(what: string, condition: () => Promise<boolean>, seconds = 20): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) if (await condition()) return
  throw new Error(`not within ${seconds} s: ${what}`)
}

describe('a full stack with two Sidekiqs', () => {
  let stack: Stack
  let backend: Backend
  beforeAll(async () => {
    stack = await startStack({ version: '4.5.3', variant: 'full', sidekiq: 'scaled', databaseVolume: 'named' })
    backend = await backendOf(stack)
  }, 300_000)
  afterAll(() => stack?.stop())

  test('is found in its folder, and is what it says', async () => {
    expect(await detectCompose(stack.projectDir, partsOf())).toEqual({
      projectDir: stack.projectDir,
      projectName: stack.projectName,
    })
    await backend.preflight()
    expect(backend).toMatchObject({ kind: 'compose', name: stack.projectName })
    expect(backend.title).toBe(`compose project ${stack.projectName} in ${stack.projectDir}`)
    expect(await facet(backend, 'releases').current()).toMatchObject({ label: 'v4.5.3' })
  })

  test('a folder without a project is no instance', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'mstdn-ops-empty-'))
    expect(await detectCompose(empty, partsOf())).toBeUndefined()
    await expect(composeBackend({ projectDir: empty }, partsOf())).rejects.toMatchObject({ exitCode: 3 })
    await rm(empty, { recursive: true })
  })

  describe('one-off processes', () => {
    test.each([false, true])('keep texts and code apart, fresh: %s', async fresh => {
      const line = 'read x; echo "got $x, $GREETING"; echo oops >&2; exit 7'
      const command = write(['sh', '-c', line], { stdin: 'input\n', env: { GREETING: `a'b "c" $d` }, fresh })
      expect(await facet(backend, 'oneOff').run(command)).toEqual({
        stdout: `got input, a'b "c" $d\n`,
        stderr: 'oops\n',
        exitCode: 7,
        planned: false,
      })
    })

    test('a command that does not exist gives 127, one that was killed 137', async () => {
      expect(await facet(backend, 'oneOff').run(write(['no-such-command']))).toMatchObject({ exitCode: 127 })
      expect(await facet(backend, 'oneOff').run(write(['sh', '-c', 'kill -9 $$']))).toMatchObject({ exitCode: 137 })
    })

    test('lines arrive as they come', async () => {
      const lines: string[] = []
      await facet(backend, 'oneOff').run(write(['sh', '-c', 'echo a; echo b'], { onLine: line => lines.push(line) }))
      expect(lines).toEqual(['a', 'b'])
    })

    test.each(['SIGINT', 'SIGKILL'] as const)('a client that %s ended is not believed', async signal => {
      const outcome = facet(backend, 'oneOff').run(write(['sleep', '5']))
      const refused = expect(outcome).rejects.toMatchObject({ name: 'OutcomeUnknownError', exitCode: 8 })
      await signalChild('sleep', signal)
      await refused
    })

    test('nothing is started in a dry run', async () => {
      const parts = partsOf(true)
      const planning = await composeBackend({ projectDir: stack.projectDir }, parts)
      const outcome = await facet(planning, 'oneOff').run(write(['touch', '/tmp/planned']))
      expect(outcome.planned).toBe(true)
      expect(parts.ledger.byHand()).toEqual([expect.stringMatching(/ exec web touch \/tmp\/planned$/)])
      expect((await stack.exec('web', ['ls', '/tmp/planned'])).code).not.toBe(0)
    })
  })

  describe('long one-off processes', () => {
    test('run in a container of their own, which goes when its code was read', async () => {
      const lines: string[] = []
      const line = 'for i in 1 2 3; do echo $i; sleep 0.2; done; echo bad >&2; exit 4'
      const command = write(['sh', '-c', line], { longKey: 'long-1', onLine: text => lines.push(text) })
      expect(await facet(backend, 'oneOff').run(command)).toEqual({
        stdout: '1\n2\n3\n',
        stderr: 'bad\n',
        exitCode: 4,
        planned: false,
      })
      expect(lines).toEqual(['1', '2', '3'])
      expect(await containersWithKey('long-1')).toEqual([])
    })

    test('a program that does not exist leaves no container', async () => {
      const command = write(['/no/such/program'], { longKey: 'long-2' })
      const ended = await facet(backend, 'oneOff')
        .run(command)
        .then(
          outcome => outcome.exitCode,
          error => error.exitCode,
        )
      expect([3, 127]).toContain(ended)
      expect(await containersWithKey('long-2')).toEqual([])
    })

    test('are found again after this tool was killed, and run once', async () => {
      const line = 'echo once >> /mastodon/public/system/ran; sleep 4; echo done; exit 5'
      const child = startTool(stack.projectDir, { argv: ['sh', '-c', line], effect: 'write', longKey: 'long-3' })
      await until('the container runs', async () => (await containersWithKey('long-3')).length === 1)
      process.kill(-child, 'SIGKILL')
      const again = await facet(backend, 'oneOff').run(write(['sh', '-c', line], { longKey: 'long-3' }))
      expect(again).toMatchObject({ exitCode: 5, stdout: 'done\n' })
      expect((await stack.exec('web', ['cat', '/mastodon/public/system/ran'])).stdout).toBe('once\n')
      expect(await containersWithKey('long-3')).toEqual([])
    })
  })

  describe('PostgreSQL and Redis', () => {
    test('are named by their services', async () => {
      expect(facet(backend, 'postgres').where).toBe('PostgreSQL in service db')
      expect(facet(backend, 'redis').where).toBe('Redis in service redis')
      expect(facet(backend, 'postgres').byHand('postgres', 'SELECT 1')).toMatch(
        / exec db psql -U postgres -d postgres -c 'SELECT 1'$/,
      )
    })

    test('pg works over a stream, with large values both ways', async () => {
      const client = await clientOver(backend)
      const big = 'ä'.repeat(4_000_000)
      const { rows } = await client.query('SELECT $1::text AS same, (SELECT count(*) FROM users) AS users', [big])
      expect(rows[0].same === big).toBe(true)
      expect(Number(rows[0].users)).toBeGreaterThan(0)
      await client.end()
    })

    test('ioredis works over a stream', async () => {
      const redis = await openRedis(facet(backend, 'redis'), { ledger: new Ledger(), dryRun: false })
      expect(await redis.read('PING')).toBe('PONG')
      await redis.close()
    })

    test('psql and redis-cli are reached with their passwords out of sight', async () => {
      const { runner } = partsOf()
      const psql = await facet(backend, 'postgres').psql('postgres', ['-Atc', 'SELECT 41 + 1'])
      expect((await runner.run(psql)).stdout).toBe('42\n')
      const cli = await facet(backend, 'redis').cli(['PING'])
      expect((await runner.run(cli)).stdout).toBe('PONG\n')
    })

    const present = ['bash', 'ruby', 'perl', 'socat', 'nc-openbsd', 'busybox']
    test.each(present)('the relay %s works and leaves nothing behind when its client is killed', async name => {
      const relay = RELAYS.find(one => one.name === name)
      const argv = relay?.argv({ host: '127.0.0.1', port: 6379 }) ?? []
      const id = await stack.containerOf('redis')
      const before = await clientCount(stack)
      const child = spawn('docker', ['exec', '-i', id, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
      child.stdin.write('PING\r\n')
      const answer = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk))))
      expect(answer).toBe('+PONG\r\n')
      child.kill('SIGKILL')
      await until('the session is gone', async () => (await clientCount(stack)) === before)
    })

    test.each(['ruby', 'perl', 'socat'])('the relay %s reaches a unix socket', async name => {
      const relay = RELAYS.find(one => one.name === name)
      const argv = relay?.argv({ socket: '/var/run/postgresql/.s.PGSQL.5432' }) ?? []
      const child = spawn('docker', ['exec', '-i', await stack.containerOf('db'), ...argv])
      // An SSLRequest, which the server answers with one letter.
      child.stdin.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
      const answer = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk))))
      expect(['S', 'N']).toContain(answer)
      child.kill('SIGKILL')
    })

    test('no session stays in PostgreSQL when the client is killed', async () => {
      const client = await clientOver(backend)
      await client.query(`SET application_name = 'killed-one'`)
      await signalChild('/dev/tcp', 'SIGKILL')
      const count = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'killed-one'`
      await until('the session is gone', async () => (await stack.psql(count)) === '0')
    })
  })

  describe('configuration', () => {
    test('running is what the container has, stored what the next one gets', async () => {
      const config = facet(backend, 'config')
      expect(await facet(backend, 'config').writable()).toBeUndefined()
      await config.write({ SMTP_PASSWORD: `p$a'ss "w# \\o/`, STREAMING_API_BASE_URL: 'https://s.example' })
      const [running, stored] = [await config.running(), await config.stored()]
      expect(running.has('SMTP_PASSWORD')).toBe(false)
      expect(stored.get('SMTP_PASSWORD')).toBe(`p$a'ss "w# \\o/`)
      expect([...running.keys()].filter(name => !stored.has(name))).toEqual(
        ['HOSTNAME'].filter(name => running.has(name)),
      )
    })

    test('the kept state comes back, with mode and owner', async () => {
      const config = facet(backend, 'config')
      const file = join(stack.projectDir, '.env.production')
      const before = await readFile(file, 'utf8')
      const mode = (await stat(file)).mode
      const copy = await config.keep('run-1', [])
      expect((await stat(copy)).mode & 0o777).toBe(0o600)
      await config.write({ LOCAL_DOMAIN: 'other.example' })
      expect((await config.stored()).get('LOCAL_DOMAIN')).toBe('other.example')
      await config.putBack('run-1')
      await config.forget('run-1')
      expect(await readFile(file, 'utf8')).toBe(before)
      expect((await stat(file)).mode).toBe(mode)
      await expect(stat(copy)).rejects.toThrow()
    })

    test('compose reads what was written', { timeout: 600_000 }, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-config-'))
      await writeFile(join(dir, 'compose.yaml'), 'services: {web: {image: x, env_file: env}}')
      const letters = fc.constantFrom(...`$#'"\\= ab{}():;&|n\`~!`, 'é')
      const value = fc.array(letters, { maxLength: 12 }).map(parts => parts.join(''))
      const writable = value.filter(text => spellingOf(text) !== undefined)
      // Many values in one file: the reading costs, not the values.
      const many = fc.array(writable, { minLength: 25, maxLength: 25 })
      await fc.assert(
        fc.asyncProperty(many, async values => {
          const changes = Object.fromEntries(values.map((text, at) => [`V${at}`, text]))
          await writeFile(join(dir, 'env'), changedEnvFile('# first\nOLD=1\n', changes))
          const config = await must('docker', ['compose', 'config', '--format', 'json'], { cwd: dir })
          const read = servicesFrom(config)[0]?.environment
          expect(Object.fromEntries([...(read ?? [])].filter(([name]) => name !== 'OLD'))).toEqual(changes)
        }),
        { numRuns: FULL ? 1000 : 60 },
      )
      await rm(dir, { recursive: true })
    })

    test('what another place overrides is refused, and the file is as it was', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-override-'))
      const image = 'mstdn-ops.test/mastodon/mastodon:v4.5.3'
      const web = { image, command: 'puma', env_file: 'env', environment: { DB_HOST: 'here' } }
      await writeFile(join(dir, 'compose.yaml'), JSON.stringify({ services: { web } }))
      await writeFile(join(dir, 'env'), 'A=1\n')
      const config = facet(await composeBackend({ projectDir: dir }, partsOf()), 'config')
      await expect(config.write({ DB_HOST: 'there', B: '2' })).rejects.toMatchObject({
        code: 'variable-overridden',
        message: expect.stringContaining('DB_HOST'),
      })
      expect(await readFile(join(dir, 'env'), 'utf8')).toBe('A=1\n')
      await rm(dir, { recursive: true })
    })
  })

  describe('processes', () => {
    test('are listed with role, state and health', async () => {
      const list = await facet(backend, 'processes').list()
      expect(list.map(one => [one.role, one.name, one.state, one.health])).toEqual([
        ['web', 'web', 'running', 'healthy'],
        ['sidekiq', 'sidekiq', 'running', 'healthy'],
        ['sidekiq', 'sidekiq', 'running', 'healthy'],
        ['streaming', 'streaming', 'running', 'healthy'],
      ])
      expect(list[1]?.healthCommand).toContain('ps aux | grep')
    })

    test('stop and start keep the number of containers', async () => {
      const processes = facet(backend, 'processes')
      await processes.stop(['sidekiq', 'streaming'])
      expect((await processes.list()).map(one => one.state)).toEqual(['running', 'stopped', 'stopped', 'stopped'])
      await processes.start(['sidekiq', 'streaming'])
      expect((await processes.list()).map(one => one.health)).toEqual(['healthy', 'healthy', 'healthy', 'healthy'])
    })

    test('restart makes containers anew when the env file changed, and never those of db and redis', {
      timeout: 90_000,
    }, async () => {
      const processes = facet(backend, 'processes')
      const servers = [await stack.containerOf('db'), await stack.containerOf('redis')]
      await facet(backend, 'config').write({ MSTDN_PROBE: 'new' })
      await processes.restart(['web', 'sidekiq'])
      expect((await facet(backend, 'config').running()).get('MSTDN_PROBE')).toBe('new')
      expect((await processes.list()).filter(one => one.role === 'sidekiq')).toHaveLength(2)
      expect([await stack.containerOf('db'), await stack.containerOf('redis')]).toEqual(servers)
      const web = await stack.containerOf('web')
      await processes.restart(['web'])
      expect(await stack.containerOf('web')).toBe(web)
    })

    test('a container that does not come up is named with its last lines', { timeout: 90_000 }, async () => {
      const config = facet(backend, 'config')
      await config.keep('broken', [])
      await config.write({ SECRET_KEY_BASE: null })
      const broken = facet(backend, 'processes').restart(['web'])
      await expect(broken).rejects.toMatchObject({
        code: 'not-healthy',
        exitCode: 5,
        message: expect.stringContaining('web'),
        why: expect.stringContaining('secret_key_base'),
      })
      await config.putBack('broken')
      await facet(backend, 'processes').restart(['web'])
    })
  })

  test('logs name their source, recent and followed', async () => {
    const sources = new Set<string>()
    await facet(backend, 'logs').read({
      roles: ['web', 'sidekiq'],
      lines: 5,
      follow: false,
      onLine: (_, source) => sources.add(source),
    })
    expect([...sources].some(source => source.includes('web'))).toBe(true)
    const stop = new AbortController()
    const lines: string[] = []
    const following = facet(backend, 'logs').read({
      roles: ['web'],
      lines: 1,
      follow: true,
      signal: stop.signal,
      onLine: line => lines.push(line),
    })
    await until('a line came', async () => lines.length > 0)
    stop.abort()
    await following
  })

  test('files go in and out', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-files-'))
    await writeFile(join(dir, 'a:b'), 'content')
    const files = facet(backend, 'files')
    await files.copy('in', join(dir, 'a:b'), { place: 'web', path: '/tmp/copied' })
    await files.copy('out', join(dir, 'back'), { place: 'web', path: '/tmp/copied' })
    expect(await readFile(join(dir, 'back'), 'utf8')).toBe('content')
    await expect(files.copy('out', join(dir, 'x'), { place: 'web', path: '/no/such' })).rejects.toMatchObject({
      exitCode: 3,
    })
    await expect(files.copy('out', join(dir, 'x'), { place: 'nowhere', path: '/x' })).rejects.toMatchObject({
      exitCode: 2,
    })
    await rm(dir, { recursive: true })
  })

  test('storage tells where the data lie and how much room there is', async () => {
    const volumes = await facet(backend, 'storage').volumes()
    expect(volumes.map(volume => [volume.place, volume.kind])).toEqual([
      ['database', 'named'],
      ['redis', 'bind'],
      ['media', 'bind'],
    ])
    const disk = await facet(backend, 'storage').disk()
    expect(disk.map(space => space.place)).toEqual(['database', 'media'])
    for (const space of disk) expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes)
  })

  test('is reached by host and by context', async () => {
    const socket = 'unix:///var/run/docker.sock'
    const context = `mstdn-ops-${process.pid}`
    await must('docker', ['context', 'create', context, '--docker', `host=${socket}`])
    try {
      for (const choice of [{ dockerHost: socket }, { context }]) {
        const chosen = await backendOf(stack, choice)
        const outcome = await facet(chosen, 'oneOff').run(write(['echo', 'here'], { fresh: true }))
        expect(outcome.stdout).toBe('here\n')
      }
    } finally {
      await must('docker', ['context', 'rm', context])
    }
  })

  test('an engine that is away is said so', async () => {
    const away = composeBackend(
      { projectDir: stack.projectDir, dockerHost: 'unix:///nonexistent/docker.sock' },
      partsOf(),
    )
    await expect(away).rejects.toMatchObject({ code: 'engine-away', exitCode: 3 })
  })

  async function containersWithKey(key: string): Promise<string[]> {
    const listed = await must('docker', ['ps', '-aq', '--filter', `label=mstdn-ops.key=${key}`])
    return listed.split('\n').filter(Boolean)
  }
})

describe('a lean stack of another name, with an override, split Sidekiqs, no streaming and PostgreSQL outside', () => {
  let stack: Stack
  let backend: Backend
  beforeAll(async () => {
    stack = await startStack({
      version: '4.5.3',
      variant: 'lean',
      sidekiq: 'split',
      streaming: false,
      overrideFile: true,
      externalPostgres: true,
      projectName: `named-${Date.now()}`,
      projectNameBy: 'flag',
    })
    backend = await backendOf(stack)
  }, 300_000)
  afterAll(() => stack?.stop())

  test('its identity is kept', async () => {
    expect(backend.name).toBe(stack.projectName)
    const fresh = await facet(backend, 'oneOff').run(write(['printenv', 'STANDIN_OVERRIDE'], { fresh: true }))
    expect(fresh.stdout).toBe('1\n')
    const list = await facet(backend, 'processes').list()
    expect(list.map(one => one.name)).toEqual(['web', 'sidekiq-fast', 'sidekiq-rest'])
  })

  test('PostgreSQL outside and a Redis without bash are reached, also while nothing of the app runs', async () => {
    await reachBoth(backend)
    await facet(backend, 'processes').stop(['web', 'sidekiq'])
    await reachBoth(await backendOf(stack))
    await facet(backend, 'processes').start(['web', 'sidekiq'])
  })

  test('nothing of ours stays behind', async () => {
    const { stdout } = await finish('docker', [
      'ps',
      '-aq',
      '--filter',
      `label=com.docker.compose.project=${stack.projectName}`,
      '--filter',
      'label=com.docker.compose.oneoff=True',
    ])
    expect(stdout).toBe('')
  })
})

async function reachBoth(backend: Backend): Promise<void> {
  const client = await clientOver(backend, (await facet(backend, 'postgres').target()).database)
  expect((await client.query('SELECT count(*)::int AS count FROM users')).rows[0].count).toBeGreaterThan(0)
  await client.end()
  const redis = await openRedis(facet(backend, 'redis'), { ledger: new Ledger(), dryRun: false })
  expect(await redis.read('PING')).toBe('PONG')
  await redis.close()
}

async function clientCount(stack: Stack): Promise<number> {
  const list = await stack.redis('CLIENT', 'LIST', 'TYPE', 'normal')
  return list.split('\n').filter(line => !line.includes('cmd=client')).length
}

/** Signals the docker client that this process started and whose words hold the text. */
async function signalChild(text: string, signal: NodeJS.Signals): Promise<void> {
  let found: number | undefined
  await until(`a client with ${text} runs`, async () => {
    found = (await childrenOf(process.pid)).find(
      child => child.line.startsWith('docker') && child.line.includes(text),
    )?.pid
    return found !== undefined
  })
  await sleep(700)
  if (found !== undefined) process.kill(found, signal)
}

async function childrenOf(parent: number): Promise<{ pid: number; line: string }[]> {
  const list = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')
  const pids = list.trim().split(' ').filter(Boolean).map(Number)
  return Promise.all(pids.map(async pid => ({ pid, line: await lineOf(pid) })))
}

async function lineOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
}

/** Runs the command in a process of its own, as the tool does; returns its process group. */
function startTool(projectDir: string, command: AppCommand): number {
  const source = join(import.meta.dirname ?? '.', '..', '..', '..', 'src', 'lib')
  const script = `
    const { composeBackend } = await import('${source}/backends/compose/index.js')
    const { Output } = await import('${source}/output.js')
    const { Runner } = await import('${source}/runner.js')
    const { Ledger } = await import('${source}/ledger.js')
    const output = new Output(), ledger = new Ledger()
    const runner = new Runner({ output, ledger })
    const backend = await composeBackend({ projectDir: ${JSON.stringify(projectDir)} }, { output, ledger, runner })
    await backend.oneOff.run(${JSON.stringify(command)})`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    detached: true,
    stdio: 'inherit',
  })
  return child.pid ?? 0
}
