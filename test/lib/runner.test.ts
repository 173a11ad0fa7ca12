import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OutcomeUnknownError, RefusedError } from '../../src/lib/errors.js'
import { Ledger } from '../../src/lib/ledger.js'
import { Output } from '../../src/lib/output.js'
import { Runner } from '../../src/lib/runner.js'

let dir: string
let ledger: Ledger
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-runner-'))
  ledger = new Ledger()
})
afterEach(() => rmSync(dir, { recursive: true }))

const runner = (dryRun = false) => new Runner({ output: new Output({ logLevel: 'error' }), ledger, dryRun })
const sh = (script: string, effect: 'read' | 'write' = 'read') => ({ file: 'sh', args: ['-c', script], effect })

describe('run', () => {
  it('keeps stdout, stderr and the exit code apart', async () => {
    const outcome = await runner().run(sh('echo out; echo err >&2; exit 3'))
    expect(outcome).toEqual({ stdout: 'out\n', stderr: 'err\n', exitCode: 3, planned: false })
  })

  it('tells a signal as 128 and its number', async () => {
    expect((await runner().run(sh('kill -TERM $$'))).exitCode).toBe(143)
  })

  it('passes text to the standard input, which is empty otherwise', async () => {
    expect((await runner().run({ ...sh('cat'), stdin: 'one\ntwo' })).stdout).toBe('one\ntwo')
    expect((await runner().run(sh('cat'))).stdout).toBe('')
  })

  it('hands out lines as they come, the last one also without its end', async () => {
    const lines: string[] = []
    await runner().run(sh('printf "one\\ntwo\\nthree"'), line => lines.push(line))
    expect(lines).toEqual(['one', 'two', 'three'])
  })

  it('refuses by name when the program is missing', async () => {
    const missing = runner().run({ file: 'no-such-program', args: [], effect: 'read' })
    await expect(missing).rejects.toMatchObject({ code: 'program-missing', exitCode: 3 })
  })

  it('gives the child a process group of its own, out of reach of a Ctrl-C', async () => {
    const { stdout } = await runner().run(sh('ps -o pgid= -p $$'))
    const mine = await runner().run({ file: 'ps', args: ['-o', 'pgid=', '-p', String(process.pid)], effect: 'read' })
    expect(stdout.trim()).not.toBe(mine.stdout.trim())
  })

  it('ends the whole group at the time limit: refused for a read, unknown for a write', async () => {
    const slow = { ...sh(`sleep 30 & echo $! > ${dir}/pid; wait`), timeoutMs: 300 }
    await expect(runner().run(slow)).rejects.toBeInstanceOf(RefusedError)
    const pid = readFileSync(join(dir, 'pid'), 'utf8').trim()
    const state = await runner().run({ file: 'ps', args: ['-o', 'stat=', '-p', pid], effect: 'read' })
    expect(state.stdout.trim()).toMatch(/^(Z.*)?$/)
    await expect(runner().run({ ...slow, effect: 'write' })).rejects.toBeInstanceOf(OutcomeUnknownError)
  })
})

describe('a dry run', () => {
  it('starts reads, and records writes without starting them', async () => {
    const target = join(dir, 'written')
    const outcome = await runner(true).run({ ...sh(`touch ${target}`, 'write'), byHand: 'touch it' })
    expect(outcome.planned).toBe(true)
    expect(existsSync(target)).toBe(false)
    expect(ledger.entries).toEqual([{ kind: 'command', exact: `sh -c 'touch ${target}'`, byHand: 'touch it' }])
    expect((await runner(true).run(sh('echo read'))).stdout).toBe('read\n')
  })

  it('records a write as well when it is carried out', async () => {
    const target = join(dir, 'written')
    await runner().run(sh(`touch ${target}`, 'write'))
    expect(existsSync(target)).toBe(true)
    expect(ledger.byHand()).toEqual([`sh -c 'touch ${target}'`])
  })

  it('gives no terminal to an interactive write', async () => {
    expect(await runner(true).interactive({ file: 'no-such-program', args: [], effect: 'write' })).toBe(0)
  })
})

describe('open', () => {
  it('gives the streams of a running process and its end', async () => {
    const channel = await runner().open(sh('cat; exit 4'))
    channel.stdin.end('hello')
    const chunks: Buffer[] = []
    for await (const chunk of channel.stdout) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('hello')
    expect(await channel.ended).toBe(4)
  })

  it('ends the group on kill', async () => {
    const channel = await runner().open(sh('sleep 30'))
    channel.kill('SIGKILL')
    expect(await channel.ended).toBe(137)
  })
})
