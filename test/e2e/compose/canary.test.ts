import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { cli } from '../../support/cli.js'
import { builtCommands, COMMAND_LINES, withFlags } from '../../support/command-lines.js'
import { sampleProcesses } from '../../support/process-sampler.js'
import { stateFolder, writtenDown } from '../../support/state.js'
import { type Stack, startStack } from './bed/bed.js'

vi.setConfig({ testTimeout: 180_000 })

/** Stands in every planted secret, and in no other text of the machine. */
const CANARY = `canary${randomBytes(12).toString('hex')}`
const planted = (name: string) => `${CANARY}${name}${randomBytes(8).toString('hex')}`
const NAMES = [
  ...['SECRET_KEY_BASE', 'SMTP_PASSWORD', 'DB_PASS', 'VAPID_PRIVATE_KEY', 'AWS_SECRET_ACCESS_KEY', 'ES_PASS'],
  ...['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(name => `ACTIVE_RECORD_ENCRYPTION_${name}`),
]

/** The dimensions in pairs; `--full` takes all four. */
const PAIRS = [['--dry-run'], ['--json']]
const ALL = [...PAIRS, ['--dry-run', '--json'], []]
const FLAGS = process.env.MSTDN_TEST_FULL ? ALL : PAIRS

let stack: Stack
let state: string
beforeAll(async () => {
  const environment = Object.fromEntries(NAMES.map(name => [name, planted(name)]))
  stack = await startStack({ version: '4.5.3', environment })
  state = stateFolder()
})
afterAll(async () => {
  await stack?.stop()
  rmSync(state, { recursive: true, force: true })
})

it('knows a line for every command', () => {
  expect(builtCommands().filter(id => COMMAND_LINES[id] === undefined)).toEqual([])
})

it('would notice a secret: the running process holds the planted ones', async () => {
  const { stdout } = await stack.exec('web', ['env'])
  expect(stdout.split(CANARY)).toHaveLength(NAMES.length + 1)
})

describe.each(builtCommands().filter(id => COMMAND_LINES[id]))('%s', id => {
  const lines = COMMAND_LINES[id] ?? []

  it.each(lines.flatMap(line => FLAGS.map(flags => ({ ...line, flags }))))(
    '$words $flags shows, writes and passes on no secret',
    async ({ words, flags, stdin, exits, elsewhere }) => {
      const extra = elsewhere ? ['--help'] : [...flags, '--log-level', 'debug']
      const sampler = sampleProcesses(CANARY)
      const result = await cli([id, ...withFlags(words, extra)], {
        cwd: stack.projectDir,
        env: { XDG_STATE_HOME: state },
        ...(stdin === undefined ? {} : { stdin: stdin.replace('VALUE', planted('value')) }),
      })
      const { hits, rounds } = await sampler.stop()
      expect(exits ?? [0], result.stderr + result.stdout).toContain(result.exitCode)
      expect(result.stdout).not.toContain(CANARY)
      expect(result.stderr).not.toContain(CANARY)
      expect(writtenDown(state)).not.toContain(CANARY)
      expect(hits).toEqual([])
      expect(rounds).toBeGreaterThan(2)
    },
  )
})
