import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { redisKeysOf } from '../../../src/lib/mastodon/redis-keys.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { RedisDatabase } from '../../../src/lib/redis/access.js'
import { countOwned, globSource, type Ownership, unlinkOwned } from '../../../src/lib/redis/owned.js'
import { startRedis, type TestRedis } from '../../support/redis.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const ALL = { version: MastodonVersion.of('4.7.2'), roles: ['main', 'sidekiq', 'cache'] } as const
const NONE = { feeds: 0, cache: 0, jobs: 0, sidekiq: 0, volatile: 0, lasting: 0 }

/** What lies in a Redis, as releases write it, with its kind. */
const MASTODONS: readonly [kind: keyof typeof NONE, key: string][] = [
  ['feeds', 'feed:home:109876543210987654'],
  ['feeds', 'feed:home:109876543210987654:reblogs'],
  ['feeds', 'feed:list:7:reblogs:110000000000000001'],
  ['jobs', 'queue:default'],
  ['jobs', 'queue:ingress'],
  ['jobs', 'schedule'],
  ['jobs', 'retry'],
  ['jobs', 'dead'],
  ['sidekiq', 'queues'],
  ['sidekiq', 'processes'],
  ['sidekiq', 'stat:processed'],
  ['sidekiq', 'stat:failed:2026-07-01'],
  ['sidekiq', 'ab12cd34:1:0123456789ab'],
  ['sidekiq', 'worker.1:4:0123456789ab:work'],
  ['sidekiq', 'ab12cd34:1:0123456789ab:workers'],
  ['sidekiq', 'ab12cd34:1:0123456789ab-signals'],
  ['sidekiq', 'j|20260701|5:4'],
  ['sidekiq', 'h|ActivityPub::DeliveryWorker-1-5:4'],
  ['sidekiq', 'uniquejobs:0123456789abcdef0123456789abcdef:LOCKED'],
  ['sidekiq', 'sidekiq-scheduler:next_times'],
  ['volatile', 'lock:create:https://example.com/1'],
  ['volatile', 'vote:1:2'],
  ['volatile', 'rate_limit:1:follows:20000'],
  ['volatile', 'trending_tags:used:1780000000'],
  ['volatile', 'activity:tags:5:1780000000:accounts'],
  ['volatile', 'subscribed:timeline:1'],
  ['volatile', 'account:1:regeneration'],
  ['volatile', 'stoplight:v5:failures:object-storage'],
  ['lasting', 'activity:logins:1780000000'],
  ['lasting', 'antispam:spammy_texts'],
]

/** Of other applications: names that come near. */
const OTHERS = [
  ...['feed', 'feed:home', 'feeds:home:1', 'feed:rss:latest', 'my:feed:home:1', 'lock:cron', 'lock', 'vote:1', 'jobs'],
  ...['account:settings', 'activity:log', 'activity:tags:ruby', 'queue', 'queued', 'schedule:daily', 'retry-after'],
  ...[
    'host:1:0123456789AB',
    'host:x:0123456789ab',
    'host:1:0123456789abc',
    'session:1',
    'rack::attack:1:x',
    'a\nfeed:home:1',
  ],
  ...[
    'fetch:page',
    'create:user',
    'cached',
    'uniquejobsx',
    'j|x',
    'Cache:1',
    'wordpress:cache:1',
    'other:queue:default',
  ],
]

let server: TestRedis
let redis: RedisDatabase

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server?.stop())

async function fill(keys: readonly (string | Buffer)[]): Promise<void> {
  await Promise.all(keys.map(key => redis.writeAs({}, 'SET', key, 'x')))
}

async function names(): Promise<string[]> {
  return ((await redis.read('KEYS', '*')) as string[]).toSorted()
}

describe.each(['', 'town:', 'a*[b]?:', 'straße:'])('with the prefix "%s"', prefix => {
  const cache = `${prefix === '' ? '' : `${prefix.slice(0, -1)}_`}cache:statuses/1`
  const ours = [...MASTODONS.map(([, key]) => prefix + key), cache]
  const counts = { ...NONE, cache: 1 }
  for (const [kind] of MASTODONS) counts[kind] += 1

  beforeEach(async () => {
    redis = await server.open({ prefix })
    await redis.write('FLUSHALL')
    await fill([...ours, ...OTHERS])
  })

  afterEach(() => redis.close())

  test('every key of Mastodon’s is counted with its kind, every other one as none', async () => {
    expect(await countOwned(redis, ALL)).toEqual({ byKind: counts, others: OTHERS.length })
  })

  test('what is removed is of the kinds that were named, and nothing else', async () => {
    const kinds = ['feeds', 'cache', 'sidekiq', 'volatile', 'lasting'] as const
    expect(await unlinkOwned(redis, ALL, kinds)).toEqual({ ...counts, jobs: 0 })
    const jobs = MASTODONS.filter(([kind]) => kind === 'jobs').map(([, key]) => prefix + key)
    expect(await names()).toEqual([...OTHERS, ...jobs].toSorted())
    expect(await unlinkOwned(redis, ALL, kinds)).toEqual(NONE)
  })

  test('a dry run counts, removes nothing, and has a line for each kind', async () => {
    const ledger = new Ledger()
    const dry = await server.open({ prefix }, { ledger, dryRun: true })
    expect(await unlinkOwned(dry, ALL, ['feeds', 'cache'])).toEqual({ ...NONE, feeds: 3, cache: 1 })
    await dry.close()
    expect(await names()).toHaveLength(ours.length + OTHERS.length)
    expect(ledger.entries.map(({ exact }) => exact.replace(/: .*/, ''))).toEqual([
      'UNLINK … (3 keys of kind feeds',
      'UNLINK … (1 keys of kind cache',
    ])
  })
})

describe('with a Redis of its own', { timeout: FULL ? 180_000 : 30_000 }, () => {
  beforeEach(async () => {
    redis = await server.open()
    await redis.write('FLUSHALL')
  })

  afterEach(() => redis.close())

  test('a server holds what its roles say: another Sidekiq beside the main server is not Mastodon’s', async () => {
    await fill(['feed:home:1', 'queues', 'cache:1', 'queue:default'])
    const owned: Ownership = { ...ALL, roles: ['main', 'cache'] }
    expect(await countOwned(redis, owned)).toEqual({ byKind: { ...NONE, feeds: 1, cache: 1 }, others: 2 })
    await unlinkOwned(redis, owned, ['feeds', 'cache', 'sidekiq'])
    expect(await names()).toEqual(['queue:default', 'queues'])
  })

  test('a version knows only what it and those before it write', async () => {
    await fill(['notif-group/1/favourite', 'feed:home:1'])
    const old = { ...ALL, version: MastodonVersion.of('1.3.3') }
    expect(await countOwned(redis, old)).toEqual({ byKind: { ...NONE, feeds: 1 }, others: 1 })
  })

  test('keys of this tool are neither Mastodon’s nor another’s', async () => {
    await fill(['mstdn-ops:replayed:1'])
    expect(await countOwned(redis, ALL)).toEqual({ byKind: NONE, others: 0 })
  })

  test('names that are no text are told apart and removed byte for byte', async () => {
    const [ours, other] = [Buffer.from('cache:\xff\xfe', 'latin1'), Buffer.from('x:\xff', 'latin1')]
    await fill([ours, other])
    expect(await unlinkOwned(redis, ALL, ['cache'])).toEqual({ ...NONE, cache: 1 })
    expect(await redis.readBytes('KEYS', '*')).toEqual([other])
  })

  test('many keys go in batches, told once, and the progress is told', async () => {
    const many = FULL ? 200_000 : 5_000
    await redis.write('EVAL', `for i = 1, ${many} do redis.call('SET', 'feed:home:' .. i, 1) end`, 0)
    await fill(['session:1'])
    const ledger = new Ledger()
    const told = await server.open({}, { ledger })
    const steps: number[] = []
    expect(await unlinkOwned(told, ALL, ['feeds'], { onProgress: removed => steps.push(removed) })).toEqual({
      ...NONE,
      feeds: many,
    })
    await told.close()
    expect(ledger.entries).toEqual([
      {
        kind: 'redis',
        exact: `UNLINK … (${many} keys of kind feeds: feed:[a-z]*:[0-9]*)`,
        byHand:
          `for pattern in 'feed:[a-z]*:[0-9]*'; do redis-cli --scan --pattern "$pattern" | ` +
          `xargs -r -d '\\n' redis-cli UNLINK; done`,
      },
    ])
    expect(steps.length).toBeGreaterThanOrEqual(many / 500)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    expect(steps.at(-1)).toBe(many)
    expect(await names()).toEqual(['session:1'])
  })

  test('every pattern matches here what it matches in Redis', async () => {
    const globs = [...new Set(redisKeysOf(ALL.version).flatMap(keys => keys.globs))]
    await fill([...MASTODONS.map(([, key]) => key), ...OTHERS])
    const all = await names()
    for (const glob of globs) {
      const there = ((await redis.read('KEYS', glob)) as string[]).toSorted()
      expect([glob, all.filter(name => matches(glob, name))]).toEqual([glob, there])
    }
  })

  test('so does any other', async () => {
    const part = fc.constantFrom(
      'a',
      'b',
      '-',
      '.',
      ':',
      '*',
      '?',
      '[ab]',
      '[^a]',
      '[a-c]',
      '\\*',
      '\\[',
      '\\-',
      '(',
      '|',
      '\n',
    )
    const text = fc.array(fc.constantFrom('a', 'b', '-', '.', ':', '*', '[', '(', '|', '\n'), {
      minLength: 1,
      maxLength: 6,
    })
    const glob = fc.array(part, { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(glob, fc.array(text, { minLength: 1, maxLength: 8 }), async (parts, texts) => {
        await redis.write('FLUSHALL')
        const all = [...new Set(texts.map(chars => chars.join('')))]
        await fill(all)
        const there = ((await redis.read('KEYS', parts.join(''))) as string[]).toSorted()
        expect(all.filter(name => matches(parts.join(''), name)).toSorted()).toEqual(there)
      }),
      { numRuns: FULL ? 5_000 : 60 },
    )
  })
})

function matches(glob: string, name: string): boolean {
  return new RegExp(`^(?:${globSource(glob)})$`, 's').test(Buffer.from(name).toString('latin1'))
}

test('a server that knows no UNLINK is sent DEL', async () => {
  const old = await startRedis({ settings: ['rename-command UNLINK ""'] })
  redis = await old.open()
  await fill(['feed:home:1', 'session:1'])
  expect(await unlinkOwned(redis, ALL, ['feeds'])).toEqual({ ...NONE, feeds: 1 })
  expect(await names()).toEqual(['session:1'])
  await redis.close()
  await old.stop()
})
