import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rdbWatch } from '../../../src/lib/backups/rdb.js'
import { dumpPath, keepRedis, save } from '../../../src/lib/backups/redis.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { localPlace } from '../../support/local-place.js'
import { startRedis, type TestRedis } from '../../support/redis.js'
import { toolboxOf } from '../../support/toolbox-of.js'

const runs = process.env.MSTDN_TEST_FULL ? 1000 : 100
const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-dumps-'))
let server: TestRedis
let redis: RedisDatabase
beforeAll(async () => {
  server = await startRedis()
  redis = await server.open()
  await redis.write('SET', 'kept', 'x'.repeat(300))
})
afterEach(() => redis.write('CONFIG', 'SET', 'rdb-key-save-delay', '0'))
afterAll(async () => {
  await redis?.close()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'none' }),
    error => error,
  )

function answer(dump: Buffer, size = dump.length || 1): Promise<string> {
  const pieces = Array.from({ length: Math.ceil(dump.length / size) }, (_, at) =>
    dump.subarray(at * size, (at + 1) * size),
  )
  return buffer(Readable.from(pieces).pipe(rdbWatch())).then(
    passed => (passed.equals(dump) ? 'taken' : 'changed'),
    error => error.code,
  )
}

describe('a dump on its way', () => {
  let dump: Buffer
  beforeAll(async () => {
    await save(redis)
    dump = readFileSync(await dumpPath(redis))
  })

  test('passes in pieces of any size', async () => {
    for (const size of [1, 2, 7, 8, 9, 10, 17, 100, 100_000]) expect(await answer(dump, size)).toBe('taken')
  })

  test('a byte that is another is noticed', async () => {
    const place = fc.integer({ min: 0, max: dump.length - 1 })
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, bits) => {
        const changed = Buffer.from(dump)
        changed[at] = (changed[at] ?? 0) ^ bits
        expect(await answer(changed, 64)).toBe('redis-dump-damaged')
      }),
      { numRuns: runs },
    )
  })

  test('every cut is noticed', async () => {
    for (let length = 0; length < dump.length; length++)
      expect(await answer(dump.subarray(0, length), 64)).toBe('redis-dump-damaged')
  })

  test('without a checksum its end is looked for', async () => {
    const plain = Buffer.concat([dump.subarray(0, -8), Buffer.alloc(8)])
    expect(await answer(plain)).toBe('taken')
    expect(await answer(Buffer.concat([plain, Buffer.from('x')]))).toBe('redis-dump-damaged')
  })
})

describe('a save', () => {
  test('is a new one: what was written just before is in it', async () => {
    for (const word of ['first', 'second', 'third']) {
      await redis.write('SET', 'word', `canary-${word}`)
      await save(redis)
      expect(readFileSync(await dumpPath(redis)).includes(`canary-${word}`)).toBe(true)
    }
  })

  test('one that is under way is waited for, and another follows', async () => {
    await redis.write('CONFIG', 'SET', 'rdb-key-save-delay', '150000')
    await redis.read('BGSAVE')
    await redis.write('SET', 'word', 'canary-later')
    await redis.write('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    const said: string[] = []
    await save(redis, { onProgress: text => said.push(text) })
    expect(said).toContain('Redis saves')
    expect(readFileSync(await dumpPath(redis)).includes('canary-later')).toBe(true)
  })

  test('one that takes too long is given up', async () => {
    await redis.write('CONFIG', 'SET', 'rdb-key-save-delay', '300000')
    const { code, why } = await failure(save(redis, { limitMs: 150 }))
    expect({ code, why }).toEqual({ code: 'redis-save-failed', why: 'It has not ended within 0 s.' })
    await redis.write('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    while (String(await redis.read('INFO', 'persistence')).includes('rdb_bgsave_in_progress:1')) await sleep(50)
  })

  test('one that failed is refused, though an older dump lies there', async () => {
    const path = await dumpPath(redis)
    await save(redis)
    rmSync(path)
    // A folder in its place: renaming over it fails.
    mkdirSync(path)
    expect(await failure(save(redis))).toMatchObject({ code: 'redis-save-failed' })
    rmSync(path, { recursive: true })
    await save(redis)
  })
})

describe('kept in a backup', () => {
  const toolbox = (database: RedisDatabase, storage: object | undefined): Toolbox => {
    const made = toolboxOf({})
    return { ...made, redis: async () => database, backend: { ...made.backend, ...(storage && { storage }) } as never }
  }
  const beside = { redis: async () => localPlace() }

  test('the dump as it lies there', async () => {
    const { file, redis: told } = await keepRedis(toolbox(redis, beside), { dir })
    const kept = readFileSync(join(dir, 'redis.rdb'))
    expect(kept.equals(readFileSync(await dumpPath(redis)))).toBe(true)
    expect(file).toMatchObject({ name: 'redis.rdb', part: 'redis', bytes: kept.length, encrypted: false })
    expect(told).toEqual({ kept: true, why: null })
  })

  test('an append-only file besides is told', async () => {
    await redis.write('CONFIG', 'SET', 'appendonly', 'yes')
    const folder = mkdtempSync(join(dir, 'aof-'))
    const { redis: told } = await keepRedis(toolbox(redis, beside), { dir: folder })
    await redis.write('CONFIG', 'SET', 'appendonly', 'no')
    expect(told.why).toContain('append-only')
  })

  test('where it does not tell where its dump is, that is the reason', async () => {
    const silent = await startRedis({ settings: ['rename-command CONFIG ""'] })
    const other = await silent.open()
    const { code, why } = await failure(keepRedis(toolbox(other, beside), { dir }))
    await other.close()
    await silent.stop()
    expect(code).toBe('redis-path-unknown')
    expect(why).toContain('CONFIG GET was refused')
  })

  test('where its files are out of reach, the reason is the backend’s', async () => {
    const excuse = { redis: async () => ({ cause: 'it is elsewhere', next: 'go there' }) }
    expect(await failure(keepRedis(toolbox(redis, excuse), { dir }))).toMatchObject({
      code: 'no-redis-files',
      why: 'it is elsewhere',
    })
    expect(await failure(keepRedis(toolbox(redis, undefined), { dir }))).toMatchObject({ code: 'no-such-capability' })
  })

  test('a dump that cannot be read is refused with what cat said', async () => {
    const gone = {
      redis: async () => ({
        ...localPlace(),
        open: (script: never) => localPlace().open({ ...(script as object), args: ['/nowhere/dump.rdb'] } as never),
      }),
    }
    const { code, why } = await failure(keepRedis(toolbox(redis, gone), { dir: mkdtempSync(join(dir, 'gone-')) }))
    expect({ code, why }).toEqual({
      code: 'redis-dump-not-read',
      why: 'cat: /nowhere/dump.rdb: No such file or directory',
    })
  })
})
