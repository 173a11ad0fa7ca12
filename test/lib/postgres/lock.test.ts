import { afterAll, beforeAll, expect, test } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import { type LockAttempt, type LockSession, openLockSession } from '../../../src/lib/postgres/lock.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
  await server.createDatabase('mastodon_production')
})

afterAll(() => server?.stop())

const key = 'mastodon_production'

function take(applicationName: string, database = 'mastodon_production', changes = {}) {
  return openLockSession(server.connector({ database, ...changes }), { key, applicationName })
}

function session(attempt: LockAttempt | undefined): LockSession {
  if (attempt?.held !== true) throw new Error('not held')
  return attempt.session
}

test('one holds the lock, the other learns who it is; given back, it can be taken', async () => {
  const first = session(await take('mstdn-ops 01RUN alice@host-a'))
  expect(first.database).toBe('postgres')
  expect(await first.held()).toBe(true)
  const second = await take('mstdn-ops 02RUN bob@host-b')
  expect(second).toMatchObject({
    held: false,
    holder: { applicationName: 'mstdn-ops 01RUN alice@host-a', client: '127.0.0.1', since: expect.any(Date) },
  })
  await first.close()
  const third = session(await take('mstdn-ops 03RUN bob@host-b'))
  await third.close()
})

test('of twenty at once one holds it', async () => {
  const attempts = await Promise.all(Array.from({ length: 20 }, (_, n) => take(`mstdn-ops ${n}`)))
  const held = attempts.filter(attempt => attempt?.held === true)
  expect(held).toHaveLength(1)
  await session(held[0]).close()
})

test('other keys are other locks', async () => {
  const first = session(await take('one'))
  const other = await openLockSession(server.connector({ database: 'other' }), { key: 'other', applicationName: 'two' })
  await session(other).close()
  await first.close()
})

test('where the instance lives in postgres, the lock is held in template1', async () => {
  const lock = session(await take('mstdn-ops', 'postgres'))
  expect(lock.database).toBe('template1')
  await lock.close()
})

test('a lost session no longer holds it', async () => {
  const lock = session(await take('mstdn-ops to-be-cut'))
  const admin = await server.open()
  await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%to-be-cut'")
  await admin.close()
  expect(await lock.held()).toBe(false)
  await lock.close()
})

test('a user who may enter neither maintenance database takes it in the own one; entering one is enough', async () => {
  const admin = await server.open()
  await admin.write("CREATE ROLE tenant LOGIN PASSWORD 'tenant'")
  await admin.write('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC')
  const tenant = { user: 'tenant', password: 'tenant' }
  const lock = session(await take('mstdn-ops', 'mastodon_production', tenant))
  expect(lock.database).toBe('template1')
  await lock.close()
  await admin.write('REVOKE CONNECT ON DATABASE template1 FROM PUBLIC')
  const own = session(await take('mstdn-ops', 'mastodon_production', tenant))
  expect(own.database).toBe('mastodon_production')
  expect(await take('mstdn-ops', 'mastodon_production', tenant)).toMatchObject({ held: false })
  await own.close()
  await admin.close()
})

test('a server that cannot be reached is refused, not taken for one without locks', async () => {
  await expect(take('mstdn-ops', 'mastodon_production', { port: 1 })).rejects.toBeInstanceOf(RefusedError)
  await expect(take('mstdn-ops', 'mastodon_production', { password: 'wrong' })).rejects.toBeInstanceOf(RefusedError)
})
