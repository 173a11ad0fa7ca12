import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { spawn as spawnTerminal } from '@lydell/node-pty'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { type TestSandbox, testSandbox } from '../../support/sandbox.js'
import type { Script, ScriptedStep } from '../../support/scripted-run.js'

const root = join(import.meta.dirname, '../../..')
const FULL = process.env.MSTDN_TEST_FULL === '1'
const THREE: ScriptedStep[] = [{ id: 'one' }, { id: 'two' }, { id: 'three' }]

let sandbox: TestSandbox
let toolbox: Toolbox
let program: string
let trails = 0

beforeAll(async () => {
  sandbox = await testSandbox()
  toolbox = await sandbox.toolbox()
  const database = await toolbox.database()
  await database.write('CREATE TABLE trail (trail text, step text, acts int, PRIMARY KEY (trail, step))')
  program = await bundled()
})

afterAll(async () => {
  await toolbox?.close()
  await sandbox?.stop()
  if (program) rmSync(program, { force: true })
})

/** One file, so that fifty processes start within a moment. */
async function bundled(): Promise<string> {
  const outfile = join(root, 'node_modules/.cache/mstdn-ops', `scripted-run-${process.pid}.mjs`)
  mkdirSync(join(outfile, '..'), { recursive: true })
  await build({
    entryPoints: [join(root, 'test/support/scripted-run.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  })
  return outfile
}

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  /** The last line of stdout. */
  answer: {
    report?: { result: { rows: string[] }; undone?: boolean; steps: object[] }
    error?: { code: string; message: string; cause: string; next: string }
  }
}

/** One story: its own rows and its own state folder, any number of processes after or beside one another. */
function story(steps: ScriptedStep[] = THREE) {
  const trail = `trail-${trails++}`
  const env = sandbox.env()
  const state = env.XDG_STATE_HOME ?? ''
  const start = (mode: Script['mode'], extra: Partial<Script> = {}, wrapper: string[] = []) => {
    const script: Script = { trail, mode, steps, ...extra }
    const [file = '', ...args] = [...wrapper, process.execPath, program, JSON.stringify(script)]
    return follow(spawn(file, args, { env }))
  }
  return {
    trail,
    state,
    env,
    start,
    run: (extra?: Partial<Script>) => start('run', extra).ended,
    resume: (extra?: Partial<Script>) => start('resume', extra).ended,
    undo: () => start('undo').ended,
    rows: async () => {
      const sql = 'SELECT step, acts FROM trail WHERE trail = $1 ORDER BY step'
      return (await (await toolbox.database()).query<{ step: string; acts: number }>(sql, [trail])).map(
        row => `${row.step}${row.acts === 1 ? '' : ` ×${row.acts}`}`,
      )
    },
  }
}

function follow(child: ChildProcess) {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', chunk => {
    stdout += chunk
  })
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    const last = stdout.trim().split('\n').at(-1) ?? ''
    return { code, signal, stdout, stderr, answer: last.startsWith('{') ? JSON.parse(last) : {} }
  })
  const says = async (text: string) => {
    while (!stdout.includes(text) && child.exitCode === null) await wait(10)
  }
  const warns = async (text: string) => {
    while (!stderr.includes(text) && child.exitCode === null) await wait(10)
  }
  return { child, ended, says, warns }
}

function touch(file: string): void {
  writeFileSync(file, '')
}

describe('a run', () => {
  it('takes its steps in order and ends', async () => {
    const { run, rows, resume } = story()
    expect(await run()).toMatchObject({ code: 0, answer: { report: { result: { rows: ['one', 'three', 'two'] } } } })
    expect(await rows()).toEqual(['one', 'three', 'two'])
    expect((await resume()).answer).toEqual({ report: { nothing: 'unfinished' } })
  })

  it('leaves out what is not needed, and has nothing to undo there', async () => {
    const { run, rows } = story([
      { id: 'one', notNeeded: true, undoFails: true },
      { id: 'two', fails: 'after' },
    ])
    expect(await run()).toMatchObject({ code: 4 })
    expect(await rows()).toEqual([])
  })

  for (const at of ['one', 'two', 'three']) {
    for (const fails of ['before', 'after'] as const) {
      it(`is as before when step ${at} fails ${fails} its work`, async () => {
        const { run, rows } = story(THREE.map(step => (step.id === at ? { ...step, fails } : step)))
        const { code, answer, stderr } = await run()
        expect(code).toBe(4)
        expect(answer.error?.message).toBe(`scripted failed: ${at} was scripted to fail`)
        expect(answer.error?.cause).toContain('things are as they were before')
        expect(await rows()).toEqual([])
        const undone = stderr.split('\n').filter(line => /^Undo: .*: done$/.test(line))
        const wanted = ['three', 'two', 'one'].slice(['three', 'two', 'one'].indexOf(at))
        expect(undone).toEqual(wanted.map(id => `Undo: Leave the row ${id}: done`))
      })
    }
  }

  it('says what stands when it cannot be undone, lets no other begin, and goes on by resume', async () => {
    const mended = join(sandbox.dir, 'mended-irreversible')
    const three: ScriptedStep = { id: 'three', fails: 'after', mendedBy: mended }
    const { run, resume, rows } = story([{ id: 'one' }, { id: 'two', irreversible: true }, three])
    const first = await run()
    expect(first.code).toBe(5)
    expect(first.answer.error?.cause).toContain('Leave the row two (it is scripted so)')
    expect(first.answer.error?.next).toContain('mstdn-ops resume')
    expect(await rows()).toEqual(['two'])
    expect(await run()).toMatchObject({ code: 3, answer: { error: { code: 'unfinished-run' } } })
    touch(mended)
    expect(await resume()).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(['one', 'three', 'two'])
    expect(await run()).toMatchObject({ code: 0 })
  })

  it('goes on undoing when one undo fails, and resume --undo takes back the rest', async () => {
    const mended = join(sandbox.dir, 'mended-undo')
    const { run, undo, rows } = story([
      { id: 'one' },
      { id: 'two', undoFails: true, mendedBy: mended },
      { id: 'three', fails: 'after' },
    ])
    expect(await run()).toMatchObject({ code: 5 })
    expect(await rows()).toEqual(['two'])
    expect(await undo()).toMatchObject({ code: 5 })
    touch(mended)
    expect(await undo()).toMatchObject({ code: 0, answer: { report: { undone: true } } })
    expect(await rows()).toEqual([])
    expect((await undo()).answer).toEqual({ report: { nothing: 'unfinished' } })
  })

  it('believes an atomic step that failed to have left nothing', async () => {
    const { run, rows } = story([{ id: 'one' }, { id: 'two', atomic: true, irreversible: true, fails: 'before' }])
    expect(await run()).toMatchObject({ code: 4 })
    expect(await rows()).toEqual([])
  })

  it('does not hold up others when only a repeatable step is left', async () => {
    const { run, rows } = story([{ id: 'one', repeatable: true, irreversible: true, fails: 'after' }])
    const { code, answer } = await run()
    expect(code).toBe(5)
    expect(answer.error?.next).toContain('Run the command again')
    expect(await rows()).toEqual(['one'])
    expect(await run()).toMatchObject({ code: 5 })
  })
})

const FORWARD = ['before', 'started', 'acted', 'after'] as const
const BACKWARD = ['before-undo', 'undo-started', 'undo-acted', 'after-undo'] as const
const KILLED = FULL ? ['one', 'two', 'three'] : ['two']

describe('a run that is killed', () => {
  for (const step of KILLED) {
    for (const boundary of FORWARD) {
      it(`at ${step}, ${boundary}, goes on by resume and repeats nothing`, async () => {
        const { run, resume, rows } = story()
        expect(await run({ killAt: { step, boundary } })).toMatchObject({ signal: 'SIGKILL' })
        const refused = await run()
        expect(refused).toMatchObject({ code: 3, answer: { error: { code: 'unfinished-run' } } })
        expect(refused.stderr).toContain('Took over the lock')
        expect(await resume()).toMatchObject({ code: 0 })
        expect(await rows()).toEqual(['one', 'three', 'two'])
      })

      it(`at ${step}, ${boundary}, is taken back by resume --undo`, async () => {
        const { run, undo, rows } = story()
        expect(await run({ killAt: { step, boundary } })).toMatchObject({ signal: 'SIGKILL' })
        expect(await undo()).toMatchObject({ code: 0, answer: { report: { undone: true } } })
        expect(await rows()).toEqual([])
        expect(await run()).toMatchObject({ code: 0 })
      })
    }

    for (const boundary of BACKWARD) {
      it(`while it undoes ${step}, ${boundary}, is undone by resume`, async () => {
        const { run, resume, rows } = story(
          THREE.map(each => (each.id === 'three' ? { ...each, fails: 'after' } : each)),
        )
        expect(await run({ killAt: { step, boundary } })).toMatchObject({ signal: 'SIGKILL' })
        expect(await resume()).toMatchObject({ code: 4 })
        expect(await rows()).toEqual([])
        expect((await resume()).answer).toEqual({ report: { nothing: 'unfinished' } })
      })
    }
  }

  it('twice, the second time in its resume, goes on all the same', async () => {
    const { run, resume, rows } = story()
    await run({ killAt: { step: 'one', boundary: 'acted' } })
    expect(await resume({ killAt: { step: 'three', boundary: 'started' } })).toMatchObject({ signal: 'SIGKILL' })
    expect(await resume()).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(['one', 'three', 'two'])
  })

  it('in an atomic step without undo is found to have done nothing, or to stand', async () => {
    const steps = [{ id: 'one' }, { id: 'two', atomic: true, irreversible: true }]
    const nothing = story(steps)
    await nothing.run({ killAt: { step: 'two', boundary: 'started' } })
    expect(await nothing.undo()).toMatchObject({ code: 0, answer: { report: { undone: true } } })
    expect(await nothing.rows()).toEqual([])
    const stands = story(steps)
    await stands.run({ killAt: { step: 'two', boundary: 'acted' } })
    expect(await stands.undo()).toMatchObject({ code: 5 })
    expect(await stands.rows()).toEqual(['two'])
    expect(await stands.resume()).toMatchObject({ code: 0 })
    expect(await stands.rows()).toEqual(['one', 'two'])
  })
})

describe('a run of which the work is in use', () => {
  const steps = (last: Partial<ScriptedStep>): ScriptedStep[] => [
    { id: 'one' },
    { id: 'two', inUse: true },
    { id: 'three', ...last },
  ]

  it('takes nothing back after a failure, and can be gone on with', async () => {
    const mended = join(sandbox.dir, 'mended-in-use')
    const { run, resume, rows } = story(steps({ fails: 'after', mendedBy: mended }))
    const { code, answer } = await run()
    expect(code).toBe(5)
    expect(answer.error?.next).not.toContain('--undo')
    expect(await rows()).toEqual(['one', 'three', 'two'])
    touch(mended)
    expect(await resume()).toMatchObject({ code: 0 })
  })

  it('is not taken back after a kill either; before that it is', async () => {
    const { run, undo, resume, rows } = story(steps({}))
    await run({ killAt: { step: 'three', boundary: 'started' } })
    expect(await undo()).toMatchObject({ code: 3, answer: { error: { code: 'in-use', cause: 'People use it.' } } })
    expect(await rows()).toEqual(['one', 'two'])
    expect(await resume()).toMatchObject({ code: 0 })
    const early = story(steps({}))
    await early.run({ killAt: { step: 'two', boundary: 'started' } })
    expect(await early.undo()).toMatchObject({ code: 0 })
    expect(await early.rows()).toEqual([])
  })
})

describe('many at once', () => {
  const many = FULL ? 50 : 10

  it(`one of ${many} starts goes on and the others are told who holds the lock`, async () => {
    const go = join(sandbox.dir, 'go-many')
    const { start, rows } = story([{ id: 'one', waitsFor: go }, { id: 'two' }])
    const all = Array.from({ length: many }, () => start('run'))
    let ended = 0
    for (const { ended: end } of all) void end.then(() => (ended += 1))
    while (ended < many - 1) await wait(20)
    touch(go)
    const results = await Promise.all(all.map(each => each.ended))
    expect(results.map(result => result.code).sort((a, b) => Number(a) - Number(b))).toEqual([
      0,
      ...Array(many - 1).fill(6),
    ])
    const told = results.filter(result => result.code === 6).map(result => result.answer.error?.message)
    for (const message of told) expect(message).toMatch(/^Another run is under way: run \d{8}-\d{6}-[0-9a-f]{4}/)
    expect(await rows()).toEqual(['one', 'two'])
  })

  it('one of several resumes goes on', async () => {
    const go = join(sandbox.dir, 'go-resumes')
    const { run, start, rows } = story([{ id: 'one' }, { id: 'two', waitsFor: go }])
    await run({ killAt: { step: 'two', boundary: 'started' } })
    const all = Array.from({ length: 4 }, () => start('resume'))
    let ended = 0
    for (const { ended: end } of all) void end.then(() => (ended += 1))
    while (ended < 3) await wait(20)
    touch(go)
    const codes = (await Promise.all(all.map(each => each.ended))).map(each => each.code)
    expect(codes.sort((a, b) => Number(a) - Number(b))).toEqual([0, 6, 6, 6])
    expect(await rows()).toEqual(['one', 'two'])
  })

  it('another machine is locked out by the database server', async () => {
    const go = join(sandbox.dir, 'go-machines')
    const here = story([{ id: 'one', waitsFor: go }])
    const there = story([{ id: 'one' }])
    const holding = here.start('run')
    await holding.says('in one')
    const { code, answer } = await there.run()
    expect(code).toBe(6)
    expect(answer.error?.message).toMatch(/Another run is under way: run .* \(from 127\.0\.0\.1\), since /)
    touch(go)
    expect(await holding.ended).toMatchObject({ code: 0 })
    expect(await there.run()).toMatchObject({ code: 0 })
  })
})

describe('an interruption', () => {
  const held = (name: string, step: Partial<ScriptedStep> = {}) => {
    const go = join(sandbox.dir, `go-${name}`)
    return { go, ...story([{ id: 'one' }, { id: 'two', waitsFor: go, ...step }, { id: 'three' }]) }
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`by ${signal} stops at the end of the step and undoes`, async () => {
      const { go, start, rows } = held(signal)
      const { child, says, warns, ended } = start('run')
      await says('in two')
      child.kill(signal)
      await warns('Interrupted')
      expect(await rows()).toEqual(['one', 'two'])
      touch(go)
      expect(await ended).toMatchObject({ code: 130, answer: { error: { code: 'interrupted' } } })
      expect(await rows()).toEqual([])
    })
  }

  it('by SIGHUP ends nothing', async () => {
    const { go, start, rows } = held('SIGHUP')
    const { child, says, ended } = start('run')
    await says('in two')
    child.kill('SIGHUP')
    await wait(100)
    touch(go)
    expect(await ended).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(['one', 'three', 'two'])
  })

  it('given twice stops the undo, and resume --undo goes on with it', async () => {
    const { go, start, undo, rows } = held('twice')
    const { child, says, warns, ended } = start('run')
    await says('in two')
    child.kill('SIGINT')
    await warns('Once more stops the undo')
    child.kill('SIGINT')
    await warns('Interrupted again')
    touch(go)
    const { code, answer } = await ended
    expect(code).toBe(5)
    expect(answer.error?.cause).toContain('a second interruption stopped it')
    expect(await rows()).toEqual(['one', 'two'])
    expect(await undo()).toMatchObject({ code: 0 })
    expect(await rows()).toEqual([])
  })

  it('during the undo of a failure does not hide the failure', async () => {
    const go = join(sandbox.dir, 'go-undoing')
    const { start, rows } = story([
      { id: 'one', undoWaitsFor: go },
      { id: 'two', fails: 'before' },
    ])
    const { child, says, warns, ended } = start('run')
    await says('undo one')
    child.kill('SIGINT')
    await warns('being undone already')
    touch(go)
    expect(await ended).toMatchObject({ code: 4, answer: { error: { code: 'step-failed' } } })
    expect(await rows()).toEqual([])
  })

  it('takes nothing back once it is in use: the run goes on to its end', async () => {
    const { go, start, rows } = held('in-use', { inUse: true })
    const { child, says, warns, ended } = start('run')
    await says('in two')
    child.kill('SIGINT')
    await warns('Interrupted')
    touch(go)
    expect(await ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('People use it. Nothing is taken back'),
    })
    expect(await rows()).toEqual(['one', 'three', 'two'])
  })

  it('after the last step undoes what can be undone, and leaves finished what cannot', async () => {
    for (const [irreversible, code, left] of [
      [false, 130, []],
      [true, 0, ['one', 'two']],
    ] as const) {
      const go = join(sandbox.dir, `go-last-${irreversible}`)
      const { start, rows } = story([{ id: 'one' }, { id: 'two', waitsFor: go, irreversible }])
      const { child, says, warns, ended } = start('run')
      await says('in two')
      child.kill('SIGINT')
      await warns('Interrupted')
      touch(go)
      expect(await ended).toMatchObject({ code })
      expect(await rows()).toEqual(left)
    }
  })
})

describe('a lost reader', () => {
  it('(closed pipes) ends nothing; the log has what was said', async () => {
    const go = join(sandbox.dir, 'go-pipes')
    const { start, rows, state } = story([{ id: 'one', waitsFor: go }, { id: 'two' }])
    const { child, says, ended } = start('run')
    await says('in one')
    child.stdout?.destroy()
    child.stderr?.destroy()
    touch(go)
    expect(await ended).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(['one', 'two'])
    expect(logOf(state)).toContain('scripted: Leave the row two: done')
  })

  it('(a lost terminal) ends nothing', async () => {
    const go = join(sandbox.dir, 'go-terminal')
    const done = join(sandbox.dir, 'done-terminal')
    const { env, trail, rows, state } = story()
    const script: Script = { trail, mode: 'run', steps: [{ id: 'one', waitsFor: go }, { id: 'two' }] }
    const words = ['-c', '"$@"; echo "$?" > "$0"', done, process.execPath, program, JSON.stringify(script)]
    const terminal = spawnTerminal('setsid', ['-w', 'sh', ...words], { env: env as Record<string, string> })
    let seen = ''
    terminal.onData(data => {
      seen += data
    })
    while (!seen.includes('in one')) await wait(20)
    terminal.kill('SIGHUP')
    ;(terminal as unknown as { destroy(): void }).destroy()
    await wait(200)
    touch(go)
    // Node 20 itself aborts at its exit when the terminal has gone, so that its code tells nothing.
    for (let waited = 0; !existsSync(done) && waited < 100; waited += 1) await wait(50)
    expect(await rows()).toEqual(['one', 'two'])
    const journal = readdirSync(runsOf(state)).find(name => name.endsWith('.jsonl')) ?? ''
    expect(readFileSync(join(runsOf(state), journal), 'utf8')).toContain('"end":"done","exitCode":0')
    expect(logOf(state)).toContain('scripted: Leave the row two: done')
  })
})

describe('a state folder without room', () => {
  const limited = (bytes: number) => ['prlimit', `--fsize=${bytes}`]

  it('refuses before anything happens', async () => {
    const { start, rows } = story()
    expect(await start('run', {}, limited(10)).ended).toMatchObject({
      code: 3,
      answer: { error: { code: 'state-not-kept' } },
    })
    expect(await rows()).toEqual([])
  })

  it('in the middle of a run undoes, and holds up no other run', async () => {
    for (const at of FULL ? [1, 2, 3, 4, 5, 6] : [1, 4]) {
      const { start, run, rows } = story()
      const { code, answer } = await start('run', {}, limited((await lineStarts())[at] ?? 0)).ended
      expect({ at, code, answer }).toMatchObject({ code: 4, answer: { error: { code: 'state-not-kept' } } })
      expect(await rows()).toEqual([])
      expect(await run()).toMatchObject({ code: 0 })
    }
  })

  it('at the end of a run says that it is done, and resume closes it', async () => {
    const { start, resume, rows } = story()
    const { code, answer } = await start('run', {}, limited((await lineStarts())[7] ?? 0)).ended
    expect({ code, answer }).toMatchObject({ code: 5, answer: { error: { code: 'journal-not-written' } } })
    expect(await resume()).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(['one', 'three', 'two'])
  })

  /** Where the lines of such a journal begin, and a bit: the limit cuts the line in two. */
  async function lineStarts(): Promise<number[]> {
    const { run, state } = story()
    await run()
    const name = readdirSync(runsOf(state)).find(each => each.endsWith('.jsonl')) ?? ''
    const lines = readFileSync(join(runsOf(state), name), 'utf8').split('\n')
    return lines.map((_, at) => lines.slice(0, at).join('\n').length + 20)
  }
})

function runsOf(state: string): string {
  return join(state, 'mstdn-ops', 'sandbox-sandbox', 'runs')
}

function logOf(state: string): string {
  const log = readdirSync(runsOf(state)).find(name => name.endsWith('.log'))
  return log === undefined ? '' : readFileSync(join(runsOf(state), log), 'utf8')
}
