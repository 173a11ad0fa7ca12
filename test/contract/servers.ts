import { createHash, randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import type pg from 'pg'
import { expect, test } from 'vitest'
import type { Backend } from '../../src/lib/backends/backend.js'
import { Ledger } from '../../src/lib/ledger.js'
import { openDatabase } from '../../src/lib/postgres/access.js'
import { closeSession, openSession } from '../../src/lib/postgres/session.js'
import { openRedis, type RedisDatabase } from '../../src/lib/redis/access.js'
import { facetOf, startDoomed } from './subject.js'
import type { Now } from './suite.js'

const MEGABYTE = 1024 * 1024
/** Milliseconds after which nothing of a closed or killed client may be left. */
const PATIENCE = 5_000

/** PostgreSQL over the connector: whole, parallel, and gone when its client is. */
export function postgresContract(now: Now): void {
  const database = (purpose?: string) => openPostgres(now().backend, purpose)

  test('statements are answered, errors come with their SQLSTATE, and the session stays usable', async () => {
    const client = await database()
    expect(await client.query('SELECT count(*) > 0 AS filled FROM users')).toEqual([{ filled: true }])
    await expect(client.query('SELECT nonsense')).rejects.toMatchObject({
      message: expect.stringContaining('nonsense'),
    })
    expect(await client.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    await client.close()
  })

  test('a parameter of 8 MB goes there and back', async () => {
    const text = 'ä"\'\\\n$1 '.repeat(MEGABYTE)
    const client = await database()
    const [row] = await client.query<{ same: string; md5: string }>('SELECT $1::text AS same, md5($1::text) AS md5', [
      text,
    ])
    expect(row?.md5).toBe(createHash('md5').update(text).digest('hex'))
    expect(row?.same === text).toBe(true)
    await client.close()
  })

  test('every byte passes unchanged, both ways', async () => {
    const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, at) => at)), randomBytes(MEGABYTE)])
    const session = await openSession(facetOf(now().backend, 'postgres'), { applicationName: 'contract' })
    await session.client.query('CREATE TEMPORARY TABLE contract_bytes (bytes bytea)')
    await session.client.query('INSERT INTO contract_bytes VALUES ($1)', [bytes])
    const { rows } = await session.client.query('SELECT md5(bytes) AS md5 FROM contract_bytes')
    expect(rows).toEqual([{ md5: createHash('md5').update(bytes).digest('hex') }])
    expect((await copiedOut(session.client, 'contract_bytes')).includes(bytes)).toBe(true)
    await closeSession(session)
  })

  test('20 connections work at the same time', { timeout: 60_000 }, async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => database()))
    const pids = await Promise.all(
      clients.map(client => client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.5)')),
    )
    expect(new Set(pids.map(([row]) => row?.pid)).size).toBe(20)
    await Promise.all(clients.map(client => client.close()))
  })

  test('a statement that is cut off by close leaves no backend', { timeout: 60_000 }, async () => {
    const client = await database('contract-cut')
    const cut = client.query('SELECT pg_sleep(300)').catch(error => error)
    await expect.poll(() => sessions(now, 'contract-cut'), { timeout: PATIENCE }).toBe('1')
    await client.close()
    expect(await cut).toBeInstanceOf(Error)
    await expect.poll(() => sessions(now, 'contract-cut'), { timeout: PATIENCE }).toBe('0')
  })

  test('nothing is left when its process is killed in the middle of a statement', { timeout: 60_000 }, async () => {
    await leavesNothing(now, 'postgres', 'contract-killed')
    expect(await sessions(now, 'contract-killed')).toBe('0')
  })
}

/** The client makes text of every row; only a copy comes as the bytes that the server sent. */
async function copiedOut(client: pg.Client, table: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  const { connection } = client as unknown as { connection: EventEmitter }
  connection.on('copyData', (message: { chunk: Buffer }) => chunks.push(Buffer.from(message.chunk)))
  await client.query(`COPY ${table} TO STDOUT (FORMAT binary)`)
  return Buffer.concat(chunks)
}

/** Redis over the connector. */
export function redisContract(now: Now): void {
  const open = () => openInstanceRedis(now().backend)

  test('replies come in the order of their commands, however many are under way', async () => {
    const redis = await open()
    const key = redis.key('contract:counter')
    const replies = await Promise.all(Array.from({ length: 2_000 }, () => redis.write('INCR', key)))
    expect(replies).toEqual(Array.from({ length: 2_000 }, (_, at) => at + 1))
    await redis.write('DEL', key)
    await redis.close()
  })

  test('a value of 8 MB goes there and back', async () => {
    const redis = await open()
    const key = redis.key('contract:large')
    const text = 'ä\r\n$8\r\n\0 '.repeat(MEGABYTE)
    await redis.write('SET', key, text)
    expect(await redis.read('STRLEN', key)).toBe(Buffer.byteLength(text))
    expect((await redis.read('GET', key)) === text).toBe(true)
    await redis.write('DEL', key)
    await redis.close()
  })

  test('an error is told with its command, and the connection stays usable', async () => {
    const redis = await open()
    await expect(redis.read('NONSENSE')).rejects.toMatchObject({ message: expect.stringContaining('NONSENSE') })
    expect(await redis.read('PING')).toBe('PONG')
    await redis.close()
  })

  test('nothing is left when its process is killed while it waits for an answer', { timeout: 60_000 }, async () => {
    const redis = await open()
    const clients = async () => (String(await redis.read('CLIENT', 'LIST')).match(/cmd=blpop/g) ?? []).length
    await leavesNothing(now, 'redis')
    await expect.poll(clients, { timeout: PATIENCE }).toBe(0)
    await redis.close()
  })
}

/** Kills a process that holds a stream, and looks where the servers run for what it has left. */
async function leavesNothing(now: Now, work: string, ...words: string[]): Promise<void> {
  const subject = now()
  const before = new Set(await subject.bystanders?.())
  const doomed = startDoomed(subject, [work, ...words])
  expect(await doomed.firstLine).toBe('connected')
  await doomed.kill()
  const left = async () => [
    ...((await subject.bystanders?.()) ?? []).filter(line => !before.has(line)),
    ...(words[0] !== undefined && (await sessions(now, words[0])) !== '0' ? ['a session'] : []),
  ]
  await expect.poll(left, { timeout: PATIENCE }).toEqual([])
}

function openPostgres(backend: Backend, purpose?: string) {
  return openDatabase(facetOf(backend, 'postgres'), { ledger: new Ledger(), dryRun: false, purpose })
}

function openInstanceRedis(backend: Backend): Promise<RedisDatabase> {
  return openRedis(facetOf(backend, 'redis'), { ledger: new Ledger(), dryRun: false })
}

function sessions(now: Now, purpose: string): Promise<string> {
  return now().sql(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mstdn-ops ${purpose}'`)
}
