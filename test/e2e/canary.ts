import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { cli } from '../support/cli.js'
import { builtCommands, COMMAND_LINES, type CommandLine, withFlags } from '../support/command-lines.js'
import { sampleProcesses } from '../support/process-sampler.js'
import { stateFolder, writtenDown } from '../support/state.js'

/** An instance whose configuration holds the planted secrets. */
export interface Planted {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** The variables of a process of the app, as `env` prints them: shows that the secrets are really there. */
  variables(): Promise<string>
  stop(): Promise<void>
}

export interface CanaryOptions {
  /** The secret variables that are planted. */
  names: readonly string[]
  plant(environment: Readonly<Record<string, string>>): Promise<Planted>
  /** Exit codes that count as having run where they differ from the command's own. */
  exits?: Readonly<Record<string, readonly number[]>>
  /** What is called instead of a command's usual lines. */
  lines?: Readonly<Record<string, readonly CommandLine[]>>
  /** How the commands are called in turn with the reduced counts. */
  flags?: readonly (readonly string[])[]
  /** Which commands are called with the reduced counts: the first of each two, or the second. */
  half: 0 | 1
}

/** With reduced counts a line gets one of these, in turn; `--full` gives it all four. */
const PAIRS = [['--json'], ['--dry-run']]
const ALL = [...PAIRS, ['--dry-run', '--json'], []]

/** Runs every command on an instance full of secrets, and looks for them wherever they must not be. */
export function canaryTable({
  names,
  plant,
  exits: otherExits = {},
  lines: otherLines = {},
  flags: some = PAIRS,
  half,
}: CanaryOptions): void {
  const turnOf = (at: number) => (process.env.MSTDN_TEST_FULL ? ALL : some.slice(at % some.length).slice(0, 1))
  let turn = 0
  vi.setConfig({ testTimeout: 180_000 })
  /** Stands in every planted secret, and in no other text of the machine. */
  const CANARY = `canary${randomBytes(12).toString('hex')}`
  const planted = (name: string) => `${CANARY}${name}${randomBytes(8).toString('hex')}`
  let instance: Planted
  let state: string
  beforeAll(async () => {
    instance = await plant(Object.fromEntries(names.map(name => [name, planted(name)])))
    state = stateFolder()
    // What verifying and restoring work on.
    await cli(['db:backup'], { cwd: instance.cwd, env: places() })
  }, 300_000)
  const places = () => ({ ...instance.env, XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') })
  afterAll(async () => {
    await instance?.stop()
    rmSync(state, { recursive: true, force: true })
  })

  it('knows a line for every command', () => {
    expect(builtCommands().filter(id => COMMAND_LINES[id] === undefined)).toEqual([])
  })

  it('would notice a secret: the running process holds the planted ones', async () => {
    expect((await instance.variables()).split(CANARY)).toHaveLength(names.length + 1)
  })

  const isTaken = (_: string, at: number) => process.env.MSTDN_TEST_FULL !== undefined || at % 2 === half
  describe.each(
    builtCommands()
      .filter(id => COMMAND_LINES[id])
      .filter(isTaken),
  )('%s', id => {
    const lines = otherLines[id] ?? COMMAND_LINES[id] ?? []

    it.each(lines.flatMap(line => turnOf(turn++).map(flags => ({ ...line, flags }))))(
      '$words $flags shows, writes and passes on no secret',
      async ({ words, flags, stdin, exits, elsewhere }) => {
        const extra = elsewhere ? ['--help'] : [...flags, '--log-level', 'debug']
        const sampler = sampleProcesses(CANARY)
        const result = await cli([id, ...withFlags(words, extra)], {
          cwd: instance.cwd,
          env: places(),
          ...(stdin === undefined ? {} : { stdin: stdin.replace('VALUE', planted('value')) }),
        })
        const { hits, rounds } = await sampler.stop()
        expect(otherExits[id] ?? exits ?? [0], result.stderr + result.stdout).toContain(result.exitCode)
        expect(result.stdout).not.toContain(CANARY)
        expect(result.stderr).not.toContain(CANARY)
        expect(writtenDown(state)).not.toContain(CANARY)
        expect(hits).toEqual([])
        expect(rounds).toBeGreaterThan(2)
      },
    )
  })
}
