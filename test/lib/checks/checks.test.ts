import { describe, expect, it } from 'vitest'
import { CHECKS, checksFor, runChecks } from '../../../src/lib/checks/index.js'
import { RefusedError } from '../../../src/lib/errors.js'
import { sidekiqMajorsIn } from '../../../src/lib/mastodon/health.js'
import { newVapidPair } from '../../../src/lib/mastodon/secrets.js'
import { type Made, toolboxOf } from '../../support/toolbox-of.js'

/** Returns what one check finds on an instance that is made of these parts. */
async function find(id: string, made: Made) {
  const [found] = await runChecks(
    toolboxOf(made),
    CHECKS.filter(check => check.id === id),
  )
  return { state: found?.state, message: found?.message ?? '', fix: found?.fix ?? '' }
}

const KEYS = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(name => `ACTIVE_RECORD_ENCRYPTION_${name}`)
const encryption = (value: string) => Object.fromEntries(KEYS.map(name => [name, value]))
const pair = () => {
  const { privateKey, publicKey } = newVapidPair()
  return { VAPID_PRIVATE_KEY: privateKey, VAPID_PUBLIC_KEY: publicKey }
}
const GiB = 2 ** 30
const disk = (free: number) => ({ place: 'database' as const, path: '/', totalBytes: 100 * GiB, freeBytes: free * GiB })
const beat = String(Date.now() / 1000)

/** A Redis with these Sidekiq processes; each is the list of its queues. */
function redisWith(queues: string[][], more: Record<string, unknown> = {}): Made['redis'] {
  const info = (at: number) => JSON.stringify({ hostname: 'h', pid: at, queues: queues[at], concurrency: 5 })
  const answers: Record<string, (...args: (string | number)[]) => unknown> = {
    TIME: () => [beat.split('.')[0], '0'],
    SMEMBERS: name => (name === 'processes' ? queues.map((_, at) => `h:${at}:x`) : []),
    HMGET: name => [info(Number(String(name).split(':')[1])), '0', beat, 'false'],
    ...Object.fromEntries(Object.entries(more).map(([command, answer]) => [command, () => answer])),
  }
  return { read: async (command, ...args) => answers[command]?.(...args) ?? null }
}

const ALL = ['default', 'push', 'ingress', 'mailers', 'pull', 'scheduler', 'fasp']

describe('each check', () => {
  it.each<[string, string, Made, string, RegExp]>([
    ['encryption-keys', 'ok', { config: encryption('a'.repeat(32)) }, '', /All three/],
    [
      'encryption-keys',
      'bad',
      { config: { ...encryption('a'), [KEYS[1] ?? '']: '' } },
      'config:set',
      /KEY_DERIVATION_SALT missing, empty/,
    ],
    [
      'encryption-keys',
      'bad',
      { config: encryption('x_DO_NOT_USE_IN_PRODUCTION') },
      'Put back',
      /DETERMINISTIC_KEY, .*PRIMARY_KEY/,
    ],
    ['encryption-keys', 'bad', { config: {}, version: '4.7.2' }, '', /the accounts' private keys/],
    ['encryption-keys', 'not-applicable', { config: {}, version: '4.2.9' }, '', /has none/],
    ['encryption-keys', 'not-applicable', {}, '', /no configuration/],
    ['secrets', 'ok', { config: { SECRET_KEY_BASE: 's' } }, '', /SECRET_KEY_BASE: set/],
    [
      'secrets',
      'bad',
      { config: { SECRET_KEY_BASE: 's' }, version: '4.2.9' },
      'config:set OTP_SECRET',
      /OTP_SECRET is not set/,
    ],
    ['vapid', 'ok', { config: pair() }, '', /belong together/],
    [
      'vapid',
      'bad',
      { config: { ...pair(), VAPID_PUBLIC_KEY: newVapidPair().publicKey } },
      'keys:vapid --replace',
      /do not belong/,
    ],
    ['vapid', 'warn', { config: {} }, 'keys:vapid', /not set/],
    ['vapid', 'not-applicable', { config: {}, version: '1.4.7' }, '', /no push/],
    ['redis-namespace', 'ok', { config: {} }, '', /not set/],
    ['redis-namespace', 'ok', { config: { REDIS_NAMESPACE: 'm' }, version: '4.2.9' }, '', /honours/],
    ['redis-namespace', 'warn', { config: { REDIS_NAMESPACE: 'm' }, version: '4.3.8' }, '', /4\.4\.0/],
    ['redis-namespace', 'bad', { config: { REDIS_NAMESPACE: 'm' } }, '', /does not start/],
    ['rails-env', 'ok', { config: { RAILS_ENV: 'production' } }, '', /production/],
    ['rails-env', 'bad', { config: { RAILS_ENV: 'development' } }, 'config:set RAILS_ENV', /another database/],
    ['rails-env', 'bad', { config: {}, version: '3.2.0' }, '', /development database/],
    ['configuration', 'ok', { config: { A: '1' } }, '', /the file/],
    [
      'configuration',
      'warn',
      { config: { A: '1', B: 'x' }, stored: { A: 'secret!', B: 'x', C: 'n' } },
      'mstdn-ops restart',
      /: A, C\.$/,
    ],
    ['volumes', 'ok', { volumes: [{ place: 'database', name: 'pg', path: '/d', kind: 'named' }] }, '', /named pg/],
    [
      'volumes',
      'bad',
      { volumes: [{ place: 'database', name: 'f00', path: '/d', kind: 'anonymous' }] },
      './database:/d',
      /anonymous volume/,
    ],
    [
      'volumes',
      'bad',
      { volumes: [{ place: 'media', name: 'c', path: '/m', kind: 'none' }] },
      'mstdn-ops cp',
      /own file system/,
    ],
    ['disk', 'ok', { disks: [disk(50)] }, '', /50\.0 GiB of 100\.0 GiB/],
    ['disk', 'warn', { disks: [disk(50), disk(10)] }, 'media:remove', /10\.0 GiB/],
    ['disk', 'bad', { disks: [disk(4)] }, 'media:remove', /4\.0 GiB/],
    ['web', 'bad', { processes: [{ role: 'web', state: 'stopped' }] }, 'restart --role web', /No web process runs/],
    ['web', 'bad', { processes: [{ role: 'web', health: 'unhealthy' }] }, 'logs --role web', /web: unhealthy/],
    ['streaming', 'not-applicable', { processes: [{ role: 'web' }] }, '', /no streaming/],
    ['streaming', 'bad', { processes: [{ role: 'streaming', state: 'restarting' }] }, '', /again and again/],
    [
      'streaming',
      'bad',
      { processes: [{ role: 'web' }], config: { STREAMING_API_BASE_URL: 'wss://localhost:49151' } },
      'on that host',
      /published at localhost:49151 .*ECONNREFUSED/,
    ],
    ['sidekiq', 'ok', { processes: [], redis: redisWith([ALL]) }, '', /1 Sidekiq process/],
    ['sidekiq', 'bad', { processes: [], redis: redisWith([]) }, 'restart --role sidekiq', /nothing is worked off/],
    ['queues', 'ok', { redis: redisWith([ALL]) }, '', /has a listener/],
    [
      'queues',
      'bad',
      { redis: redisWith([ALL.filter(name => name !== 'ingress')]) },
      '-q ingress',
      /will not send again/,
    ],
    [
      'queues',
      'ok',
      { redis: redisWith([['default', 'push', 'mailers', 'pull']]), version: '2.9.4' },
      '',
      /has a listener/,
    ],
    ['queues', 'warn', { redis: redisWith([ALL, ALL]) }, 'one Sidekiq service', /2 processes listen to scheduler/],
    ['dead-jobs', 'warn', { redis: redisWith([ALL], { ZCARD: 3 }) }, 'morgue', /^3 of/],
    ['mail', 'ok', { config: {}, redis: redisWith([]) }, '', /sends no mail, and none waits/],
    [
      'mail',
      'warn',
      { config: {}, redis: redisWith([], { ZREVRANGE: ['{"queue":"mailers"}', 'garbage'] }) },
      'config:set SMTP_SERVER',
      /as is to be expected: 1 mail waits/,
    ],
    [
      'mail',
      'warn',
      { config: { SMTP_SERVER: 'm' }, redis: redisWith([], { ZREVRANGE: ['{"queue":"mailers"}'] }) },
      'logs --role sidekiq',
      /^1 mail waits/,
    ],
    ['redis-version', 'ok', { redis: redisWith([], { INFO: 'redis_version:7.2.4\r\n' }) }, '', /7\.2\.4/],
    [
      'redis-version',
      'bad',
      { redis: redisWith([], { INFO: 'redis_version:6.2.14\r\n' }) },
      'Change the image',
      /needs 7\.0/,
    ],
    [
      'postgres-version',
      'bad',
      { database: { serverVersionNum: async () => 130_011 } },
      'dump',
      /13\.11, and Mastodon 4\.5\.3 needs 14/,
    ],
    ['pooler', 'ok', { database: { pooled: false } }, '', /itself/],
    ['pooler', 'warn', { database: { pooled: true } }, 'DB_HOST', /PREPARED_STATEMENTS/],
    ['clock', 'ok', { database: { query: async () => [{ now: new Date() }] as never } }, '', /agree/],
    [
      'clock',
      'warn',
      { database: { query: async () => [{ now: new Date(0) }] as never } },
      'timedatectl',
      /days apart/,
    ],
  ])('%s is %s', async (id, state, made, fix, message) => {
    const found = await find(id, made)
    expect(found).toMatchObject({ state })
    expect(found.message).toMatch(message)
    expect(found.fix).toContain(fix)
  })

  it.each([
    ['4.5.3', "CMD-SHELL ps aux | grep '[s]idekiq\\ [78]' || false", 'ok'],
    ['4.5.3', "ps aux | grep '[s]idekiq\\ 6' || false", 'bad'],
    ['4.2.9', "ps aux | grep '[s]idekiq\\ 6' || false", 'ok'],
    ['4.6.1', "ps aux | grep '[s]idekiq 7'", 'bad'],
    ['4.5.3', 'redis-cli ping', 'not-applicable'],
  ])('sidekiq-health-check on %s with %s is %s', async (version, healthCommand, state) => {
    const found = await find('sidekiq-health-check', { version, processes: [{ role: 'sidekiq', healthCommand }] })
    expect(found.state).toBe(state)
  })

  it('names no value of a variable that differs', async () => {
    const { message } = await find('configuration', { config: { A: 'old-secret' }, stored: { A: 'new-secret' } })
    expect(message).not.toMatch(/old-secret|new-secret/)
  })

  it('that cannot look says so and is no verdict', async () => {
    const query = () => Promise.reject(new RefusedError({ code: 'x', message: 'the server is away', next: 'wait' }))
    expect(await find('clock', { database: { query } })).toEqual({
      state: 'warn',
      message: 'It could not be looked at: the server is away',
      fix: 'wait',
    })
    expect(await find('database', { database: { query } })).toMatchObject({ state: 'bad', fix: 'wait' })
  })

  it('is not applicable, and never fails, where the backend has nothing to look at', async () => {
    const others = CHECKS.filter(({ id }) => id !== 'unfinished-run')
    const found = await runChecks(toolboxOf({}), others)
    expect(new Set(found.map(({ state }) => state))).toEqual(new Set(['not-applicable']))
  })
})

describe('a backend that has one facet only', () => {
  const facets: Record<string, Made> = {
    config: { config: {} },
    processes: { processes: [{ role: 'web' }, { role: 'streaming' }, { role: 'sidekiq' }] },
    storage: { volumes: [], disks: [] },
    postgres: { database: { query: async () => [], serverVersionNum: async () => 150_000 } },
    redis: { redis: redisWith([]) },
    oneOff: { oneOff: { run: async () => ({ stdout: '', stderr: '', exitCode: 0, planned: false }) } },
  }

  it.each(Object.entries(facets))('%s: no check fails for want of another', async (_name, made) => {
    const others = CHECKS.filter(({ id }) => id !== 'unfinished-run')
    const messages = (await runChecks(toolboxOf(made), others)).map(({ message }) => message)
    expect(messages.filter(message => /could not be looked at: The made backend has no/.test(message))).toEqual([])
  })
})

describe('the maintenance mode', () => {
  const maintenance = { isOn: async () => true, set: async () => undefined }

  it('is told instead of what a visitor would get', async () => {
    const made: Made = { processes: [{ role: 'web' }], oneOff: { isApart: true }, maintenance }
    expect(await find('web', made)).toMatchObject({ state: 'warn', fix: 'mstdn-ops maintenance:off' })
  })
})

describe('the list of checks', () => {
  it('has each once, with a title that can be read aloud', () => {
    expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length)
    for (const { id, title } of CHECKS) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/)
      expect(title).toMatch(/^[A-Z].*[^.]$/)
    }
  })

  it('knows which run before what', () => {
    expect(checksFor('restore').map(({ id }) => id)).toContain('encryption-keys')
    expect(checksFor('upgrade').length).toBeGreaterThan(10)
  })
})

describe("the majors of Sidekiq in a health check's command", () => {
  it.each([
    ["ps aux | grep '[s]idekiq\\ 6' || false", [6]],
    ["ps aux | grep '[s]idekiq\\ [78]' || false", [7, 8]],
    ['pgrep -f sidekiq', []],
    ['pgrep -f "sidekiq 7"', [7]],
  ])('%s', (command, majors) => expect(sidekiqMajorsIn(command)).toEqual(majors))
})
