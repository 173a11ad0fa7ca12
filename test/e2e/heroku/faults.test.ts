import { rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { stateFolder } from '../../support/state.js'
import { LOG_APPLIED, PENDING, TAKE_BACK } from '../pending-migrations.js'
import { type Fault, type HerokuApp, people, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 180_000 })

const VERSION = '4.5.3'
const FULL = process.env.MSTDN_TEST_FULL !== undefined
/** Every third one, of those that differ in kind only; all of them with `--full`. */
const third = <T>(cases: readonly T[], first: number): readonly T[] => cases.filter((_, at) => FULL || at % 3 === first)

let app: HerokuApp
let state: string
let cache: string
beforeAll(async () => {
  app = await startHerokuApp({ version: VERSION })
  await app.psql(LOG_APPLIED)
  cache = stateFolder()
  // What depends on the deployed code alone is asked once, here, and remembered: faults are to hit what follows.
  state = stateFolder()
  expect((await ops('db:migrate')).exitCode).toBe(0)
  rmSync(state, { recursive: true })
}, 300_000)
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

function ops(...words: string[]): Promise<CliResult> {
  return cli(words, { env: { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: cache } })
}

/** No run waits to be gone on with, and no one-off is left. */
async function expectOver(): Promise<void> {
  expect((await ops('resume')).stdout).toContain('nothing to resume')
  expect(app.dynos().filter(({ type }) => type === 'run')).toEqual([])
}

const sent = (method: string, path: RegExp) =>
  app.requests.filter(request => request.method === method && path.test(request.path)).length

describe('a read of the API', () => {
  test.each([
    ['unauthorized', /not accept the login|not logged in/, /heroku login/],
    ['forbidden', /may not do that/, /heroku access/],
    ['not-found', /no app/, /heroku apps/],
    ['rate-limit', /limit of API requests/, /Wait/],
  ] as const)('%s is told in words, with what to do: 3', async (kind, what, next) => {
    app.inject({ kind, path: /config-vars/, times: 3 })
    const { exitCode, stderr } = await ops('rows')
    expect(exitCode, stderr).toBe(3)
    expect(stderr).toMatch(what)
    expect(stderr).toMatch(next)
  })

  test.each(third(['server-error', 'html', 'truncated', 'reset-before', 'reset-after'] as const, 0))(
    '%s is asked again, and told when it stays',
    async kind => {
      app.inject({ kind, path: /config-vars/, times: 2 })
      expect(await ops('rows')).toMatchObject({ exitCode: 0 })
      app.inject({ kind, path: /config-vars/, times: 3 })
      const { exitCode, stderr } = await ops('rows')
      expect(exitCode).toBe(3)
      expect(stderr).toContain('gave no usable answer')
    },
  )

  test('a slow one is waited for', async () => {
    app.inject({ kind: 'slow', path: /config-vars/, milliseconds: 2_000 })
    expect(await ops('rows')).toMatchObject({ exitCode: 0 })
  })
})

describe('run', () => {
  const run = (script: string) => ops('run', '--', 'sh', '-c', script)

  test.each([0, 3, 137])('the code %i is passed on', async code => {
    expect(await run(`echo out; echo err >&2; exit ${code}`)).toMatchObject({ exitCode: code, stdout: 'out\n' })
  })

  test.each([
    ['drop-at-once', {}],
    ['drop-after', { bytes: 60 }],
    ['drop-before-end', { lose: 200 }],
    ['killed', { milliseconds: 700 }],
  ] as const)('%s: the end was not seen, 8, and nothing is left running', async (kind, more) => {
    app.inject({ kind, ...more } as Fault)
    const { exitCode, stderr } = await run('echo some output; sleep 3; echo more output')
    expect(exitCode, stderr).toBe(8)
    expect(stderr).toContain('was not seen')
    await expectOver()
  })

  test('the marker in two pieces is understood', async () => {
    app.inject({ kind: 'split-marker' })
    expect(await run('echo out; exit 4')).toMatchObject({ exitCode: 4, stdout: 'out\n' })
  })

  test.each([
    ['unprocessable', 'Cannot run more than 1 Free size dynos.'],
    ['server-error', undefined],
    ['not-found', undefined],
    ['unauthorized', undefined],
    ['rate-limit', undefined],
    ['html', undefined],
  ] as const)('%s on the start of the dyno: it ran nowhere, 3', async (kind, message) => {
    const before = app.runs.length
    app.inject({ kind, method: 'POST', path: /\/dynos$/, times: 9, ...(message ? { message } : {}) })
    const { exitCode, stderr } = await run('echo out')
    expect(exitCode, stderr).toBe(3)
    if (message) expect(stderr).toContain(message)
    expect(app.runs.length).toBe(before)
  })

  test('a slow start is waited for', async () => {
    app.inject({ kind: 'slow', method: 'POST', path: /\/dynos$/, milliseconds: 2_000 })
    expect(await run('echo late')).toMatchObject({ exitCode: 0, stdout: 'late\n' })
  })

  test('an answer to the start that breaks off: the dyno may run, 8, and nothing is left running', async () => {
    app.inject({ kind: 'truncated', method: 'POST', path: /\/dynos$/ })
    const { exitCode, stderr } = await run('sleep 2; echo out')
    expect(exitCode, stderr).toBe(8)
    await expectOver()
  })

  test('a client that sends its request twice: it is said that it was started twice, and no dyno is left', async () => {
    const before = app.runs.length
    app.inject({ kind: 'reset-after', method: 'POST', path: /\/dynos$/ })
    const { exitCode, stderr } = await run('sleep 1')
    expect(app.runs.length, 'it did start twice').toBe(before + 2)
    expect(exitCode, stderr).toBe(8)
    expect(stderr).toContain('was started twice')
    await expectOver()
  })
})

describe('accounts:make-admin', () => {
  const isAdmin = () => app.psql(`SELECT role_id IS NOT NULL FROM users WHERE id = ${people.bob}`)
  beforeEach(() => app.psql(`UPDATE users SET role_id = NULL WHERE id = ${people.bob}`))

  test.each([
    ['drop-before-end', { lose: 200 }, 0, 't'],
    ['split-marker', {}, 0, 't'],
    ['drop-at-once', {}, 4, 'f'],
    ['killed', { milliseconds: 1 }, 4, 'f'],
  ] as const)('%s: looked at, it is what the database says', async (kind, more, code, admin) => {
    app.inject({ kind, command: /modify/, ...more } as Fault)
    const { exitCode, stderr } = await ops('accounts:make-admin', 'bob')
    expect(exitCode, stderr).toBe(code)
    expect(await isAdmin()).toBe(admin)
    await expectOver()
  })

  test.each(['unprocessable', 'server-error', 'html'] as const)(
    '%s on the start: 4, and nothing was changed',
    async kind => {
      app.inject({ kind, method: 'POST', path: /\/dynos$/, times: 9 })
      expect(await ops('accounts:make-admin', 'bob')).toMatchObject({ exitCode: 4 })
      expect(await isAdmin()).toBe('f')
      await expectOver()
    },
  )

  test('an answer to the start that breaks off: the dyno is waited for, and the database tells', async () => {
    app.inject({ kind: 'truncated', method: 'POST', path: /\/dynos$/ })
    expect(await ops('accounts:make-admin', 'bob')).toMatchObject({ exitCode: 0 })
    expect(await isAdmin()).toBe('t')
    await expectOver()
  })

  test('a start that is sent twice changes it once', async () => {
    app.inject({ kind: 'reset-after', method: 'POST', path: /\/dynos$/ })
    expect(await ops('accounts:make-admin', 'bob')).toMatchObject({ exitCode: 0 })
    expect(await isAdmin()).toBe('t')
    await expectOver()
  })
})

describe('accounts:reset-password', () => {
  test('a start that is sent twice is not believed: which password counts is not known, 8', async () => {
    expect(await ops('accounts:reset-password', 'alice')).toMatchObject({ exitCode: 0 })
    app.inject({ kind: 'reset-after', method: 'POST', path: /\/dynos$/ })
    const { exitCode, stderr } = await ops('accounts:reset-password', 'alice')
    expect(exitCode, stderr).toBe(8)
    await expectOver()
  })
})

describe('db:migrate', () => {
  beforeEach(() => app.psql(TAKE_BACK))
  const applied = async () => (await app.psql('SELECT version FROM applied_log ORDER BY 1')).split('\n').filter(Boolean)

  test.each(
    third(
      [
        ['slow', 0, PENDING],
        ['truncated', 0, PENDING],
        ['reset-after', 0, PENDING],
        ['reset-before', 4, []],
        ['server-error', 4, []],
        ['html', 4, []],
        ['unprocessable', 4, []],
        ['rate-limit', 4, []],
        ['unauthorized', 4, []],
      ] as const,
      0,
    ),
  )('%s on the start of its dyno: %i, and every migration once or not at all', async (kind, code, done) => {
    app.inject({ kind, method: 'POST', path: /\/dynos$/ })
    const { exitCode, stderr } = await ops('db:migrate')
    expect(exitCode, stderr).toBe(code)
    expect(await applied()).toEqual(done)
    await expectOver()
    await ops('db:migrate')
    expect(await applied(), 'the next run is not in its way').toEqual(PENDING)
  })

  test.each(third(['html', 'truncated', 'reset-before'] as const, 1))(
    '%s while it is followed is of no consequence',
    async kind => {
      app.inject({ kind, method: 'GET', path: /\/dynos$/, times: 2 })
      expect(await ops('db:migrate')).toMatchObject({ exitCode: 0 })
      expect(await applied()).toEqual(PENDING)
    },
  )

  test('a log that is lost: the database tells that it is done', async () => {
    app.inject({ kind: 'forbidden', method: 'POST', path: /log-sessions/, times: 200 })
    const { exitCode, stderr } = await ops('db:migrate')
    expect(exitCode, stderr).toBe(0)
    expect(await applied()).toEqual(PENDING)
  })
})

describe.each([
  ['config:set', ['SMTP_LOGIN'], 'SMTP_LOGIN', 0],
  ['keys:vapid', ['--replace', '--confirm', 'mastodon.example'], 'VAPID_PRIVATE_KEY', 1],
] as const)('%s', (command, words, variable, turn) => {
  const change = () =>
    command === 'config:set'
      ? cli(['config:set', words[0]], {
          env: { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: cache },
          stdin: `value ${Date.now()}\n`,
        })
      : ops(command, ...words)

  test.each(
    third(
      [
        ['slow', 0],
        ['truncated', 0],
        ['reset-after', 0],
        ['reset-before', 4],
        ['server-error', 4],
        ['html', 4],
        ['unprocessable', 4],
        ['not-found', 4],
        ['rate-limit', 4],
        ['unauthorized', 4],
        ['forbidden', 4],
      ] as const,
      turn,
    ),
  )('%s on the write: %i, sent once, and what stands is told truly', async (kind, code) => {
    const before = app.config()[variable]
    const patches = sent('PATCH', /config-vars/)
    app.inject({ kind, method: 'PATCH', path: /config-vars/ })
    const { exitCode, stderr } = await change()
    expect(exitCode, stderr).toBe(code)
    expect(app.config()[variable] !== before).toBe(code === 0)
    expect(sent('PATCH', /config-vars/)).toBe(patches + 1)
    await expectOver()
  })
})

describe('what is looked at after a change', () => {
  test.each([
    ['restart', ['restart']],
    ['config:set', ['config:set', 'SMTP_LOGIN']],
    ['scale', ['scale', 'web=2']],
  ] as const)('%s goes on although the API fails for a while', async (_name, words) => {
    app.inject({ kind: 'html', method: 'GET', path: /\/dynos$/, times: 2 })
    const { exitCode, stderr } = await cli(words, {
      env: { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: cache },
      stdin: `another ${Date.now()}\n`,
    })
    expect(exitCode, stderr).toBe(0)
    await expectOver()
  })

  test('a process type of which none is wanted is left out of a restart', async () => {
    expect(await ops('scale', 'worker=0')).toMatchObject({ exitCode: 0 })
    expect(await ops('restart')).toMatchObject({ exitCode: 0 })
    expect(app.formation()).toMatchObject({ worker: 0 })
    expect((await ops('restart', '--role', 'sidekiq')).stderr).toMatch(/nothing to restart/)
    expect(await ops('scale', 'worker=1', 'web=1')).toMatchObject({ exitCode: 0 })
  })
})

describe('restart', () => {
  const worker = () => app.dynos().find(({ type }) => type === 'worker')?.id

  test.each(
    third(
      [
        ['slow', 0, true],
        ['truncated', 0, true],
        ['reset-after', 0, true],
        ['reset-before', 4, false],
        ['server-error', 4, false],
        ['html', 4, false],
        ['forbidden', 4, false],
      ] as const,
      1,
    ),
  )('%s on the request: %i; restarted: %s', async (kind, code, anew) => {
    const before = worker()
    app.inject({ kind, method: 'DELETE' })
    const { exitCode, stderr } = await ops('restart', '--role', 'sidekiq')
    expect(exitCode, stderr).toBe(code)
    expect(worker() !== before).toBe(anew)
    await expectOver()
  })
})
