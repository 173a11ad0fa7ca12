import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { runsDir } from '../../../src/lib/paths.js'
import { isUnfinished, listRuns } from '../../../src/lib/runbook/journal.js'
import { type CliResult, cleanEnvironment, cli, root } from '../../support/cli.js'
import { type KilledEnd, type KilledRun, killedRun } from '../../support/killed-run.js'
import { stateFolder } from '../../support/state.js'
import type { Stack } from './bed/bed.js'
import { must } from './bed/process.js'

/** The built tool under way. */
export interface Underway {
  readonly pid: number
  /** What it has said on both streams so far. */
  said(): string
  /** Resolves when it has said the text; rejects when it ends without. */
  until(text: string): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code; 128 and more where a signal ended it. */
  readonly ended: Promise<number>
}

/** One story of a run that is broken and gone on with: a stack, and a state folder of its own. */
export class BrokenRun {
  readonly stack: Stack
  readonly state: string

  constructor(stack: Stack, state = stateFolder()) {
    this.stack = stack
    this.state = state
  }

  remove(): void {
    rmSync(this.state, { recursive: true, force: true })
  }

  /** Runs the built tool to its end. */
  tool(...words: string[]): Promise<CliResult> {
    return this.toolWith({}, ...words)
  }

  /** With these variables besides. */
  toolWith(env: NodeJS.ProcessEnv, ...words: string[]): Promise<CliResult> {
    return cli(words, { cwd: this.stack.projectDir, env: { ...this.places(), ...env }, timeoutMs: 300_000 })
  }

  /** Where journals and backups go. */
  places(): NodeJS.ProcessEnv {
    return { XDG_STATE_HOME: this.state, XDG_DATA_HOME: join(this.state, 'data') }
  }

  /** Starts the built tool, in front of which other programs may stand. */
  start(words: readonly string[]): Underway {
    const env = { ...cleanEnvironment(), ...this.places() }
    const argv = [join(root, 'bin/run.js'), ...words]
    const child = spawn(process.execPath, argv, { cwd: this.stack.projectDir, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        said += chunk
      })
    }
    // Not `close`: what the tool started may outlive it and hold its streams open.
    const ended = new Promise<number>(resolve => {
      child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 128)))
    })
    const until = async (text: string) => {
      while (!said.includes(text)) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it never said "${text}":\n${said}`)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
    return { pid: child.pid ?? 0, said: () => said, until, signal: name => child.kill(name), ended }
  }

  /** Begins a run that is killed, or fails, at a boundary of a step. */
  breakAt(runbook: string, options: object, stop: KilledRun['stop']): Promise<KilledEnd> {
    return killedRun(this.state, { project: this.stack.projectDir, runbook, options, mode: 'run', stop })
  }

  /** How the newest run has ended, as `runs` tells it: `unfinished` for one that waits to be resumed. */
  async lastEnded(): Promise<string> {
    const dir = runsDir(this.stack.projectName, { XDG_STATE_HOME: this.state })
    const record = (await listRuns(dir)).at(-1)
    if (record === undefined) return 'no run'
    return isUnfinished(record) ? 'unfinished' : (record.end?.end ?? '')
  }

  /** Neither containers of ours nor locks are left, and `runs` tells this end. */
  async expectOver(ended: string): Promise<void> {
    expect(await this.lastEnded()).toBe(ended)
    expect(await this.ownContainers()).toEqual([])
    expect(this.locks().filter(lock => !lock.released)).toEqual([])
    const held = () => this.stack.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    await expect.poll(held, { timeout: 5_000 }).toBe('0')
  }

  /** The containers that carry the key of a long one-off, of any run on this stack. */
  async ownContainers(): Promise<string[]> {
    const labels = [`com.docker.compose.project=${this.stack.projectName}`, 'mstdn-ops.key']
    const filters = labels.flatMap(label => ['--filter', `label=${label}`])
    return (await must('docker', ['ps', '-aq', ...filters])).split('\n').filter(Boolean)
  }

  locks(): { released: boolean; runId: string; pid: number }[] {
    const names = readdirSync(join(this.state, 'mstdn-ops'), { recursive: true }).map(String)
    const files = names.filter(name => /lock\.\d+$/.test(name)).map(name => join(this.state, 'mstdn-ops', name))
    return files.map(file => JSON.parse(readFileSync(file, 'utf8')))
  }
}

/** The env file of the stack, and what was made of it. */
export class EnvFile {
  readonly #stack: Stack
  readonly #path: string
  readonly former: string
  #formerKeys: string | undefined

  constructor(stack: Stack) {
    this.#stack = stack
    this.#path = join(stack.projectDir, '.env.production')
    this.former = readFileSync(this.#path, 'utf8')
    this.#formerKeys = keysIn(this.former)
  }

  /** Copies and half-written files that stand beside it. */
  copies(): string[] {
    return readdirSync(this.#stack.projectDir).filter(name => name.includes('env.production.mstdn-ops'))
  }

  removeCopies(): void {
    for (const name of this.copies()) rmSync(join(this.#stack.projectDir, name))
  }

  async expectFormer(): Promise<void> {
    expect(this.#text()).toBe(this.former)
    await this.#expectInForce(this.#formerKeys)
    expect(this.copies()).toEqual([])
  }

  /** New keys, in force, and one copy of the former file, byte for byte. */
  async expectNewKeys(): Promise<void> {
    const keys = keysIn(this.#text())
    expect(keys).not.toBe(this.#formerKeys)
    expect(without(this.#text())).toBe(without(this.former))
    await this.#expectInForce(keys)
    expect(this.copies()).toHaveLength(1)
    expect(readFileSync(join(this.#stack.projectDir, this.copies()[0] ?? ''), 'utf8')).toBe(this.former)
  }

  async #expectInForce(keys: string | undefined): Promise<void> {
    expect(statSync(this.#path).mode & 0o777).toBe(0o600)
    for (const service of ['web', 'sidekiq']) {
      const { stdout } = await this.#stack.exec(service, ['printenv', 'VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY'])
      expect(stdout.trim(), service).toBe(keys)
    }
  }

  #text(): string {
    return readFileSync(this.#path, 'utf8')
  }
}

function keysIn(text: string): string | undefined {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]
  return `${value('VAPID_PRIVATE_KEY')}\n${value('VAPID_PUBLIC_KEY')}`
}

function without(text: string): string {
  return text.replace(/^VAPID_\w+=.*$/gm, '')
}
