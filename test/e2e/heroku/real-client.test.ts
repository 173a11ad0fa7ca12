import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { stateFolder } from '../../support/state.js'
import { type HerokuApp, people, startHerokuApp } from './bed.js'

/** The real client takes seconds a call: only what the scripted one could get wrong is asked here. */
vi.setConfig({ testTimeout: 240_000 })

let app: HerokuApp
let state: string
let cache: string
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3', client: 'real' })
  cache = stateFolder()
}, 600_000)
afterAll(async () => {
  await app?.stop()
  rmSync(cache, { recursive: true, force: true })
})
beforeEach(() => {
  state = stateFolder()
})
afterEach(() => {
  app.clearFaults()
  rmSync(state, { recursive: true, force: true })
})

function ops(words: readonly string[], stdin?: string): Promise<CliResult> {
  const env = { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: cache }
  return cli(words, { env, timeoutMs: 200_000, ...(stdin === undefined ? {} : { stdin }) })
}

const oneOffs = () => app.dynos().filter(({ type }) => type === 'run')

describe('run', () => {
  test('the code is passed on, and both texts apart', async () => {
    const { exitCode, stdout, stderr } = await ops(['run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])
    expect(exitCode, stderr).toBe(3)
    expect(stdout).toBe('out\n')
    expect(stderr).toMatch(/^err$/m)
  })

  test('words arrive unchanged, whatever they hold', async () => {
    const words = ["it's", '"', '$HOME', '$(id)', '`id`', 'a\nb', '; exit 9', '\\n', '*', '', app.app, 'run', 'é😀']
    const { exitCode, stdout, stderr } = await ops(['run', '--', 'printf', '[%s]', ...words])
    expect(exitCode, stderr).toBe(0)
    expect(stdout.trimEnd()).toBe(words.map(word => `[${word}]`).join(''))
  })

  test('90 kB that are piped in arrive whole', async () => {
    const stdin = `line \u0004 é😀 $x\n`.repeat(5_500)
    expect(Buffer.byteLength(stdin)).toBeGreaterThan(90_000)
    const { exitCode, stdout, stderr } = await ops(['run', '--', 'sha256sum'], stdin)
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain(createHash('sha256').update(stdin).digest('hex'))
  })

  test('a one-off that is killed: the end was not seen, 8, and none is left', async () => {
    app.inject({ kind: 'killed', milliseconds: 700 })
    const { exitCode, stderr } = await ops(['run', '--', 'sh', '-c', 'echo some output; sleep 20; echo more'])
    expect(exitCode, stderr).toBe(8)
    expect(stderr).toContain('was not seen')
    expect(oneOffs()).toEqual([])
  })
})

describe('accounts:make-admin', () => {
  const isAdmin = () => app.psql(`SELECT role_id IS NOT NULL FROM users WHERE id = ${people.bob}`)
  beforeEach(() => app.psql(`UPDATE users SET role_id = NULL WHERE id = ${people.bob}`))

  test('makes the user one', async () => {
    expect(await ops(['accounts:make-admin', 'bob'])).toMatchObject({ exitCode: 0 })
    expect(await isAdmin()).toBe('t')
  })

  test.each([
    ['the end of the output is lost', { kind: 'drop-before-end', lose: 200, command: /modify/ }],
    ['the answer to the start is lost', { kind: 'reset-after', method: 'POST', path: /\/dynos$/ }],
  ] as const)('%s: the database tells that it is done', async (_name, fault) => {
    app.inject(fault)
    const { exitCode, stderr } = await ops(['accounts:make-admin', 'bob'])
    expect(exitCode, stderr).toBe(0)
    expect(await isAdmin()).toBe('t')
    expect(oneOffs()).toEqual([])
  })

  test('few calls of the client were needed', async () => {
    expect((await app.cliCalls()).length).toBeLessThanOrEqual(10)
  })
})
