import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openBackup } from '../../../src/lib/backups/store.js'
import { problemWithFiles } from '../../../src/lib/backups/verify.js'
import { type Stack, startStack } from './bed/bed.js'
import { must } from './bed/process.js'
import { BrokenRun, type Underway } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 400_000
const LARGE = 2_000_000_000

const project = mkdtempSync(join(tmpdir(), 'mstdn-ops-disturbed-'))
const disk = join(project, 'postgres14')
let stack: Stack
let story: BrokenRun
let backup: string

/** The database lies on a disk of its own, and its restore can be held in three places. */
beforeAll(async () => {
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${LARGE}`, 'tmpfs', disk])
  stack = await startStack({ version: '4.5.3', variant: 'lean', streaming: false, projectDir: project })
  story = new BrokenRun(stack)
  await stack.psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local, uri)
    SELECT repeat(md5(n::text), 10), 1, now(), now(), false, 'https://remote.example/' || n FROM generate_series(1, 20000) n;
    CREATE FUNCTION hold(place text, id bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
      WHILE (pg_stat_file('/tmp/' || place, true)).size IS NOT NULL LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN id; END $$;
    CREATE TABLE a_held (id bigint CHECK (public.hold('early', id) > 0));
    CREATE TABLE z_held (id bigint CHECK (public.hold('middle', id) > 0));
    CREATE INDEX z_held_late ON z_held (public.hold('late', id));
    INSERT INTO a_held VALUES (1); INSERT INTO z_held VALUES (1)`)
  const made = await story.tool('db:backup', '--json')
  backup = (JSON.parse(made.stdout) as { result: { path: string } }).result.path
  await stack.psql(
    `INSERT INTO statuses (text, account_id, created_at, updated_at, local) VALUES ('after', 1, now(), now(), true)`,
  )
}, 300_000)
afterAll(async () => {
  story?.remove()
  // What stands in the containers' own view of it goes with them.
  execFileSync('umount', ['-l', disk])
  await stack?.stop()
  rmSync(project, { recursive: true })
})

const databases = (like: string) => stack.psql(`SELECT datname FROM pg_database WHERE datname LIKE '${like}'`)
const words = () => ['db:restore', backup, '--confirm', stack.domain, '--drain', '1s']

function resize(bytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${Math.ceil(bytes / 4096) * 4096}`, disk])
}

function used(): number {
  const { blocks, bfree, bsize } = statfsSync(disk)
  return (blocks - bfree) * bsize
}

async function untilAnswered(): Promise<void> {
  await expect.poll(() => stack.psql('SELECT 1').catch(() => ''), { timeout: 120_000, interval: 500 }).toBe('1')
}

/** The site serves the state that it had, nothing half done lies about, and the backup is what it was. */
async function expectAsBefore(): Promise<void> {
  expect(await stack.psql("SELECT count(*) FROM statuses WHERE text = 'after'")).toBe('1')
  expect(await stack.psql('SELECT count(*) FROM statuses')).toBe('20161')
  const page = async () => (await stack.exec('web', ['curl', '-s', 'localhost:3000/db'])).stdout
  await expect.poll(page, { timeout: 60_000, interval: 500 }).toBe('1')
  const states = (await stack.containers()).map(({ service, state }) => `${service} ${state}`).sort()
  expect(states).toEqual(['db running', 'redis running', 'sidekiq running', 'web running'])
  expect(await databases('mstdn_ops%')).toBe('')
  expect(await problemWithFiles(await openBackup(backup))).toBeUndefined()
}

/** The exit code is the truth: 4 says that all was taken back, 5 and 8 that resume takes back the rest, once it can. */
async function expectTakenBack(exitCode: number, said: string): Promise<void> {
  expect([4, 5, 8], said).toContain(exitCode)
  if (exitCode !== 4) {
    expect(said).toContain('mstdn-ops resume --undo')
    const gone = await story.tool('resume', '--undo')
    expect(gone.exitCode, gone.stderr).toBe(0)
  }
  expect(await story.lastEnded()).toBe('undone')
  await expectAsBefore()
}

/** Where a restore can be held, and what pg_restore does there: after a tenth, half, and nearly all of what it writes. */
const PLACES = { early: 'COPY public.a_held', middle: 'COPY public.z_held', late: 'CREATE INDEX z_held' }
type Place = keyof typeof PLACES
const PARTS: readonly Place[] = ['early', 'middle', 'late']

/** Starts a restore, and returns when it is held there. */
async function heldAt(place: Place): Promise<Underway> {
  await stack.exec('db', ['touch', `/tmp/${place}`])
  const run = story.start(words())
  const there = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '${PLACES[place]}%'`
  await expect.poll(() => stack.psql(there), { timeout: 60_000, interval: 100 }).toBe('1')
  return run
}

function letGo(place: Place) {
  return stack.exec('db', ['rm', '-f', `/tmp/${place}`])
}

describe('db:restore', { timeout: PATIENCE }, () => {
  afterEach(async () => {
    resize(LARGE)
    await untilAnswered()
    await stack.exec('db', ['rm', '-f', ...Object.keys(PLACES).map(place => `/tmp/${place}`)])
  })

  test.each<Place>(FULL ? PARTS : ['middle'])('with a disk that is full %s on', async place => {
    const run = await heldAt(place)
    resize(used())
    await letGo(place)
    // Once it is late: nobody makes room while the tool waits for a server that has stopped.
    if (place !== 'late') await run.until('waiting for the server').catch(() => undefined)
    else await run.ended
    resize(LARGE)
    const exitCode = await run.ended
    await untilAnswered()
    await expectTakenBack(exitCode, run.said())
  })

  test('stops before the disk is full, which would stop the server', async () => {
    const crashes = async () => (await stack.logs('db')).split('terminating any other active server processes').length
    const before = await crashes()
    resize(used() + 300_000_000)
    expect(await story.tool(...words()), 'more than the database takes, too little with the log').toMatchObject({
      ...{ exitCode: 3, stderr: expect.stringContaining('There is not enough room for a second database.') },
    })
    resize(LARGE)
    const run = await heldAt('middle')
    resize(used() + 20_000_000)
    expect(await run.ended, run.said()).toBe(4)
    expect(run.said()).toContain('The database’s disk is nearly full')
    expect(await crashes(), 'the server has gone on serving').toBe(before)
    await letGo('middle')
    resize(LARGE)
    await expectTakenBack(4, run.said())
  })

  test.each<Place>(FULL ? PARTS : ['early'])('with a server that is restarted %s on', async place => {
    const run = await heldAt(place)
    await must('docker', ['restart', '-t', '1', await stack.containerOf('db')])
    const exitCode = await run.ended
    await untilAnswered()
    await expectTakenBack(exitCode, run.said())
  })

  /** By the beginning of what is said of the step. */
  const STEPS = ['Compare every', 'Stop web', 'Put the new', 'Remove feeds', 'Start what']

  test.each(FULL ? STEPS : [])('with a server that is restarted in the step "%s"', async title => {
    const run = story.start(words())
    await run.until(title)
    await must('docker', ['restart', '-t', '1', await stack.containerOf('db')])
    const exitCode = await run.ended
    await untilAnswered()
    if (exitCode !== 0) return expectTakenBack(exitCode, run.said())
    expect(await stack.psql("SELECT count(*) FROM statuses WHERE text = 'after'")).toBe('0')
    expect(await story.tool('rollback', '--confirm', stack.domain, '--drain', '1s')).toMatchObject({ exitCode: 0 })
    expect(await story.tool('db:discard', '--yes')).toMatchObject({ exitCode: 0 })
    await expectAsBefore()
  })
})
