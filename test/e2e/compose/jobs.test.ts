import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { type Stack, startStack } from './bed/bed.js'

// Beside other stacks on a small machine each process takes its time.
vi.setConfig({ testTimeout: 180_000 })

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3' })
  // Listened to, but left alone, so that its jobs can be counted.
  await stack.redis('SADD', 'standin:paused', 'default', 'ingress', 'push', 'pull', 'mailers')
})
afterAll(() => stack?.stop())

const ops = (...words: string[]): Promise<CliResult> => cli([...words, '-C', stack.projectDir])
const json = async (...words: string[]) => JSON.parse((await ops(...words, '--json')).stdout)
const size = async (queue: string) => Number(await stack.redis('LLEN', `queue:${queue}`))

async function fill(queue: string, jobs: number): Promise<void> {
  await stack.redis('SADD', 'queues', queue)
  const job = JSON.stringify({ class: 'Worker', args: [], queue, jid: 'x', enqueued_at: Date.now() })
  await stack.redis('LPUSH', `queue:${queue}`, ...Array.from({ length: jobs }, () => job))
}

test('jobs shows queues, processes and counts', async () => {
  const overview = await json('jobs')
  const names = overview.queues.map((queue: { name: string }) => queue.name)
  expect(names).toEqual(expect.arrayContaining(['default', 'push', 'ingress', 'mailers', 'pull', 'scheduler', 'fasp']))
  expect(overview.processes).toHaveLength(1)
  expect(overview.stats).toMatchObject({ retry: expect.any(Number), dead: 1 })
  expect(overview.queues.every((queue: { listeners: number }) => queue.listeners === 1)).toBe(true)
})

test('jobs:retry moves what failed to its queue, the first so many or all', async () => {
  const failed = Number(await stack.redis('ZCARD', 'retry'))
  expect(failed).toBeGreaterThan(1)
  const dry = await json('jobs:retry', '--dry-run')
  expect({ dry: dry.changes.length, left: Number(await stack.redis('ZCARD', 'retry')) }).toEqual({
    dry: 1,
    left: failed,
  })
  expect((await json('jobs:retry', '--limit', '1')).result).toEqual({ moved: 1, unreadable: 0 })
  expect((await json('jobs:retry')).result.moved).toBe(failed - 1)
  const none = await json('jobs:retry')
  expect({ changes: none.changes, state: none.steps[0].state }).toEqual({ changes: [], state: 'skipped' })
})

test('jobs:clear says what is lost, and wants a yes', async () => {
  await fill('ingress', 4)
  const { exitCode, stderr } = await ops('jobs:clear', 'ingress')
  expect({ exitCode, left: await size('ingress') }).toEqual({ exitCode: 2, left: 4 })
  expect(stderr).toContain('4 jobs in the queue ingress will be thrown away. What other servers sent is lost for ever')
  const { result } = await json('jobs:clear', 'ingress', '--yes')
  expect({ result, left: await size('ingress') }).toEqual({ result: { queue: 'ingress', dropped: 4 }, left: 0 })
})

test('jobs:clear in a dry run drops nothing', async () => {
  await fill('push', 2)
  expect((await ops('jobs:clear', 'push', '--dry-run')).stdout).toContain('Point of no return')
  expect(await size('push')).toBeGreaterThanOrEqual(2)
})

test.each(['constructor', '\u001b[31mpull'])('there is no queue %j', async queue => {
  const { exitCode, stderr } = await ops('jobs:clear', queue, '--yes')
  expect(exitCode).toBe(2)
  expect(stderr).toContain('There are: ')
  expect(stderr).not.toContain('\u001b')
})

test('jobs:run runs a job by its name or its class, as this version has it', async () => {
  const { byHand } = await json('jobs:run', 'vacuum')
  expect(byHand[0]).toContain('bundle exec rails runner Scheduler::VacuumScheduler.new.perform')
  expect(await stack.redis('EXISTS', 'standin:ran:Scheduler::VacuumScheduler')).toBe('1')
  expect((await ops('jobs:run', 'Scheduler::PgheroScheduler')).exitCode).toBe(0)
})

test.each(['media-cleanup', 'vacuum; exit'])('this version has no job %j', async name => {
  const { exitCode, stderr } = await ops('jobs:run', name)
  expect(exitCode).toBe(3)
  expect(stderr).toContain('Choose one of: ')
})

test('what is wrong is said, and with --check is exit code 7', async () => {
  const old = { class: 'Worker', args: [], queue: 'pull', enqueued_at: Date.now() - 3_600_000 }
  await stack.redis('SADD', 'queues', 'pull', 'nobody')
  await stack.redis('RPUSH', 'queue:pull', JSON.stringify(old))
  await stack.redis('LPUSH', 'queue:nobody', 'no job at all')
  const { stdout, exitCode } = await ops('jobs', '--check')
  expect(exitCode).toBe(7)
  expect(stdout).toMatch(/^! The queue pull is behind: \d+ jobs?, the oldest for 60 min; 1 process takes them\.$/m)
  expect(stdout).toMatch(/^nobody +1 +unknown +0 \(nobody listens\)$/m)
  expect((await ops('jobs')).exitCode).toBe(0)
})

test('without Sidekiq nothing is worked off', async () => {
  await stack.compose('stop', 'sidekiq')
  const { stdout, exitCode } = await ops('jobs', '--check')
  expect(exitCode).toBe(7)
  expect(stdout).toContain('! No Sidekiq process runs: nothing is worked off.')
  expect(stdout, 'one line says it all').not.toContain('Nobody takes jobs')
  expect(stdout).toMatch(/^scheduler +0 .*nobody listens/m)
})
