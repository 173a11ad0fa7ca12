import { mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppCommand, Backend } from '../../../../src/lib/backends/backend.js'
import { composeBackend } from '../../../../src/lib/backends/compose/index.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import type { Invocation } from '../../../../src/lib/runner.js'
import { type Answer, APP_IMAGE, inspected, lineOf, ScriptedRunner, type Shape } from './scripted-runner.js'

const ENV = { DB_HOST: 'db', DB_USER: 'postgres', DB_NAME: 'postgres', DB_PASS: 'hunter2hunter2', REDIS_HOST: 'redis' }
const WEB: Shape = { service: 'web', env: ENV }
const SIDEKIQ: Shape = { service: 'sidekiq', env: ENV, command: 'bundle exec sidekiq' }
const DB: Shape = { service: 'db', image: 'postgres:14-alpine', command: 'postgres' }
const REDIS: Shape = { service: 'redis', image: 'redis:7-alpine', command: 'redis-server', workdir: '/data' }
const STREAMING: Shape = {
  service: 'streaming',
  image: 'ghcr.io/mastodon/mastodon-streaming:v4.5.3',
  command: 'node ./streaming/index.js',
}

let dir: string
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'mstdn-ops-town-')))
  await writeFile(join(dir, 'docker-compose.yml'), 'services: {}')
  await writeFile(join(dir, '.env.production'), 'LOCAL_DOMAIN=example.org\nDB_HOST=db\n', { mode: 0o640 })
})
afterEach(() => rm(dir, { recursive: true }))

interface Scene {
  containers?: Shape[]
  /** What the env file means to compose. */
  environment?: Record<string, string>
  image?: string
  answer?: (invocation: Invocation) => Answer
  dryRun?: boolean
}

async function open(scene: Scene = {}) {
  const containers = scene.containers ?? [DB, REDIS, WEB, SIDEKIQ, STREAMING]
  const runner = new ScriptedRunner(
    invocation => scene.answer?.(invocation) ?? engine(invocation, containers, scene),
    scene.dryRun,
  )
  const ledger = new Ledger()
  const output = new Output({ logLevel: 'error' })
  const backend = await composeBackend(
    { projectDir: dir },
    { runner, output, ledger, nonce: () => 'NONCE', terminal: true },
  )
  runner.invocations.length = 0
  return { backend, runner, ledger, output }
}

/** Answers as an engine with these containers. */
function engine(invocation: Invocation, containers: Shape[], scene: Scene): Answer {
  const line = lineOf(invocation)
  if (line.includes('version')) return { stdout: '2.26.1' }
  if (line.includes('ps -a --filter'))
    return {
      stdout: containers.map(() => ['town', dir, `${dir}/docker-compose.yml`, '', APP_IMAGE].join('\t')).join('\n'),
    }
  if (line.includes('ps -aq'))
    return { stdout: line.includes('mstdn-ops.key') ? '' : containers.map(one => one.service).join('\n') }
  if (line.includes('docker inspect')) return { stdout: JSON.stringify(containers.map(inspected)) }
  if (line.includes('--no-interpolate'))
    return { stdout: JSON.stringify({ services: { web: { env_file: [{ path: join(dir, '.env.production') }] } } }) }
  if (line.includes('config --format json')) return { stdout: configOf(scene) }
  if (line.includes('{{.Id}}')) return { stdout: `id of ${invocation.args.at(-1)}\n` }
  if (line.includes('{{json .Config}}')) return { stdout: '{"Env":[]}' }
  return line.includes('exec') || line.includes(' run ')
    ? { stderr: 'NONCE start\n\nNONCE end 0\n'.replaceAll('NONCE', 'mstdn-ops-NONCE') }
    : undefined
}

function configOf(scene: Scene): string {
  const environment = Object.fromEntries(
    Object.entries(scene.environment ?? ENV).map(([key, value]) => [key, value.replaceAll('$', '$$$$')]),
  )
  const service = { image: scene.image ?? APP_IMAGE, command: 'bundle exec puma', environment }
  return JSON.stringify({
    name: 'town',
    services: { web: service, sidekiq: { ...service, command: 'bundle exec sidekiq' } },
  })
}

function command(argv: string[], more: Partial<AppCommand> = {}): AppCommand {
  return { argv, effect: 'write', ...more }
}

/** The shell line of the markers is tested elsewhere. */
function withoutScript(line: string | undefined): string {
  return (line ?? '').replace(/sh -c m=\$1.*exit \$r mstdn-ops /, '<marked> ')
}

function got<T>(facet: T | undefined): T {
  if (facet === undefined) throw new Error('the facet is absent')
  return facet
}

describe('short one-offs', () => {
  const tootctl = command(['bin/tootctl', 'accounts', 'modify', 'alice', '--role', 'Owner'], { env: { A: 'b c' } })

  test('go into the running web container', async () => {
    const { backend, runner } = await open()
    expect(await got(backend.oneOff).run({ ...tootctl, stdin: 'yes\n' })).toEqual({
      stdout: '',
      stderr: '',
      exitCode: 0,
      planned: false,
    })
    expect(runner.writes.map(withoutScript)).toEqual([
      'docker exec -i -e A=b c town-web-1 <marked> mstdn-ops-NONCE bin/tootctl accounts modify alice --role Owner',
    ])
    expect(runner.invocations.at(-1)?.stdin).toBe('yes\n')
  })

  test.each([
    ['web is unhealthy and Sidekiq absent', [DB, { ...WEB, health: 'unhealthy' }]],
    ['web is stopped', [DB, { ...WEB, status: 'exited' }]],
  ])('go into a new container when %s', async (_, containers) => {
    const { backend, runner } = await open({ containers })
    await got(backend.oneOff).run(tootctl)
    expect(withoutScript(runner.writes[0])).toBe(
      'docker compose -p town run --rm -T --no-deps -e A=b c web <marked> mstdn-ops-NONCE bin/tootctl accounts modify alice --role Owner',
    )
  })

  test('go into a new container when they must be fresh', async () => {
    const { backend, runner } = await open()
    await got(backend.oneOff).run({ ...tootctl, fresh: true })
    expect(runner.writes[0]).toContain('compose -p town run --rm -T --no-deps')
  })

  test('go through an entry point that leaves root for the app’s user', async () => {
    const old = { ...WEB, user: '', entrypoint: ['/usr/local/bin/docker_entrypoint.sh'] }
    const { backend, runner } = await open({ containers: [DB, old] })
    await got(backend.oneOff).run(tootctl)
    expect(runner.writes[0]).toContain('compose -p town run --rm')
  })

  test('are typed by hand as one would', async () => {
    const { backend } = await open()
    const oneOff = got(backend.oneOff)
    const flags = `docker compose -p town`
    expect(oneOff.byHand(tootctl)).toBe(`${flags} exec -e 'A=b c' web bin/tootctl accounts modify alice --role Owner`)
    expect(oneOff.byHand(command(['bin/rails', 'db:migrate'], { longKey: 'k' }))).toBe(
      `${flags} run --rm --no-deps web bin/rails db:migrate`,
    )
    expect(oneOff.byHand(command(['x; touch /tmp/p', '$(id)']))).toBe(`${flags} exec web 'x; touch /tmp/p' '$(id)'`)
  })

  test('whose end is not seen are not believed', async () => {
    const { backend } = await open({
      answer: one => (lineOf(one).includes('exec') ? { stderr: 'mstdn-ops-NONCE start\n' } : undefined),
    })
    await expect(got(backend.oneOff).run(tootctl)).rejects.toMatchObject({ exitCode: 8 })
    await expect(got(backend.oneOff).run({ ...tootctl, effect: 'read' })).rejects.toMatchObject({ exitCode: 3 })
  })
})

describe('long one-offs', () => {
  const migrate = command(['bin/rails', 'db:migrate'], { longKey: 'run-1.migrate' })
  const start =
    'docker compose -p town run -d -T --no-deps --label mstdn-ops.key=run-1.migrate web bin/rails db:migrate'

  /** A container of that key that appears when it was started, and ends when it was waited for. */
  function engineWithKey(states: { status: string; exitCode?: number }[]) {
    let started = states.length > 1
    return (invocation: Invocation): Answer => {
      const line = lineOf(invocation)
      if (line.includes('run -d')) started = true
      if (line.includes('ps -aq') && line.includes('mstdn-ops.key=run-1.migrate'))
        return { stdout: started ? 'long' : '' }
      if (line.endsWith('--type container long'))
        return { stdout: JSON.stringify([longContainer(states.length > 1 ? states.shift() : states[0])]) }
      // Following may miss what came last; the whole text is there once the container has ended.
      if (line.includes('logs -f')) return { stdout: 'one\n' }
      return line.includes('docker logs') ? { stdout: 'one\ntwo\n', stderr: 'warned\n' } : undefined
    }
  }

  function longContainer(state: { status: string; exitCode?: number } | undefined) {
    const raw = inspected({ service: 'web', status: state?.status })
    return {
      ...raw,
      Id: 'long',
      Name: '/town-web-run-1',
      State: { Status: state?.status, ExitCode: state?.exitCode ?? 0 },
    }
  }

  test('start a labelled container, follow it, read its code and remove it', async () => {
    const { backend, runner } = await open({ answer: engineWithKey([{ status: 'exited', exitCode: 3 }]) })
    const lines: string[] = []
    const outcome = await got(backend.oneOff).run({ ...migrate, onLine: line => lines.push(line) })
    expect(outcome).toEqual({ stdout: 'one\ntwo\n', stderr: 'warned\n', exitCode: 3, planned: false })
    expect(lines).toEqual(['one', 'two'])
    expect(runner.writes).toEqual([start])
    expect(runner.lines.slice(-6).filter(line => !line.includes('inspect') && !line.includes('ps'))).toEqual([
      'docker logs -f long',
      'docker wait long',
      'docker logs long',
      'docker rm -f -v long',
    ])
  })

  test('find the container of a run that was killed, and start no second one', async () => {
    const { backend, runner } = await open({
      answer: engineWithKey([{ status: 'running' }, { status: 'exited', exitCode: 0 }]),
    })
    expect((await got(backend.oneOff).run(migrate)).exitCode).toBe(0)
    expect(runner.writes).toEqual([])
  })

  test('start a container that was only created', async () => {
    const { backend, runner } = await open({ answer: engineWithKey([{ status: 'created' }, { status: 'exited' }]) })
    await got(backend.oneOff).run(migrate)
    expect(runner.lines).toContain('docker start long')
  })

  test('are unknown when the container vanished or still runs', async () => {
    const { backend } = await open({ answer: engineWithKey([{ status: 'running' }, { status: 'running' }]) })
    await expect(got(backend.oneOff).run(migrate)).rejects.toMatchObject({ exitCode: 8, next: 'mstdn-ops resume' })
  })

  test('are only planned in a dry run', async () => {
    const { backend, runner } = await open({ dryRun: true })
    expect(await got(backend.oneOff).run(migrate)).toMatchObject({ planned: true })
    expect(runner.lines).toEqual(expect.arrayContaining([start]))
    expect(runner.lines.some(line => line.includes('logs'))).toBe(false)
  })
})

describe('processes', () => {
  test('are stopped and started by their containers, however many', async () => {
    const second = { ...SIDEKIQ, number: 2 }
    const { backend, runner } = await open({ containers: [DB, WEB, SIDEKIQ, second] })
    await got(backend.processes).stop(['web', 'sidekiq'])
    expect(runner.writes).toEqual(['docker stop town-sidekiq-1 town-sidekiq-2 town-web-1'])
    expect(runner.invocations.at(-1)?.byHand).toBe('docker compose -p town stop sidekiq web')
  })

  test('only the stopped ones are started', async () => {
    const stopped = { ...SIDEKIQ, number: 2, status: 'exited' }
    const { backend, runner } = await open({ containers: [DB, WEB, SIDEKIQ, stopped], dryRun: true })
    await got(backend.processes).start(['web', 'sidekiq'])
    expect(runner.writes).toEqual(['docker start town-sidekiq-2'])
  })

  test('of those that ran before, and no others: what an operator had stopped or taken away stays so', async () => {
    const [web, off] = [
      { ...WEB, status: 'exited' },
      { ...WEB, number: 2, status: 'exited' },
    ]
    const { backend, runner } = await open({ containers: [DB, web, off, SIDEKIQ], dryRun: true })
    const former = [
      { role: 'web', name: 'web', id: 'town-web-1' },
      { role: 'sidekiq', name: 'sidekiq', id: 'town-sidekiq-1' },
    ] as const
    await got(backend.processes).start(['web', 'sidekiq'], former)
    expect(runner.writes).toEqual(['docker start town-web-1'])
  })

  test('one that an operator had stopped is not waited for', async () => {
    const [web, off] = [
      { ...WEB, health: 'healthy' },
      { ...WEB, number: 2, status: 'exited' },
    ]
    const { backend } = await open({ containers: [DB, web, off] })
    await got(backend.processes).start(['web'], [{ role: 'web', name: 'web', id: 'town-web-1' }])
  })

  test('restart keeps containers whose configuration is as it was', async () => {
    const { backend, runner } = await open({ containers: [DB, WEB, SIDEKIQ].map(young), dryRun: true })
    await got(backend.processes).restart(['web', 'sidekiq'])
    expect(runner.writes).toEqual(['docker restart town-sidekiq-1 town-web-1'])
    expect(runner.invocations.at(-1)?.byHand).toBe('docker compose -p town restart web sidekiq')
  })

  test.each([
    ['a variable was added', { ...ENV, NEW: '1' }, young],
    ['a variable was removed', { DB_HOST: 'db' }, young],
    ['a compose file is younger', ENV, (shape: Shape) => shape],
  ])('restart makes them anew, as many as there are, when %s', async (_, environment, made) => {
    const containers = [DB, WEB, SIDEKIQ, { ...SIDEKIQ, number: 2 }].map(made)
    const { backend, runner } = await open({ containers, environment, dryRun: true })
    await got(backend.processes).restart(['sidekiq'])
    expect(runner.writes).toEqual([
      'docker compose -p town up -d --no-deps --no-build --pull never --force-recreate --scale sidekiq=2 sidekiq',
    ])
  })

  test('restart never changes the release', async () => {
    const { backend, runner } = await open({ image: 'ghcr.io/mastodon/mastodon:v4.6.0' })
    await expect(got(backend.processes).restart(['web'])).rejects.toMatchObject({
      code: 'other-image',
      exitCode: 3,
      why: `It runs ${APP_IMAGE}; the configuration names ghcr.io/mastodon/mastodon:v4.6.0.`,
    })
    expect(runner.writes).toEqual([])
  })

  test('a container in a loop is named with its last lines, secrets left out', async () => {
    const containers = [DB, { ...WEB, health: 'starting', restartCount: 4 }]
    const answer = (one: Invocation) =>
      lineOf(one).includes('logs --tail') ? { stderr: 'boom hunter2hunter2 \u001b[2J\n' } : undefined
    const { backend } = await open({ containers, answer })
    const error = await got(backend.processes)
      .start(['web'])
      .catch(caught => caught)
    expect(error).toMatchObject({ code: 'not-healthy', exitCode: 5 })
    expect(error.message).toContain('town-web-1')
    expect(error.why).toContain('boom [DB_PASS] \\u{1b}[2J')
  })
})

/** Made after the compose file was written. */
function young(shape: Shape): Shape {
  return { ...shape, created: '2999-01-01T00:00:00Z' }
}

describe('the configuration', () => {
  test('running and stored may differ, and their secrets are known to the redactor', async () => {
    const { backend, output } = await open({ environment: { ...ENV, SMTP_PASSWORD: 'pa$$word-1', A: '$' } })
    const config = got(backend.config)
    expect((await config.running()).get('SMTP_PASSWORD')).toBeUndefined()
    expect((await config.stored()).get('SMTP_PASSWORD')).toBe('pa$$word-1')
    expect(output.clean('pa$$word-1 hunter2hunter2')).toBe('[SMTP_PASSWORD] [DB_PASS]')
  })

  test('is written with mode kept, and put back when compose reads it otherwise', async () => {
    const file = join(dir, '.env.production')
    const { backend } = await open({ environment: { ...ENV, NEW: '1' } })
    await got(backend.config).write({ NEW: '1' })
    expect(await readFile(file, 'utf8')).toBe('LOCAL_DOMAIN=example.org\nDB_HOST=db\nNEW=1\n')
    expect((await stat(file)).mode & 0o777).toBe(0o640)
    await expect(got(backend.config).write({ DB_HOST: 'other' })).rejects.toMatchObject({ code: 'variable-overridden' })
    expect(await readFile(file, 'utf8')).toContain('DB_HOST=db\n')
  })

  test('is not written in a dry run, and the change is told without its value', async () => {
    const { backend, ledger } = await open({ dryRun: true })
    await got(backend.config).write({ SMTP_PASSWORD: 'newsecret', OLD: null })
    expect(await readFile(join(dir, '.env.production'), 'utf8')).toBe('LOCAL_DOMAIN=example.org\nDB_HOST=db\n')
    expect(ledger.entries.map(entry => entry.exact)).toEqual([
      `set SMTP_PASSWORD in ${dir}/.env.production`,
      `remove OLD in ${dir}/.env.production`,
    ])
    expect(JSON.stringify(ledger.entries)).not.toContain('newsecret')
  })

  test('that is kept twice under one key is the first one', async () => {
    const { backend } = await open({ environment: { ...ENV, NEW: '1' } })
    const config = got(backend.config)
    const copy = await config.keep('run/1', [])
    expect(copy).toBe(join(dir, '.env.production.mstdn-ops-run_1'))
    await config.write({ NEW: '1' })
    await config.keep('run/1', [])
    await config.putBack('run/1')
    await config.putBack('never-kept')
    expect(await readFile(join(dir, '.env.production'), 'utf8')).toBe('LOCAL_DOMAIN=example.org\nDB_HOST=db\n')
  })
})

describe('PostgreSQL and Redis', () => {
  test('are named by service; their passwords never stand among the words', async () => {
    const { backend } = await open()
    expect([backend.postgres?.where, backend.redis?.where]).toEqual([
      'PostgreSQL in service db',
      'Redis in service redis',
    ])
    const psql = await got(backend.postgres).psql('postgres', ['-x'])
    expect(lineOf(psql)).toBe(
      'docker exec -it -e PGPASSWORD town-db-1 psql -h 127.0.0.1 -p 5432 -U postgres -d postgres -x',
    )
    expect(psql.env).toEqual({ PGPASSWORD: 'hunter2hunter2' })
    expect(lineOf(await got(backend.redis).cli(['PING']))).toBe(
      'docker exec -it town-redis-1 redis-cli -p 6379 -n 0 PING',
    )
    expect(got(backend.postgres).byHand('a"b', `SELECT 'x'`)).toBe(
      `docker compose -p town exec db psql -U postgres -d 'a"b' -c "SELECT 'x'"`,
    )
  })

  test('outside of the project are reached through the app', async () => {
    const outside = { ...ENV, DATABASE_URL: 'postgres://u:p%40ss%3Aword@db.example.org:6432/town?sslmode=require' }
    const answer = (one: Invocation) => (lineOf(one).includes('for p in bash') ? { stdout: 'bash\nruby\n' } : undefined)
    const { backend, runner, output } = await open({ containers: [REDIS, { ...WEB, env: outside }], answer })
    expect(backend.postgres?.where).toBe('PostgreSQL at db.example.org:6432')
    expect(await got(backend.postgres).target()).toMatchObject({
      user: 'u',
      database: 'town',
      password: 'p@ss:word',
      tls: 'accept-any',
    })
    const stream = await backend.postgres?.openStream?.()
    expect(runner.lines.at(-1)).toMatch(/^docker exec -i town-web-1 bash -c exec 3<>.* relay db\.example\.org 6432$/)
    stream?.on('error', () => undefined).destroy()
    expect(output.clean('p%40ss%3Aword p@ss:word')).toBe('[password in DATABASE_URL] [password in DATABASE_URL]')
    expect(got(backend.postgres).byHand('town', 'SELECT 1')).toBe(
      `psql -h db.example.org -p 6432 -U u -d town -c 'SELECT 1'`,
    )
    await expect(got(backend.postgres).psql('town', [])).rejects.toMatchObject({ code: 'no-psql' })
  })

  test('psql goes past a pooler, from the container that has it', async () => {
    const env = { ...ENV, DB_HOST: 'pooler', DB_PORT: '6432' }
    const pooler = { ...DB, service: 'pooler', image: 'bitnami/pgbouncer' }
    const { backend } = await open({ containers: [DB, pooler, { ...WEB, env }] })
    expect(lineOf(await got(backend.postgres).psql('n', []))).toContain('town-db-1 psql -h pooler -p 6432')
  })

  test('no way at all is said with what was tried', async () => {
    const { backend } = await open()
    await expect(backend.redis?.openStream?.()).rejects.toMatchObject({
      code: 'no-relay',
      why: expect.stringContaining(
        'found in town-redis-1, town-sidekiq-1, town-streaming-1, town-web-1, a new container',
      ),
    })
  })
})

describe('other facets', () => {
  test('logs are merged by time', async () => {
    const answer = (one: Invocation): Answer => {
      if (!lineOf(one).includes('logs')) return undefined
      if (lineOf(one).includes('town-web-1'))
        return { stdout: '2026-01-01T00:00:01.000000000Z first\n2026-01-01T00:00:03.000000000Z third' }
      return { stderr: '2026-01-01T00:00:02.000000000Z second\n' }
    }
    const { backend, runner } = await open({ answer })
    const lines: string[][] = []
    await got(backend.logs).read({
      roles: ['web', 'sidekiq'],
      lines: 9,
      follow: false,
      onLine: (line, source) => lines.push([line, source]),
    })
    expect(lines).toEqual([
      ['first', 'town-web-1'],
      ['second', 'town-sidekiq-1'],
      ['third', 'town-web-1'],
    ])
    expect(runner.lines).toContain('docker logs --timestamps --tail 9 town-web-1')
  })

  test('files are copied by absolute local paths', async () => {
    const { backend, runner } = await open()
    await got(backend.files).copy('in', `${dir}/a:b`, { place: 'sidekiq', path: '/tmp/x' })
    expect(runner.writes).toEqual([`docker cp ${dir}/a:b town-sidekiq-1:/tmp/x`])
    await expect(got(backend.files).copy('out', 'x', { place: 'nowhere', path: '/x' })).rejects.toMatchObject({
      exitCode: 2,
      why: 'There are db, redis, sidekiq, streaming, web.',
    })
  })

  test('storage knows a volume without a name from one with', async () => {
    const anonymous = [
      { Type: 'volume', Name: 'a1'.repeat(32), Source: '/var/lib/docker/x', Destination: '/var/lib/postgresql/data' },
    ]
    const media = [{ Type: 'bind', Source: '/srv/public/system', Destination: '/mastodon/public/system' }]
    const { backend } = await open({ containers: [{ ...DB, mounts: anonymous }, REDIS, { ...WEB, mounts: media }] })
    expect((await got(backend.storage).volumes()).map(one => [one.place, one.kind, one.path])).toEqual([
      ['database', 'anonymous', '/var/lib/postgresql/data'],
      ['redis', 'none', '/data'],
      ['media', 'bind', '/mastodon/public/system'],
    ])
  })

  test('free space is what df says', async () => {
    const df = 'Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 1000 400 600 40% /data\n'
    const answer = (one: Invocation) =>
      lineOf(one).includes('df -Pk')
        ? { stdout: df, stderr: 'mstdn-ops-NONCE start\n\nmstdn-ops-NONCE end 0\n' }
        : undefined
    const { backend } = await open({ answer })
    expect(await got(backend.storage).disk()).toEqual([
      { place: 'database', path: '/var/lib/postgresql/data', totalBytes: 1_024_000, freeBytes: 614_400 },
      { place: 'media', path: '/opt/mastodon/public/system', totalBytes: 1_024_000, freeBytes: 614_400 },
    ])
  })

  test('the release is the image’s tag', async () => {
    const { backend } = await open()
    expect(await got(backend.releases).current()).toEqual({ label: 'v4.5.3', image: APP_IMAGE })
  })

  test('a project without Mastodon is refused by the preflight', async () => {
    const answer = (one: Invocation) =>
      lineOf(one).includes('config') ? { stdout: '{"name":"town","services":{}}' } : undefined
    const { backend } = await open({ containers: [DB], answer })
    await expect((backend as Backend).preflight()).rejects.toMatchObject({ code: 'no-app-service' })
  })
})

describe('the Redis servers of the other roles', () => {
  const JOBS: Shape = { ...REDIS, service: 'jobs' }

  async function others(env: Record<string, string>) {
    const app = { ...WEB, env: { ...ENV, ...env } }
    const { backend, output } = await open({ containers: [DB, REDIS, JOBS, app] })
    const found = (await backend.redis?.others?.()) ?? []
    const servers = found.map(({ roles, connector }) => [roles, connector.where])
    return { servers, target: await found[0]?.connector.target(), output }
  }

  test.each<[string, Record<string, string>, unknown[]]>([
    ['no variable names', {}, []],
    [
      'the variables that name the main one',
      { SIDEKIQ_REDIS_URL: 'redis://redis:6379/0', CACHE_REDIS_HOST: 'redis' },
      [],
    ],
    ['a container names', { SIDEKIQ_REDIS_URL: 'redis://jobs' }, [[['sidekiq'], 'Sidekiq’s Redis in service jobs']]],
    [
      'another database of the main one names',
      { CACHE_REDIS_URL: 'redis://redis/1' },
      [[['cache'], 'the cache’s Redis in service redis']],
    ],
    [
      'both variables name',
      { SIDEKIQ_REDIS_URL: 'redis://jobs/1', CACHE_REDIS_URL: 'redis://jobs:6379/1' },
      [[['sidekiq', 'cache'], 'Sidekiq’s Redis in service jobs']],
    ],
    [
      'the variables tell apart',
      { SIDEKIQ_REDIS_URL: 'redis://jobs/1', CACHE_REDIS_URL: 'rediss://cache.example.org/2' },
      [
        [['sidekiq'], 'Sidekiq’s Redis in service jobs'],
        [['cache'], 'the cache’s Redis at cache.example.org:6379'],
      ],
    ],
  ])('that %s', async (_title, env, servers) => {
    expect((await others(env)).servers).toEqual(servers)
  })

  test('have their own password, which is never shown, and the namespace', async () => {
    const { target, output } = await others({
      SIDEKIQ_REDIS_URL: 'redis://:canary1234@jobs/1',
      REDIS_NAMESPACE: 'town',
    })
    expect(target).toEqual({ password: 'canary1234', database: 1, tls: 'none', prefix: 'town:' })
    expect(output.redactor.text('it is canary1234')).not.toContain('canary1234')
  })
})
