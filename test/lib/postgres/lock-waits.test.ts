import { afterAll, beforeAll, expect, test } from 'vitest'
import { lockWaits, lockWaitText } from '../../../src/lib/postgres/lock-waits.js'
import { closeSession, openSession } from '../../../src/lib/postgres/session.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

test('a change of a table that waits is told with its holder; a request that waits for a row is not', async () => {
  const database = await server.createDatabase('waits')
  const look = await server.open(database)
  const session = (applicationName: string) => openSession(server.connector(), { database, applicationName })
  const sessions = await Promise.all(['reader', 'writer', 'other', 'changer'].map(session))
  const [reader, writer, other, changer] = sessions.map(({ client }) => client)
  await reader?.query('CREATE TABLE users (id int); INSERT INTO users VALUES (1)')
  await writer?.query('BEGIN; UPDATE users SET id = 2')
  const updated = other?.query('UPDATE users SET id = 3')
  const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
  const waiters = async () => (await look.query<{ n: number }>(waiting))[0]?.n
  await expect.poll(waiters).toBe(1)
  expect(await lockWaits(look)).toEqual([])
  await writer?.query('COMMIT')
  await updated
  await reader?.query('BEGIN; SELECT * FROM users')
  const changed = changer?.query('ALTER TABLE users ADD name text')
  await expect.poll(waiters).toBe(1)
  const [wait] = await lockWaits(look)
  expect(wait).toMatchObject({ table: 'users', holders: [{ program: 'reader', state: 'idle in transaction' }] })
  expect(wait && lockWaitText(wait)).toMatch(
    /^It waits for a lock on users, held by process (\d+) \(reader, idle in transaction for .+\)\. .*pg_terminate_backend\(\1\)$/,
  )
  await reader?.query('COMMIT')
  await changed
  expect(await lockWaits(look)).toEqual([])
  for (const one of sessions) await closeSession(one)
  await look.close()
})

test('what a role may not see is told as hidden', () => {
  const holders = [{ pid: 7, program: null, state: null, seconds: null }]
  expect(lockWaitText({ table: undefined, holders })).toContain('process 7 (unnamed, its state is hidden)')
})
