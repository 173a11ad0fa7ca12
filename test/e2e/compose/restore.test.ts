import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Stack, startStack } from './bed/bed.js'
import { BrokenRun } from './broken-run.js'

const PATIENCE = 240_000
const OTHERS = 'another:application'

let stack: Stack
let story: BrokenRun
let backup: string

beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', streaming: false })
  story = new BrokenRun(stack)
  const made = await story.tool('db:backup', '--json')
  backup = (JSON.parse(made.stdout) as { result: { path: string } }).result.path
}, 300_000)
afterAll(async () => {
  story?.remove()
  await stack?.stop()
})

/** The live database has a post more than the backup, a job waits, and another application keeps a key in Redis. */
beforeEach(async () => {
  await story.tool('db:discard', '--yes')
  await stack.psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local)
    SELECT 'after', 1, now(), now(), true WHERE NOT EXISTS (SELECT FROM statuses WHERE text = 'after')`)
  await stack.redis('SET', OTHERS, 'kept')
})

/** Which state the live database is in: nothing in between is an answer. */
async function state(): Promise<'live' | 'restored'> {
  return (await stack.psql("SELECT count(*) FROM statuses WHERE text = 'after'")) === '1' ? 'live' : 'restored'
}

function databases(pattern: string): Promise<string> {
  return stack.psql(`SELECT count(*) FROM pg_database WHERE datname LIKE '${pattern}'`)
}

/** The site serves, with the state that it should have, and nothing half done lies about. */
async function expectServing(wanted: 'live' | 'restored', kept = wanted === 'live' ? '0' : '1'): Promise<void> {
  expect(await state()).toBe(wanted)
  const states = (await stack.containers()).map(one => [one.service, one.state, one.health]).sort()
  expect(states.filter(([service]) => ['web', 'sidekiq'].includes(service ?? ''))).toEqual([
    ['sidekiq', 'running', 'healthy'],
    ['web', 'running', 'healthy'],
  ])
  expect(await databases('mstdn_ops_new%')).toBe('0')
  expect(await databases('mstdn_ops_kept%')).toBe(kept)
  expect(await stack.redis('GET', OTHERS)).toBe('kept')
  expect(await stack.logs('db')).not.toContain('terminating any other active server processes')
}

describe('db:restore', { timeout: PATIENCE }, () => {
  test('puts the backup in place of the live database, keeps that, and rollback puts it back', async () => {
    await stack.redis(
      'LPUSH',
      'queue:pull',
      '{"class":"SleepingWorker","args":[0],"jid":"b","queue":"pull","enqueued_at":1}',
    )
    const newest = await stack.psql('SELECT max(id) FROM statuses')
    const refused = await story.tool('db:restore', backup, '--confirm', 'other.example')
    expect(refused).toMatchObject({ exitCode: 3 })
    const restored = await story.tool('db:restore', 'latest', '--confirm', stack.domain, '--drain', '1s', '--json')
    expect(restored.exitCode, restored.stderr + restored.stdout).toBe(0)
    const { result, byHand } = JSON.parse(restored.stdout) as {
      result: { jobsAside: { total: number; file: string }; goneMedia: object }
      byHand: string[]
    }
    await expectServing('restored')
    const lines = (word: string) => byHand.filter(line => line.includes(word))
    expect(lines('pg_restore'), byHand.join('\n')).toHaveLength(1)
    expect(lines('setval'), 'one line, not one for each sequence').toHaveLength(1)
    expect(result.goneMedia).toMatchObject({ looked: expect.any(Number), whole: true })
    expect(result.jobsAside.total).toBeGreaterThan(0)
    expect(readFileSync(result.jobsAside.file, 'utf8')).toContain('SleepingWorker')
    const next = await stack.psql(
      'INSERT INTO mentions (status_id, account_id, created_at, updated_at) SELECT min(id), 1, now(), now() FROM statuses RETURNING id',
    )
    expect(Number(next.split('\n')[0])).toBeGreaterThan(1000)
    expect(BigInt(await stack.psql("SELECT nextval('statuses_id_seq')"))).toBeGreaterThan(0n)
    expect(newest).not.toBe('')
    expect(await story.tool('rollback', '--confirm', stack.domain, '--drain', '1s')).toMatchObject({ exitCode: 0 })
    expect(await state()).toBe('live')
    expect(await databases('mstdn_ops_kept%'), 'what was live is kept in turn').toBe('1')
    expect(await story.tool('db:discard', '--yes')).toMatchObject({ exitCode: 0 })
    await expectServing('live')
  })

  test('is refused where somebody else is connected, named with program and address, and all runs again', async () => {
    const container = await stack.containerOf('db')
    const stranger = spawn('docker', [
      'exec',
      container,
      'psql',
      '-U',
      'postgres',
      '-c',
      'SELECT pg_sleep(120)',
      stack.database,
    ])
    await expect
      .poll(() => stack.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120)'"))
      .not.toBe('0')
    try {
      const refused = await story.tool('db:restore', backup, '--confirm', stack.domain, '--drain', '1s')
      expect(refused.exitCode, refused.stderr).toBe(4)
      expect(refused.stderr).toContain('psql as postgres from')
    } finally {
      stranger.kill('SIGKILL')
      await stack.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120)' AND pid <> pg_backend_pid()",
      )
    }
    await expectServing('live')
  })
})

describe('the secrets', { timeout: PATIENCE }, () => {
  test('is refused with other secrets, by name and without a value', async () => {
    const value = 'f'.repeat(128)
    await stack.writeEnv({ SECRET_KEY_BASE: value })
    const former = /^SECRET_KEY_BASE=(.*)$/m.exec(readFileSync(join(stack.projectDir, '.env.production'), 'utf8'))
    await stack.compose('up', '-d', '--wait', 'web')
    const refused = await story.tool('db:restore', backup, '--confirm', stack.domain)
    expect(refused).toMatchObject({ exitCode: 3 })
    expect(refused.stderr).toContain('SECRET_KEY_BASE is another')
    expect(refused.stderr + refused.stdout).not.toContain(value)
    expect(former?.[1]).toBe(value)
  })
})
