import { describe, expect, it } from 'vitest'
import { openDirect } from '../../../../src/lib/backends/direct/index.js'
import { postgresAddressOf, redisTargetOf } from '../../../../src/lib/backends/direct/urls.js'
import { UsageError } from '../../../../src/lib/errors.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { Runner } from '../../../../src/lib/runner.js'

describe('a PostgreSQL URL', () => {
  it.each([
    [
      'postgres://u:p@db.example.org/m',
      { host: 'db.example.org', port: 5432, user: 'u', password: 'p', database: 'm', tls: 'prefer' },
    ],
    ['postgresql://u@h:6432/m?sslmode=require', { port: 6432, tls: 'accept-any' }],
    ['postgresql://u@h/m?sslmode=verify-full', { tls: 'verify' }],
    ['postgresql://u@h/m?sslmode=disable', { tls: 'none' }],
    ['postgresql://u%40x:p%2F%3A%25@h/a%20b', { user: 'u@x', password: 'p/:%', database: 'a b' }],
    ['postgresql://u@/m?host=/var/run/postgresql', { host: '/var/run/postgresql', tls: 'none' }],
    ['postgresql://u@%2Fvar%2Frun%2Fpostgresql/m', { host: '/var/run/postgresql' }],
    ['postgresql://u@[::1]:5433/m', { host: '::1', port: 5433 }],
    ['postgresql:///m?user=u&password=p', { host: 'localhost', user: 'u', password: 'p' }],
    ['postgresql://u@h', { database: 'u' }],
  ])('%s', (url, wanted) => expect(postgresAddressOf(url)).toMatchObject(wanted))

  it.each(['', 'm', 'mysql://u@h/m', 'postgresql://h/m', 'postgresql://u@h/m?sslmode=yes', 'postgresql://u@h:x/m'])(
    '%j is refused',
    url => expect(postgresAddressOf(url)).toHaveProperty('problem'),
  )
})

describe('a Redis URL', () => {
  it.each([
    ['redis://localhost', { host: 'localhost', port: 6379, database: 0, tls: 'none', prefix: '' }],
    ['redis://:p%40@h:6380/2', { port: 6380, password: 'p@', database: 2 }],
    ['rediss://u:p@h', { username: 'u', password: 'p', tls: 'verify' }],
    ['unix:///run/redis.sock?db=3', { host: '/run/redis.sock', database: 3 }],
  ])('%s', (url, wanted) => expect(redisTargetOf(url)).toMatchObject(wanted))

  it.each(['', 'http://h', 'redis://h/x'])('%j is refused', url => expect(redisTargetOf(url)).toHaveProperty('problem'))
})

describe('the direct backend', () => {
  const output = new Output({ quiet: true })
  const ledger = new Ledger()
  const parts = { output, ledger, runner: new Runner({ output, ledger }) }
  const urls = {
    databaseUrl: 'postgresql://u:hunter%20two%2F@db.example.org:5433/m?sslmode=require',
    redisUrl: 'rediss://:other-secret@redis.example.org/1',
  }

  it('gives the clients their passwords by the environment, and shows them nowhere', async () => {
    const { postgres, redis, name } = await openDirect(urls, parts)
    const psql = await postgres?.psql('m', ['-x'])
    const cli = await redis?.cli(['PING'])
    expect(psql).toEqual({
      file: 'psql',
      args: ['-h', 'db.example.org', '-p', '5433', '-U', 'u', '-d', 'm', '-x'],
      env: { PGSSLMODE: 'require', PGPASSWORD: 'hunter two/' },
      effect: 'write',
      byHand: 'psql -h db.example.org -p 5433 -U u -d m -x',
    })
    expect(cli).toMatchObject({
      args: ['-h', 'redis.example.org', '-p', '6379', '-n', '1', '--tls', 'PING'],
      env: { REDISCLI_AUTH: 'other-secret' },
    })
    expect(postgres?.byHand('m', "SELECT 'a'")).toBe(`psql -h db.example.org -p 5433 -U u -d m -c "SELECT 'a'"`)
    expect(name).toBe('db.example.org-m')
    expect(output.clean('hunter two/ hunter%20two%2F other-secret')).not.toMatch(/hunter|other-secret/)
  })

  it('has no more than its two servers', async () => {
    const backend = await openDirect({ databaseUrl: urls.databaseUrl }, parts)
    expect(Object.keys(backend).sort()).toEqual(['close', 'kind', 'name', 'postgres', 'preflight', 'title'])
  })

  it('names every setting that is missing or wrong at once, without the password', async () => {
    const wrong = { databaseUrl: 'postgresql://u:very-secret@h/m?sslmode=maybe', redisUrl: 'http://:hush-hush@h' }
    const error = await openDirect(wrong, parts).catch(thrown => thrown)
    expect(error).toBeInstanceOf(UsageError)
    expect(error.why).toMatch(/database_url .*sslmode "maybe".*allowed: disable, .*\n.*redis_url .*is no Redis URL/)
    expect(JSON.stringify(error)).not.toMatch(/very-secret|hush-hush/)
    await expect(openDirect({}, parts)).rejects.toMatchObject({ why: expect.stringContaining('database_url') })
  })
})
