import { describe, expect, test } from 'vitest'
import { postgresServerOf } from '../../../../src/lib/backends/compose/postgres.js'
import { otherRedisServerOf, redisServerOf } from '../../../../src/lib/backends/compose/redis.js'
import { chooseRelay, RELAYS } from '../../../../src/lib/backends/compose/relay.js'

const postgres = (env: Record<string, string>) => postgresServerOf(new Map(Object.entries(env)))
const redis = (env: Record<string, string>) => redisServerOf(new Map(Object.entries(env)))

describe('the app’s PostgreSQL', () => {
  test('by its parts', () => {
    const env = { DB_HOST: 'db', DB_PORT: '6432', DB_USER: 'u', DB_NAME: 'n', DB_PASS: 'p' }
    expect(postgres(env)).toEqual({
      user: 'u',
      database: 'n',
      password: 'p',
      tls: 'none',
      address: { host: 'db', port: 6432 },
    })
  })

  test('without anything, and with an empty password', () => {
    expect(postgres({ DB_PASS: '' })).toEqual({
      user: 'mastodon',
      database: 'mastodon_production',
      tls: 'none',
      address: { host: 'localhost', port: 5432 },
    })
  })

  test.each([
    [
      'postgres://u:p%23@h:1/n',
      { user: 'u', password: 'p#', database: 'n', tls: 'none', address: { host: 'h', port: 1 } },
    ],
    [
      'postgresql://u@h/n?sslmode=verify-full',
      { user: 'u', database: 'n', tls: 'verify', address: { host: 'h', port: 5432 } },
    ],
    [
      'postgres://u@/n?host=/run/pg',
      { user: 'u', database: 'n', tls: 'none', address: { socket: '/run/pg/.s.PGSQL.5432' } },
    ],
  ])('DATABASE_URL wins: %s', (url, server) => {
    expect(postgres({ DATABASE_URL: url, DB_HOST: 'other' })).toEqual(server)
  })

  test('a URL that cannot be read is refused, and not shown', () => {
    expect(() => postgres({ DATABASE_URL: 'hunter2hunter2' })).toThrow(
      expect.objectContaining({ exitCode: 3, message: expect.not.stringContaining('hunter2') }),
    )
  })

  test('by a unix socket', () => {
    expect(postgres({ DB_HOST: '/var/run/postgresql' }).address).toEqual({
      socket: '/var/run/postgresql/.s.PGSQL.5432',
    })
  })
})

describe('the app’s Redis', () => {
  test('by its parts, with a namespace', () => {
    const env = { REDIS_HOST: 'redis', REDIS_PASSWORD: 'p', REDIS_NAMESPACE: 'town', REDIS_DB: '2' }
    expect(redis(env)).toEqual({
      password: 'p',
      database: 2,
      tls: 'none',
      prefix: 'town:',
      address: { host: 'redis', port: 6379 },
    })
  })

  test.each([
    ['redis://:p%40@h:1/3', { password: 'p@', database: 3, tls: 'none', prefix: '', address: { host: 'h', port: 1 } }],
    [
      'rediss://u:p@h',
      { username: 'u', password: 'p', database: 0, tls: 'verify', prefix: '', address: { host: 'h', port: 6379 } },
    ],
    ['unix:///run/redis.sock?db=1', { database: 1, tls: 'none', prefix: '', address: { socket: '/run/redis.sock' } }],
  ])('REDIS_URL wins: %s', (url, server) => {
    expect(redis({ REDIS_URL: url, REDIS_HOST: 'other' })).toEqual(server)
  })

  const ROLES = { REDIS_HOST: 'redis', REDIS_PASSWORD: 'main', REDIS_DB: '3', REDIS_NAMESPACE: 'town' }

  test.each<[string, Record<string, string>, object | undefined]>([
    ['nothing', {}, undefined],
    ['an empty URL', { SIDEKIQ_REDIS_URL: '' }, undefined],
    ['another role', { CACHE_REDIS_URL: 'redis://other' }, undefined],
    ['no host', { SIDEKIQ_REDIS_DB: '1', SIDEKIQ_REDIS_PASSWORD: 'p' }, undefined],
    ['a URL', { SIDEKIQ_REDIS_URL: 'redis://jobs/2' }, { database: 2, address: { host: 'jobs', port: 6379 } }],
    [
      'parts, which borrow nothing from the main server',
      { SIDEKIQ_REDIS_HOST: 'jobs', SIDEKIQ_REDIS_PORT: '6380' },
      { database: 0, address: { host: 'jobs', port: 6380 } },
    ],
  ])('Sidekiq’s own by %s', (_title, env, server) => {
    const found = otherRedisServerOf(new Map(Object.entries({ ...ROLES, ...env })), 'sidekiq')
    expect(found).toEqual(server && { tls: 'none', prefix: 'town:', ...server })
  })
})

describe('the relay', () => {
  const tcp = { host: 'h', port: 1 }
  const socket = { socket: '/run/s' }

  test.each([
    ['bash\nruby\n', tcp, 'bash'],
    ['busybox\nnc-busybox\n', tcp, 'nc-busybox'],
    ['bash\nperl\n', socket, 'perl'],
    ['bash\nbusybox\n', socket, undefined],
    ['', tcp, undefined],
  ])('of %j for %j is %s', (probed, endpoint, name) => {
    expect(chooseRelay(probed, endpoint)?.name).toBe(name)
  })

  test('never puts the address into a script', () => {
    const hostile = { host: '$(touch /tmp/p)', port: 1 }
    for (const relay of RELAYS) {
      const words = relay.argv(hostile)
      const scripts = words.filter((_, at) => ['-c', '-e'].includes(words[at - 1] ?? ''))
      expect(scripts.join('')).not.toContain('touch')
    }
  })
})
