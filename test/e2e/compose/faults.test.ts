import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Boundary } from '../../../src/lib/runbook/run.js'
import { LOG_APPLIED, PENDING, TAKE_BACK } from '../pending-migrations.js'
import { people, type Stack, startStack } from './bed/bed.js'
import { must } from './bed/process.js'
import { BrokenRun, EnvFile } from './broken-run.js'

const [FIRST, SECOND] = PENDING

const FULL = process.env.MSTDN_TEST_FULL === '1'
const BOUNDARIES: readonly Boundary[] = ['before', 'started', 'acted', 'after']
/** What is done about a broken run is tried at one boundary each; `--full` takes every boundary for each. */
const at = (one: Boundary): readonly Boundary[] => (FULL ? BOUNDARIES : [one])
/** Half a minute on a quiet machine is much more than any of this takes; a test machine is not always quiet. */
const PATIENCE = 120_000

const REPLACE = ['keys:vapid', '--replace', '--confirm', 'mastodon.example']

let stack: Stack
let story: BrokenRun

beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', streaming: false })
  await stack.psql(LOG_APPLIED)
}, 300_000)
afterAll(() => stack?.stop())

beforeEach(() => {
  story = new BrokenRun(stack)
})
afterEach(() => story.remove())

/** The migrations that were applied since the test began, each as often as it was. */
async function applied(): Promise<string[]> {
  const rows = await stack.psql('SELECT version FROM applied_log ORDER BY version')
  return rows.split('\n').filter(Boolean)
}

describe('db:migrate', { timeout: PATIENCE }, () => {
  beforeEach(async () => {
    await stack.faults({})
    await stack.psql(TAKE_BACK)
  })
  afterEach(() => stack.faults({}))

  const breakAt = (boundary: Boundary, by?: 'failure') =>
    story.breakAt('db:migrate', { phase: 'all' }, { step: 'migrate', boundary, by })
  const appliedBy = (boundary: Boundary) => boundary === 'acted' || boundary === 'after'

  test.each(at('started'))('killed %s its step goes on by resume, every migration once', async boundary => {
    expect(await breakAt(boundary)).toMatchObject({ killed: true })
    expect(await story.lastEnded()).toBe('unfinished')
    expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
    expect(await applied()).toEqual(PENDING)
    await story.expectOver('done')
  })

  test.each(at('acted'))(
    'killed %s its step is taken back where nothing was applied, or says what stands',
    async boundary => {
      expect(await breakAt(boundary)).toMatchObject({ killed: true })
      const undone = await story.tool('resume', '--undo')
      expect(undone.exitCode, undone.stderr).toBe(appliedBy(boundary) ? 5 : 0)
      expect(await applied()).toEqual(appliedBy(boundary) ? PENDING : [])
      if (!appliedBy(boundary)) return story.expectOver('undone')
      expect(undone.stderr).toContain(`2 migrations were applied and cannot be taken back: ${FIRST}, ${SECOND}`)
      expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
      expect(await applied()).toEqual(PENDING)
      await story.expectOver('done')
    },
  )

  test.each(at('acted'))('failing %s its step is undone, or says what stands and goes on by resume', async boundary => {
    const ended = await breakAt(boundary, 'failure')
    expect(ended).toMatchObject({ killed: false, exitCode: appliedBy(boundary) ? 5 : 4 })
    if (!appliedBy(boundary)) await story.expectOver('undone')
    expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
    expect(await applied()).toEqual(appliedBy(boundary) ? PENDING : [])
    await story.expectOver(appliedBy(boundary) ? 'done' : 'undone')
  })

  test('a migration that fails is named, the one before it stands, and resume goes on when it is mended', async () => {
    await stack.faults({ STANDIN_FAIL_MIGRATION: SECOND })
    const failed = await story.tool('db:migrate')
    expect(failed.exitCode).toBe(5)
    expect(failed.stderr).toContain(`1 migration is still pending, ${SECOND} first.`)
    expect(failed.stderr).toContain(`cannot be taken back: ${FIRST}`)
    await stack.faults({})
    expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
    expect(await applied()).toEqual(PENDING)
    await story.expectOver('done')
  })

  test('the first migration fails: nothing was changed, and no run is left open', async () => {
    await stack.faults({ STANDIN_FAIL_MIGRATION: FIRST })
    expect(await story.tool('db:migrate')).toMatchObject({ exitCode: 4 })
    expect(await applied()).toEqual([])
    await story.expectOver('undone')
  })

  describe('in the middle of a long migration', () => {
    beforeEach(() => stack.faults({ STANDIN_SLEEP_MIGRATION: `${FIRST}:8` }))

    async function killInside(): Promise<void> {
      const run = story.start(['db:migrate'])
      await run.until('1 of 2')
      run.signal('SIGKILL')
      await run.ended
      expect(await story.ownContainers()).toHaveLength(1)
    }

    test('killed, it is found again by resume, waited for, and run once', async () => {
      await killInside()
      expect(await story.tool('db:migrate'), 'nothing else is begun').toMatchObject({ exitCode: 3 })
      const begun = await story.ownContainers()
      const resumed = story.start(['resume'])
      await sleep(1_500)
      expect(await story.ownContainers(), 'no second one was started').toEqual(begun)
      expect(await resumed.ended, resumed.said()).toBe(0)
      expect(await applied()).toEqual(PENDING)
      await story.expectOver('done')
    })

    test('killed together with its container, it is begun anew by resume', async () => {
      await killInside()
      await must('docker', ['kill', ...(await story.ownContainers())])
      await stack.faults({})
      const resumed = await story.tool('resume')
      expect(resumed.exitCode, resumed.stderr).toBe(0)
      expect(await applied()).toEqual(PENDING)
      await story.expectOver('done')
    })

    test('killed, resume --undo waits for it and says what it has done', async () => {
      await killInside()
      expect(await story.tool('resume', '--undo')).toMatchObject({ exitCode: 5 })
      expect(await applied()).toEqual(PENDING)
      expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
      await story.expectOver('done')
    })

    test.each(FULL ? (['SIGINT', 'SIGTERM', 'SIGHUP'] as const) : (['SIGINT'] as const))(
      '%s never cuts it off: it is finished, exit 0',
      async signal => {
        const run = story.start(['db:migrate'])
        await run.until('1 of 2')
        run.signal(signal)
        expect(await run.ended, run.said()).toBe(0)
        expect(await applied()).toEqual(PENDING)
        await story.expectOver('done')
      },
    )
  })
})

describe('keys:vapid --replace', { timeout: PATIENCE }, () => {
  let file: EnvFile
  beforeEach(() => {
    file = new EnvFile(stack)
  })
  afterEach(() => file.removeCopies())

  // The scripted instance of test/lib/runbooks/config goes through all; here the two that change something do.
  const STEPS = FULL ? ['keep', 'write', 'restart', 'verify'] : ['write', 'restart']
  const breakAt = (step: string, boundary: Boundary, by?: 'failure') =>
    story.breakAt('keys:vapid', { replace: true }, { step, boundary, by })
  const boundaries = FULL ? BOUNDARIES : (['started', 'acted'] as const)
  const places = STEPS.flatMap(step => boundaries.map(boundary => ({ step, boundary })))
  // Each place once, one way or the other; `--full` takes both.
  const halves = (first: number) => places.filter((_, at) => FULL || (Math.floor(at / 2) + at) % 2 === first)

  test.each(halves(0))('killed at $step, $boundary: resume puts new keys into force', async ({ step, boundary }) => {
    expect(await breakAt(step, boundary)).toMatchObject({ killed: true })
    const resumed = await story.tool('resume')
    expect(resumed.exitCode, resumed.stderr).toBe(0)
    await file.expectNewKeys()
    await story.expectOver('done')
  })

  test.each(halves(1))('killed at $step, $boundary: resume --undo puts the file back', async ({ step, boundary }) => {
    expect(await breakAt(step, boundary)).toMatchObject({ killed: true })
    const undone = await story.tool('resume', '--undo')
    expect(undone.exitCode, undone.stderr).toBe(0)
    await file.expectFormer()
    await story.expectOver('undone')
  })

  const failing = FULL ? places : places.filter(({ boundary }) => boundary === 'acted')
  test.each(failing)('failing at $step, $boundary: undone', async ({ step, boundary }) => {
    expect(await breakAt(step, boundary, 'failure')).toMatchObject({ killed: false, exitCode: 4 })
    await file.expectFormer()
    await story.expectOver('undone')
    expect(await story.tool('resume'), 'nothing is left to resume').toMatchObject({ exitCode: 0 })
  })

  // What the killed run had started, compose, goes on by itself for a moment.
  const moments = (one: number) => (FULL ? [0, 300, 600, 700, 800, 900, 1_100, 1_500, 3_000] : [one])
  async function killedInside(moment: number): Promise<void> {
    const run = story.start(REPLACE)
    await run.until('Restart web, sidekiq so that they read it …')
    await sleep(moment)
    run.signal('SIGKILL')
    await run.ended
  }

  test.each(moments(1_100))(
    'killed %i ms into the restart: resume --undo has the former keys in force',
    async moment => {
      await killedInside(moment)
      const undone = await story.tool('resume', '--undo')
      expect(undone.exitCode, undone.stderr).toBe(0)
      await file.expectFormer()
      await story.expectOver('undone')
    },
  )

  test.each(moments(700))('killed %i ms into the restart: resume has the new keys in force', async moment => {
    await killedInside(moment)
    const resumed = await story.tool('resume')
    expect(resumed.exitCode, resumed.stderr).toBe(0)
    await file.expectNewKeys()
    await story.expectOver('done')
  })

  test.each(FULL ? (['SIGINT', 'SIGTERM'] as const) : (['SIGTERM'] as const))(
    '%s stops at the end of the step, and undoes: 130',
    async signal => {
      const run = story.start(REPLACE)
      await run.until('Restart web, sidekiq so that they read it …')
      run.signal(signal)
      expect(await run.ended, run.said()).toBe(130)
      await file.expectFormer()
      await story.expectOver('interrupted')
      expect((await story.tool('runs')).stdout).toMatch(/keys:vapid .* interrupted/)
    },
  )

  test('SIGHUP ends nothing', async () => {
    const run = story.start(REPLACE)
    await run.until('Restart web, sidekiq so that they read it …')
    run.signal('SIGHUP')
    expect(await run.ended, run.said()).toBe(0)
    await file.expectNewKeys()
    await story.expectOver('done')
  })

  test('a second Ctrl-C stops the undo: 5, and resume goes on', async () => {
    const run = story.start(REPLACE)
    await run.until('Restart web, sidekiq so that they read it …')
    run.signal('SIGINT')
    await run.until('Interrupted: ')
    run.signal('SIGINT')
    expect(await run.ended, run.said()).toBe(5)
    expect(await story.lastEnded()).toBe('unfinished')
    expect(await story.tool('resume')).toMatchObject({ exitCode: 0 })
    await file.expectNewKeys()
    await story.expectOver('done')
  })
})

describe('many at the same time', () => {
  const count = FULL ? 50 : 12

  test(`of ${count} starts one goes on, and the others are told who holds the lock`, { timeout: 300_000 }, async () => {
    const row = `SELECT id FROM users WHERE id = ${people.bob} FOR UPDATE`
    const gate = spawn('docker', ['exec', '-i', await stack.containerOf('db'), 'psql', '-XAtq', '-U', 'postgres'])
    gate.stdin.write(`BEGIN; ${row};\n`)
    await new Promise(resolve => gate.stdout.once('data', resolve))
    const runs = Array.from({ length: count }, () => story.start(['accounts:make-admin', 'bob']))
    const codes: (number | undefined)[] = runs.map(() => undefined)
    runs.forEach((run, at) => void run.ended.then(code => (codes[at] = code)))
    await expect.poll(() => codes.filter(code => code === 6).length, { timeout: 240_000 }).toBe(count - 1)
    const winner = runs.find((_, at) => codes[at] === undefined)
    const holder = story.locks().find(lock => !lock.released)
    expect(holder?.pid).toBe(winner?.pid)
    for (const run of runs) if (run !== winner) expect(run.said()).toContain(`process ${winner?.pid}`)
    gate.stdin.end('ROLLBACK;\n')
    expect(await winner?.ended, winner?.said()).toBe(0)
    await story.expectOver('done')
  })
})

describe('the folder of the journals', { timeout: PATIENCE }, () => {
  let file: EnvFile
  let disk: string
  beforeEach(() => {
    file = new EnvFile(stack)
    disk = mkdtempSync(join(tmpdir(), 'mstdn-ops-disk-'))
  })
  afterEach(() => {
    file.removeCopies()
    rmSync(disk, { recursive: true, force: true })
  })

  /** A small disk whose blocks are as small as can be, so that a journal soon needs a new one. Needs root. */
  async function onDisk(work: (small: BrokenRun) => Promise<void>): Promise<void> {
    const image = `${disk}.image`
    writeFileSync(image, Buffer.alloc(1024 * 1024))
    execFileSync('mkfs.ext4', ['-q', '-F', '-b', '1024', '-m', '0', '-O', '^has_journal', image])
    execFileSync('mount', ['-o', 'loop', image, disk])
    try {
      await work(new BrokenRun(stack, disk))
    } finally {
      execFileSync('umount', [disk])
      rmSync(image)
    }
  }

  test('full in the middle of a run: it is undone all the same, and the exit code is true', async () => {
    await onDisk(async small => {
      const run = small.start(REPLACE)
      await run.until('Keep a copy of')
      fill(disk)
      expect(await run.ended, run.said()).toBe(4)
      await file.expectFormer()
      expect(run.said()).toContain('Undoing goes on without it.')
      makeRoom(disk)
      expect(await small.lastEnded(), 'its journal is out of the way').toBe('no run')
      expect(await small.tool('accounts:make-admin', 'bob')).toMatchObject({ exitCode: 0 })
      await small.expectOver('done')
    })
  })

  test('full before a run: refused, and nothing was changed', async () => {
    await onDisk(async small => {
      fill(disk)
      await expectRefused(small, /ENOSPC|no space/i)
    })
  })

  test('on a disk that is read only: refused, and nothing was changed', async () => {
    await onDisk(async small => {
      execFileSync('mount', ['-o', 'remount,ro', disk])
      await expectRefused(small, /EROFS|read-only/i)
    })
  })

  test('of another user: refused, and nothing was changed', async () => {
    const theirs = join(disk, 'theirs')
    mkdirSync(theirs)
    execFileSync('chown', ['12345:12345', theirs])
    execFileSync('chmod', ['0700', theirs])
    // Root without its right to pass by permissions is like any user.
    const bounded = ['--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-dac_override,-dac_read_search']
    const words = [...bounded, process.execPath, join(import.meta.dirname, '../../../bin/run.js'), ...REPLACE]
    const env = { ...stack.env, XDG_STATE_HOME: theirs }
    const refused = await must('setpriv', words, { cwd: stack.projectDir, env }).then(String, error => error.message)
    expect(refused).toMatch(/exit 3\n/)
    expect(refused).toMatch(/EACCES|permission denied/i)
    await file.expectFormer()
  })

  async function expectRefused(small: BrokenRun, why: RegExp): Promise<void> {
    const refused = await small.tool(...REPLACE)
    expect(refused.exitCode, refused.stderr).toBe(3)
    expect(refused.stderr).toMatch(why)
    await file.expectFormer()
  }
})

/** Writes until nothing fits any more: one large file, then small ones into what it has left. */
function fill(disk: string): void {
  const script =
    'cd "$1"; for size in 2000000 $(yes 1024 | head -n 30); do head -c $size /dev/zero > "filler$((n += 1))"; sync -f .; done'
  execFileSync('sh', ['-c', `{ ${script}; } 2>/dev/null || true`, 'sh', disk])
}

function makeRoom(disk: string): void {
  for (const name of readdirSync(disk)) if (name.startsWith('filler')) rmSync(join(disk, name))
}
