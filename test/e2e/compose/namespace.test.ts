import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Stack, startStack } from './bed/bed.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 200_000

let stack: Stack
let story: BrokenRun

beforeAll(async () => {
  const environment = { ES_ENABLED: 'true', ES_HOST: 'nowhere.invalid' }
  stack = await startStack({ version: '4.3.8', variant: 'lean', streaming: false, redisNamespace: 'town', environment })
  story = new BrokenRun(stack)
  // Of another application, which uses the same database.
  await stack.redis('SET', 'session:1', 'kept')
}, 300_000)
afterAll(async () => {
  story?.remove()
  await stack?.stop()
})

const variables = () => readFileSync(join(stack.projectDir, '.env.production'), 'utf8')
const jobs = (prefix: string) =>
  Promise.all([stack.redis('LLEN', `${prefix}queue:pull`), stack.redis('ZCARD', `${prefix}retry`)])

async function expectNamespaced(): Promise<void> {
  expect(await jobs('town:')).toEqual(['3', '2'])
  expect(await jobs('')).toEqual(['0', '0'])
  expect(variables()).toContain('REDIS_NAMESPACE=town')
  expect(await stack.redis('GET', 'session:1')).toBe('kept')
  const sidekiq = (await stack.containers()).find(({ service }) => service === 'sidekiq')
  expect(sidekiq).toMatchObject({ state: 'running', health: 'healthy' })
  expect((await stack.exec('sidekiq', ['printenv', 'REDIS_NAMESPACE'])).stdout.trim()).toBe('town')
}

test(
  'keys of another Mastodon are in the way: nothing is touched',
  async () => {
    await stack.redis('LPUSH', 'queue:default', 'of another')
    const { exitCode, stderr } = await story.tool('redis:drop-namespace', '--yes')
    expect(exitCode, stderr).toBe(3)
    expect(stderr).toContain('jobs: 1')
    await stack.redis('DEL', 'queue:default')
    await expectNamespaced()
  },
  PATIENCE,
)

const PLACES = [
  ['rename', 'started'],
  ['rename', 'acted'],
  ['write', 'acted'],
  ['start', 'acted'],
] as const

test.each(FULL ? PLACES : [])(
  'killed at %s (%s), it is taken back',
  async (step, boundary) => {
    const options = { namespace: 'town', drainSeconds: 1 }
    expect(await story.breakAt('redis:drop-namespace', options, { step, boundary })).toMatchObject({ killed: true })
    const { exitCode, stderr } = await story.tool('resume', '--undo')
    expect(exitCode, stderr).toBe(0)
    await expectNamespaced()
    await story.expectOver('undone')
  },
  PATIENCE,
)

test(
  'jobs, feeds and statistics have names without it, the search keeps its indexes, and Sidekiq works',
  async () => {
    const { exitCode, stdout, stderr } = await story.tool('redis:drop-namespace', '--yes', '--drain', '1s')
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toMatch(/lost the prefix town:/)
    expect(await jobs('')).toEqual(['3', '2'])
    expect(await stack.redis('ZCARD', 'feed:home:2')).toBe('2')
    expect(await stack.redis('--scan', '--pattern', 'town*')).toBe('')
    expect(await stack.redis('GET', 'session:1')).toBe('kept')
    expect(variables()).not.toContain('REDIS_NAMESPACE')
    expect(variables()).toContain('ES_PREFIX=town')
    const doctor = await story.tool('doctor', '--only', 'sidekiq', '--only', 'redis-namespace', '--json')
    expect(doctor.exitCode, doctor.stdout).toBe(0)
    await story.expectOver('done')
  },
  PATIENCE,
)

test('done again there is nothing to do', async () => {
  const { exitCode, stdout } = await story.tool('redis:drop-namespace')
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 })
  expect(stdout).toContain('nothing to do')
})

test.each(FULL ? ['village'] : [])(
  'what is written meanwhile under %s, by a Sidekiq that somebody has started, is not lost',
  async namespace => {
    writeFileSync(join(stack.projectDir, 'namespace.txt'), namespace)
    const set = await story.tool('config:set', 'REDIS_NAMESPACE', '--from-file', 'namespace.txt')
    expect(set.exitCode, set.stderr).toBe(0)
    await stack.redis('FLUSHDB')
    await stack.redis('LPUSH', `${namespace}:queue:nobody-listens`, 'one', 'two')
    const options = { namespace, drainSeconds: 1 }
    const stop = { step: 'rename', boundary: 'after' } as const
    expect(await story.breakAt('redis:drop-namespace', options, stop)).toMatchObject({ killed: true })
    await stack.compose('start', 'sidekiq')
    await expect.poll(() => stack.redis('EXISTS', `${namespace}:processes`), { timeout: 60_000 }).toBe('1')
    await stack.redis('LPUSH', `${namespace}:queue:nobody-listens`, 'three')
    const { exitCode, stderr } = await story.tool('resume')
    expect(exitCode, stderr).toBe(0)
    expect((await stack.redis('LRANGE', 'queue:nobody-listens', '0', '-1')).split('\n').sort()).toEqual([
      'one',
      'three',
      'two',
    ])
    expect(await stack.redis('--scan', '--pattern', `${namespace}*`)).toBe('')
  },
  PATIENCE,
)
