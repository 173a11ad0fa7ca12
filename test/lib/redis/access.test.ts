import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { OutcomeUnknownError, RefusedError, UnforeseenError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { openRedis, type RedisDatabase } from '../../../src/lib/redis/access.js'
import { redisConnectorTo, startRedis, type TestRedis } from '../../support/redis.js'
import { answering, relayTo } from '../../support/relay.js'

const PASSWORD = 'canary password'
let server: TestRedis
const opened: RedisDatabase[] = []

beforeAll(async () => {
  server = await startRedis({ password: PASSWORD })
})

afterEach(async () => {
  for (const redis of opened.splice(0)) await redis.close()
})

afterAll(() => server?.stop())

async function open(...args: Parameters<TestRedis['open']>): Promise<RedisDatabase> {
  const redis = await server.open(...args)
  opened.push(redis)
  return redis
}

async function failure(promise: Promise<unknown>): Promise<Error & { why?: string; code?: string }> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    error => error,
  )
}

describe('reading and writing', () => {
  test('keys get the prefix of the instance', async () => {
    const redis = await open({ prefix: 'mstdn:' })
    expect(redis.key('queues')).toBe('mstdn:queues')
    expect(await redis.write('SADD', redis.key('queues'), 'default')).toBe(1)
    expect(await redis.read('SMEMBERS', 'mstdn:queues')).toEqual(['default'])
  })

  test('the database of the target is the one that is read', async () => {
    const [one, two] = [await open({ database: 1 }), await open({ database: 2 })]
    await one.write('SET', 'where', 'one')
    expect(await one.read('GET', 'where')).toBe('one')
    expect(await two.read('GET', 'where')).toBeNull()
  })

  test('a write is recorded as it would be typed', async () => {
    const ledger = new Ledger()
    const redis = await open({}, { ledger })
    await redis.write('SET', 'name', "o'hara $(id)")
    const exact = `SET name 'o'\\''hara $(id)'`
    expect(ledger.entries).toEqual([{ kind: 'redis', exact, byHand: `redis-cli ${exact}` }])
  })

  test('a dry run records the write and does not send it', async () => {
    const ledger = new Ledger()
    const redis = await open({}, { ledger, dryRun: true })
    expect(await redis.write('SET', 'planned', '1')).toBeNull()
    expect(ledger.entries).toHaveLength(1)
    expect(await redis.read('GET', 'planned')).toBeNull()
  })

  test('a write can be told in other words', async () => {
    const ledger = new Ledger()
    const redis = await open({}, { ledger })
    await redis.writeAs({ exact: 'the script', byHand: 'the console' }, 'SET', 'a', 'b')
    expect(ledger.entries).toEqual([{ kind: 'redis', exact: 'the script', byHand: 'the console' }])
  })

  test('an error of the server shows no argument', async () => {
    const redis = await open()
    await redis.write('SET', 'text', 'x')
    const error = await failure(redis.write('LPUSH', 'text', 'canary-argument'))
    expect(error).toBeInstanceOf(UnforeseenError)
    expect(error.why).toMatch(/WRONGTYPE/)
    expect(JSON.stringify([error.message, error])).not.toContain('canary')
  })

  test('a large value goes through a stream that is no socket', async () => {
    const target = { password: PASSWORD, database: 0, prefix: '' }
    const connector = redisConnectorTo(target, async () => relayTo(server.port))
    const redis = await openRedis(connector, { ledger: new Ledger(), dryRun: false })
    opened.push(redis)
    const value = 'x'.repeat(3_000_000)
    await redis.write('SET', 'large', value)
    expect(await redis.read('GET', 'large')).toBe(value)
  })
})

describe('connecting', () => {
  test.each<[string, object, RegExp]>([
    ['a wrong password', { password: 'canary-wrong' }, /password or the user name was refused/],
    ['no password', { password: undefined }, /wants a password/],
    ['a port where nothing listens', { port: 1 }, /nothing listens/],
    ['an unknown host', { host: 'no-such-host.invalid' }, /host name/],
    ['a missing socket', { host: '/nonexistent/redis.sock' }, /no such socket/],
    ['a server without TLS', { tls: 'accept-any' }, /TLS failed/],
  ])('%s is refused with its cause', async (_title, changes, cause) => {
    const error = await failure(server.open(changes))
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toMatch(cause)
    expect(JSON.stringify([error.message, error])).not.toContain('canary')
  })

  test.each<[string, string, 'close' | 'wait', RegExp]>([
    ['text of another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'wait', /does not speak Redis/],
    ['the text of a failed relay', 'OCI runtime exec failed: exec failed', 'close', /does not speak Redis/],
    ['nothing at all', '', 'close', /does not speak Redis/],
    ['a server that loads', '-LOADING Redis is loading the dataset in memory\r\n', 'wait', /still loading/],
    ['protected mode', '-DENIED Redis is running in protected mode\r\n', 'close', /protected mode/],
  ])('%s in place of an answer is refused at once', async (_title, bytes, then, cause) => {
    const { port, server: other } = await answering(bytes, then)
    const error = await failure(server.open({ port, password: undefined }))
    other.close()
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toMatch(cause)
  })

  test('a password that the server does not want is no obstacle', async () => {
    const plain = await startRedis()
    const redis = await plain.open({ password: 'not needed' })
    expect(await redis.read('PING')).toBe('PONG')
    await redis.close()
    await plain.stop()
  })
})

describe('a server that cannot or will not', () => {
  test('refuses writes when its memory is full', async () => {
    const redis = await open()
    await redis.write('CONFIG', 'SET', 'maxmemory', '1')
    const error = await failure(redis.write('SET', 'more', 'x'))
    await redis.write('CONFIG', 'SET', 'maxmemory', '0')
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.why).toMatch(/memory limit/)
  })

  test('refuses writes as a replica', async () => {
    const redis = await open()
    await redis.write('REPLICAOF', '127.0.0.1', '1')
    const error = await failure(redis.write('SET', 'more', 'x'))
    await redis.write('REPLICAOF', 'NO', 'ONE')
    expect(error.why).toMatch(/replica/)
  })

  test('is gone: a write’s outcome is unknown, a read changed nothing, and nobody connects again', async () => {
    const doomed = await startRedis()
    const redis = await doomed.open()
    const writing = failure(redis.write('BLPOP', 'never', '0'))
    const other = await doomed.open()
    const reading = failure(other.read('BLPOP', 'never', '0'))
    await wait(100)
    await doomed.stop()
    expect(await writing).toBeInstanceOf(OutcomeUnknownError)
    expect(await reading).toBeInstanceOf(RefusedError)
    expect(await failure(other.read('PING'))).toBeInstanceOf(RefusedError)
    await Promise.all([redis.close(), other.close()])
  })
})
