import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { InterruptedError, OutcomeUnknownError, RefusedError, UnforeseenError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { type Database, openDatabase } from '../../../src/lib/postgres/access.js'
import { probe } from '../../../src/lib/postgres/probe.js'
import { sqlState } from '../../../src/lib/postgres/problems.js'
import { connectorTo, startPostgres, type TestPostgres } from '../../support/postgres.js'
import { answering, relayTo } from '../../support/relay.js'

let server: TestPostgres
const opened: Database[] = []

beforeAll(async () => {
  server = await startPostgres()
  const db = await server.open()
  await db.write('CREATE TABLE users (id bigserial PRIMARY KEY, email text UNIQUE, created_at timestamp)')
  await db.close()
})

afterEach(async () => {
  for (const db of opened.splice(0)) await db.close()
})

afterAll(() => server?.stop())

async function open(options: Parameters<TestPostgres['open']>[1] = {}): Promise<Database> {
  const db = await server.open('postgres', options)
  opened.push(db)
  return db
}

/** Returns what the promise was rejected with. */
async function failure(promise: Promise<unknown>): Promise<Error & { why?: string; code?: string }> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    error => error,
  )
}

describe('reading', () => {
  test('whole numbers are numbers where exact, and strings beyond', async () => {
    const db = await open()
    const rows = await db.query('SELECT 7::bigint AS small, 109876543210987654::bigint AS large')
    expect(rows).toEqual([{ small: 7, large: '109876543210987654' }])
  })

  test('a timestamp without time zone is UTC, in both directions', async () => {
    const db = await open()
    const at = new Date('2026-07-01T12:34:56.789Z')
    const rows = await db.query('SELECT $1::timestamp AS at, $1::timestamp::text AS text', [at])
    expect(rows).toEqual([{ at, text: '2026-07-01 12:34:56.789' }])
  })

  test('statements asked for at once run one after another, without a warning', async () => {
    const db = await open()
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    const rows = await Promise.all(Array.from({ length: 20 }, (_, n) => db.query('SELECT $1::int AS n', [n])))
    await wait(10)
    process.off('warning', note)
    expect(rows.flat()).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })))
    expect(warnings).toEqual([])
  })

  test('an abort ends a read at once and leaves the session fit for an undo', async () => {
    const stop = new AbortController()
    const db = await open({ signal: stop.signal })
    const asleep = failure(db.query('SELECT pg_sleep(60)'))
    await wait(100)
    stop.abort()
    expect(await asleep).toBeInstanceOf(InterruptedError)
    expect(await db.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('the session says who it is and looks whether we are still there', async () => {
    const db = await open({ purpose: 'status' })
    const [row] = await db.query<Record<string, string>>(
      `SELECT current_setting('application_name') AS name, current_setting('lock_timeout') AS lock,
       current_setting('statement_timeout') AS read, current_setting('client_connection_check_interval') AS look`,
    )
    expect(row).toEqual({ name: 'mstdn-ops status', lock: '10s', read: '2min', look: '1s' })
  })
})

describe('writing', () => {
  test('a write is counted and recorded as it would be typed', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger })
    expect(await db.write('INSERT INTO users (email) VALUES ($1), ($2)', ["o'hara@a.example", 'b@b.example'])).toBe(2)
    const sql = `INSERT INTO users (email) VALUES ('o''hara@a.example'), ('b@b.example')`
    expect(ledger.entries).toEqual([{ kind: 'sql', exact: sql, byHand: `psql postgres -c ${sql}` }])
  })

  test('a dry run records the write and sends nothing; the server would refuse it besides', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger, dryRun: true })
    expect(await db.write("DELETE FROM users WHERE email = 'b@b.example'")).toBe(0)
    expect(ledger.entries).toHaveLength(1)
    expect(await db.query("SELECT 1 AS kept FROM users WHERE email = 'b@b.example'")).toEqual([{ kept: 1 }])
    const refused = await failure(db.query('DELETE FROM users'))
    expect(sqlState(refused)).toBe('25006')
    expect(refused).toBeInstanceOf(RefusedError)
  })

  test('writes have no time limit', async () => {
    const db = await open()
    await db.write("DO $$ BEGIN ASSERT current_setting('statement_timeout') = '0'; END $$")
    expect(await db.query("SELECT current_setting('statement_timeout') AS t")).toEqual([{ t: '2min' }])
  })

  test('a secret shows neither in the ledger nor in the error that quotes it', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger })
    const error = await failure(db.write('UPDATE users SET id = $1::int', ['canary-s3cret'], { secretParams: [1] }))
    expect(JSON.stringify([ledger.entries, error.message, error])).not.toContain('canary')
    expect(error.message).toContain('[secret]')
  })

  test('an error of the server carries its SQLSTATE', async () => {
    const db = await open()
    const error = await failure(db.query('SELECT * FROM nothing_here'))
    expect(error).toBeInstanceOf(UnforeseenError)
    expect(sqlState(error)).toBe('42P01')
  })
})

describe('transactions', () => {
  test('all or nothing, and by hand one psql call', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger })
    await db.transaction(async () => {
      await db.write("INSERT INTO users (email) VALUES ('t1')")
      await db.write("INSERT INTO users (email) VALUES ('t2')")
    })
    expect(await db.query("SELECT count(*) AS n FROM users WHERE email LIKE 't_'")).toEqual([{ n: 2 }])
    expect(ledger.entries.map(entry => entry.exact)).toEqual([
      'BEGIN',
      "INSERT INTO users (email) VALUES ('t1')",
      "INSERT INTO users (email) VALUES ('t2')",
      'COMMIT',
    ])
    expect(ledger.byHand()).toHaveLength(1)
    expect(ledger.byHand()[0]).toMatch(/BEGIN; INSERT .*; INSERT .*; COMMIT$/)
  })

  test('a failure rolls back, and the ledger tells of nothing', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger })
    const error = await failure(
      db.transaction(async () => {
        await db.write("INSERT INTO users (email) VALUES ('gone')")
        throw new Error('no more')
      }),
    )
    expect(error.message).toBe('no more')
    expect(await db.query("SELECT 1 FROM users WHERE email = 'gone'")).toEqual([])
    expect(ledger.entries).toEqual([])
  })

  test('a swallowed error does not pass for a commit', async () => {
    const db = await open()
    const swallowing = db.transaction(async () => {
      await db.write("INSERT INTO users (email) VALUES ('swallowed')")
      await db.query('SELECT * FROM nothing_here').catch(() => {})
    })
    expect((await failure(swallowing)).code).toBe('rolled-back')
    expect(await db.query("SELECT 1 FROM users WHERE email = 'swallowed'")).toEqual([])
  })

  test('after a failed statement the session is fit for the next one', async () => {
    const db = await open()
    const failing = db.transaction(async () => {
      await db.write("INSERT INTO users (email) VALUES ('first')")
      await db.write('INSERT INTO nothing_here VALUES (1)')
    })
    expect(sqlState(await failure(failing))).toBe('42P01')
    expect(await db.query("SELECT 1 FROM users WHERE email = 'first'")).toEqual([])
    expect(await db.write("INSERT INTO users (email) VALUES ('next')")).toBe(1)
  })

  test('a dry run shows the whole transaction and begins none', async () => {
    const ledger = new Ledger()
    const db = await open({ ledger, dryRun: true })
    await db.transaction(() => db.write("INSERT INTO users (email) VALUES ('planned')"))
    expect(ledger.entries.map(entry => entry.exact.split(' ')[0])).toEqual(['BEGIN', 'INSERT', 'COMMIT'])
    expect(await db.query("SELECT 1 FROM users WHERE email = 'planned'")).toEqual([])
  })

  test('a snapshot sees one state and takes no writes', async () => {
    const [db, other] = [await open(), await open()]
    const count = async () => (await db.query<{ n: number }>('SELECT count(*) AS n FROM users'))[0]?.n
    const seen = await db.snapshot(async () => {
      const before = await count()
      await other.write("INSERT INTO users (email) VALUES ('meanwhile')")
      return [before, await count()]
    })
    expect(seen[0]).toBe(seen[1])
    expect(await count()).toBe((seen[0] ?? 0) + 1)
    expect(sqlState(await failure(db.snapshot(() => db.query('DELETE FROM users'))))).toBe('25006')
  })
})

describe('a lost connection', () => {
  async function endSession(pid: number) {
    const killer = await open()
    await wait(100)
    await killer.query('SELECT pg_terminate_backend($1)', [pid])
  }

  async function pidOf(db: Database): Promise<number> {
    const rows = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    return rows[0]?.pid ?? 0
  }

  test('during a write: the outcome is unknown', async () => {
    const db = await open()
    const pid = await pidOf(db)
    const writing = failure(db.write('SELECT pg_sleep(30)'))
    await endSession(pid)
    expect(await writing).toBeInstanceOf(OutcomeUnknownError)
  })

  test('inside a transaction that was not committed: nothing was kept', async () => {
    const db = await open()
    const pid = await pidOf(db)
    const writing = failure(db.transaction(() => db.write('SELECT pg_sleep(30)')))
    await endSession(pid)
    const error = await writing
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toContain('rolls the transaction back')
  })

  test('during a read: nothing was being changed; the next statement says so too', async () => {
    const db = await open()
    const pid = await pidOf(db)
    const reading = failure(db.query('SELECT pg_sleep(30)'))
    await endSession(pid)
    expect(await reading).toBeInstanceOf(RefusedError)
    expect(await failure(db.query('SELECT 1'))).toBeInstanceOf(RefusedError)
    expect(await failure(db.write('SELECT 1'))).toBeInstanceOf(RefusedError)
  })
})

describe('connecting', () => {
  const options = { ledger: new Ledger(), dryRun: false }

  test('over a unix socket, and over a stream that is no socket', async () => {
    const local = await openDatabase(server.connector({ host: server.socketDir }), options)
    expect(await local.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    await local.close()
    const target = { user: server.user, password: server.password, database: 'postgres' }
    const relayed = await openDatabase(
      connectorTo(target, async () => relayTo(server.port)),
      options,
    )
    const text = 'x'.repeat(3_000_000)
    expect(await relayed.query('SELECT $1::text AS text', [text])).toEqual([{ text }])
    await relayed.close()
  })

  test.each<[string, object, RegExp, string]>([
    ['a wrong password', { password: 'canary-wrong' }, /password was refused/, 'postgres-unreachable'],
    ['no password', { password: undefined }, /password/, 'postgres-unreachable'],
    ['an unknown user', { user: 'nobody_here' }, /password was refused/, 'postgres-unreachable'],
    ['a missing database', { database: 'no"such;db' }, /does not exist/, 'postgres-not-admitted'],
    ['a database without connections', { database: 'template0' }, /takes no connections/, 'postgres-not-admitted'],
    ['a port where nothing listens', { port: 1 }, /nothing listens/, 'postgres-unreachable'],
    ['an unknown host', { host: 'no-such-host.invalid' }, /host name/, 'postgres-unreachable'],
    ['a missing socket', { host: '/nonexistent' }, /no such socket/, 'postgres-unreachable'],
    ['a server without TLS', { tls: 'accept-any' }, /speaks no TLS/, 'postgres-unreachable'],
  ])('%s is refused with its cause', async (_title, changes, cause, code) => {
    const error = await failure(openDatabase(server.connector(changes), options))
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toMatch(cause)
    expect(error.code).toBe(code)
    expect(JSON.stringify([error.message, error])).not.toMatch(/canary|test \\*"pass/)
  })

  test('too many connections are named', async () => {
    const admin = await open()
    await admin.write("CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 0")
    const crowded = server.connector({ user: 'crowded', password: 'crowded' })
    expect((await failure(openDatabase(crowded, options))).why).toMatch(/all connections are taken/)
  })

  test.each<[string, string | Buffer, 'close' | 'wait', RegExp]>([
    ['text of another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'wait', /does not speak PostgreSQL/],
    ['the text of a failed relay', 'OCI runtime exec failed: exec failed', 'close', /does not speak PostgreSQL/],
    ['nothing at all', '', 'close', /does not speak PostgreSQL/],
    ['a server that starts up', startingUp(), 'close', /starting up/],
  ])('%s in place of an answer is refused at once', async (_title, bytes, then, cause) => {
    const { port, server: other } = await answering(bytes, then)
    const error = await failure(openDatabase(server.connector({ port }), options))
    other.close()
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toMatch(cause)
  })

  test('an abort ends connecting', async () => {
    const { port, server: silent } = await answering('', 'wait')
    const reason = new InterruptedError({ code: 'interrupted', message: 'stopped' })
    const stop = new AbortController()
    const connecting = failure(openDatabase(server.connector({ port }), { ...options, signal: stop.signal }))
    setTimeout(() => stop.abort(reason), 100)
    expect(await connecting).toBe(reason)
    silent.close()
  })
})

describe('the probe', () => {
  test('says what server and user can do', async () => {
    const found = await probe(await open())
    expect(found).toMatchObject({ pooler: false, superuser: true, canCreateDatabase: true, writable: true })
    expect(found.version).toBeGreaterThanOrEqual(140_000)
    expect(found.connections.limit).toBe(30)
  })

  test('sees a pooler by the process number that it made up, and leaves its settings alone', async () => {
    const target = { user: server.user, password: server.password, database: 'postgres' }
    const pooled = connectorTo(target, async () => relayTo(server.port, withOtherKey))
    const db = await openDatabase(pooled, { ledger: new Ledger(), dryRun: false })
    opened.push(db)
    expect((await probe(db)).pooler).toBe(true)
    expect(await db.query("SELECT current_setting('statement_timeout') AS t")).toEqual([{ t: '0' }])
  })

  test('sees a user without rights and a database that takes no writes', async () => {
    const admin = await open()
    await server.createDatabase('full_plan')
    await admin.write("CREATE ROLE tenant LOGIN PASSWORD 'tenant'")
    await admin.write('ALTER ROLE tenant IN DATABASE full_plan SET default_transaction_read_only = on')
    const connector = server.connector({ user: 'tenant', password: 'tenant', database: 'full_plan' })
    const db = await openDatabase(connector, { ledger: new Ledger(), dryRun: false })
    opened.push(db)
    const expected = { superuser: false, canCreateDatabase: false, ownsDatabase: false, writable: false }
    expect(await probe(db)).toMatchObject(expected)
  })
})

test('the probe sees that the right to insert was taken from the owner, as a full plan does', async () => {
  await server.createDatabase('revoked')
  const admin = await server.open('revoked')
  opened.push(admin)
  await admin.write("CREATE ROLE owner LOGIN PASSWORD 'owner'; ALTER DATABASE revoked OWNER TO owner")
  await admin.write('CREATE TABLE statuses (id int); ALTER TABLE statuses OWNER TO owner')
  const owner = { user: 'owner', password: 'owner', database: 'revoked' }
  const db = await openDatabase(server.connector(owner), { ledger: new Ledger(), dryRun: false })
  opened.push(db)
  expect(await probe(db)).toMatchObject({ ownsDatabase: true, writable: true })
  await admin.write('REVOKE INSERT ON statuses FROM owner')
  expect(await probe(db)).toMatchObject({ ownsDatabase: true, writable: false })
})

test('a snapshot that is given up is left, also where the server stands still', async () => {
  const db = await server.open()
  const [session] = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const pid = session?.pid ?? 0
  try {
    const givenUp = db.snapshot(async () => {
      process.kill(pid, 'SIGSTOP')
      db.query('SELECT 1').catch(() => undefined)
      throw new Error('given up')
    })
    await expect(givenUp).rejects.toThrow('given up')
    await db.close()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
})

/** An ErrorResponse as a server sends it while it recovers. */
function startingUp(): Buffer {
  const fields = Buffer.from('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0')
  const head = Buffer.alloc(5, 'E')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

/** Changes the process number in BackendKeyData, as poolers do: they give out their own. */
function withOtherKey(chunk: Buffer): Buffer {
  const at = chunk.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
  if (at >= 0) chunk.writeInt32BE(chunk.readInt32BE(at + 5) ^ 0x2a, at + 5)
  return chunk
}
