import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Finished, finish } from '../compose/bed/process.js'
import { demoCounts, type Fault, type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 60_000 })

/** The first start on a machine builds the images and installs the client. */
const firstStart = 900_000
const scriptedClient = fileURLToPath(new URL('client/heroku', import.meta.url))
const MULTI_LINE = 'first line\n second "line" $HOME\n'

let app: HerokuApp
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3', client: 'real', config: { MULTI_LINE } })
}, firstStart)
afterEach(() => app?.clearFaults())
afterAll(() => app?.stop())

/** Both clients are called as `heroku WORDS`; only the program differs. */
const real = (words: readonly string[], stdin = '') => finish('heroku', words, { env: app.env, stdin })
const scripted = (words: readonly string[], stdin = '') => finish(scriptedClient, words, { env: app.env, stdin })
const runWords = (command: string) => ['run', '--exit-code', '--no-tty', '--app', app.app, '--', command]

interface Case {
  readonly title: string
  readonly command: string
  readonly stdin?: string
  readonly fault?: Fault
  readonly code: number
  readonly stdout: string
  readonly stderr: RegExp
}

const unknown = /No exit code returned/
const cases: Case[] = [
  {
    title: 'a command that fails: its exit code, both streams in order',
    command: '(echo one; echo two >&2; echo three; exit 7)',
    ...{ code: 7, stdout: 'one\ntwo\nthree\n', stderr: /Process exited with code 7/ },
  },
  {
    title: 'standard input and a variable of several lines',
    command: 'cat; printf %s "$MULTI_LINE"',
    ...{ stdin: 'né\nend\n', code: 0, stdout: `né\nend\n${MULTI_LINE}`, stderr: /up, run\.\d+/ },
  },
  {
    title: 'an exit that ends the shell before the marker',
    command: 'echo one; exit 3',
    ...{ code: 1, stdout: 'one\n', stderr: unknown },
  },
  {
    title: 'a marker in two chunks is not seen',
    command: 'echo one',
    fault: { kind: 'split-marker' },
    ...{ code: 1, stdout: 'one\n\uFFFF heroku-command-exit-status: 0\n', stderr: unknown },
  },
  {
    title: 'a POST whose answer was lost is sent again: the command runs twice',
    command: 'echo one',
    fault: { kind: 'reset-after', method: 'POST', path: /dynos$/ },
    ...{ code: 0, stdout: 'one\n', stderr: /up, run\.\d+/ },
  },
  {
    title: 'the limit of one-offs',
    command: 'echo one',
    fault: { kind: 'unprocessable', method: 'POST', message: 'Cannot run more than 1 Free size dynos.' },
    ...{ code: 2, stdout: '', stderr: /Cannot run more than 1 Free size dynos\.[\s\S]*Error ID: invalid_params/ },
  },
]

function expectCase(found: Finished, { code, stdout, stderr }: Case): void {
  expect(found, found.stderr).toMatchObject({ code, stdout })
  expect(found.stderr).toMatch(stderr)
}

describe('run, by the real client and by the scripted one', () => {
  test.each(cases)('$title', async wanted => {
    for (const client of [real, scripted]) {
      const runs = app.runs.length
      if (wanted.fault) app.inject(wanted.fault)
      expectCase(await client(runWords(wanted.command), wanted.stdin), wanted)
      const expected = { 'reset-after': 2, unprocessable: 0 }[wanted.fault?.kind as string] ?? 1
      await vi.waitFor(() =>
        expect(app.runs.slice(runs).map(run => run.ended !== undefined)).toEqual(Array(expected).fill(true)),
      )
    }
    await vi.waitFor(() => expect(app.dynos().filter(({ type }) => type === 'run')).toEqual([]))
  })

  test('Mastodon boots in a one-off, with its database and its Redis', async () => {
    const command =
      'bin/tootctl accounts modify bob --confirm && bin/rails db:migrate:status && bin/tootctl cache clear'
    const { code, stdout } = await scripted(runWords(command))
    expect(code, stdout).toBe(0)
    expect(stdout).toMatch(/up\s+\d{14}/)
    expect(await app.redis('exists', 'cache:entry0')).toBe('0')
  })
})

describe('the real client', () => {
  test('config:set makes a release and restarts all dynos', async () => {
    const before = app.dynos().map(({ id }) => id)
    const release = app.releases().length
    const { stderr } = await real(['config:set', 'MOTTO=two words', '--app', app.app])
    expect(stderr).toContain(`done, v${release + 1}`)
    expect(app.config().MOTTO).toBe('two words')
    expect(app.releases().at(-1)).toEqual({ version: release + 1, description: 'Set MOTTO config var' })
    expect(app.dynos().some(({ id }) => before.includes(id))).toBe(false)
    expect(app.requests.at(-2)).toMatchObject({ method: 'PATCH', body: { MOTTO: 'two words' } })
  })

  test('an add-on’s own variable is not the app’s to change', async () => {
    const { code, stderr } = await real(['config:unset', 'DATABASE_URL', '--app', app.app])
    expect(code).not.toBe(0)
    expect(stderr).toContain('Cannot overwrite attachment values DATABASE_URL.')
  })

  test('ps, scale, maintenance, releases', async () => {
    await vi.waitFor(() => expect(app.dynos().every(({ state }) => state === 'up')).toBe(true))
    const dynos = JSON.parse((await real(['ps', '--json', '--app', app.app])).stdout) as {
      name: string
      state: string
    }[]
    expect(dynos.map(({ name, state }) => `${name} ${state}`)).toEqual(['web.1 up', 'worker.1 up'])
    await real(['ps:scale', 'worker=0', '--app', app.app])
    expect(app.formation()).toEqual({ web: 1, worker: 0 })
    await real(['maintenance:on', '--app', app.app])
    expect(app.maintenance()).toBe(true)
    const { stdout } = await real(['releases', '--json', '--num', '1', '--app', app.app])
    expect(JSON.parse(stdout)).toMatchObject([{ version: app.releases().length, current: true, status: 'succeeded' }])
  })

  test('logs of one dyno, and of a detached one-off', async () => {
    app.log('hello from the web', 'web.1')
    const { stdout } = await real(['run:detached', '--app', app.app, '--', 'echo hello from afar'])
    const dyno = /run\.\d+/.exec(stdout)?.[0] ?? ''
    await vi.waitFor(
      () => expect(app.logs().join('\n')).toContain(`heroku[${dyno}]: State changed from up to complete`),
      20_000,
    )
    const logs = (await real(['logs', '--num', '50', '--dyno', dyno, '--app', app.app])).stdout
    expect(logs).toContain(`app[${dyno}]: hello from afar`)
    expect(logs).toContain(`heroku[${dyno}]: Process exited with status 0`)
    expect(logs).not.toContain('hello from the web')
  })

  test('pg:psql, pg:info and redis:info reach real servers', async () => {
    const count = await real(['pg:psql', '--command', 'SELECT count(*) AS posts FROM statuses', '--app', app.app])
    expect(count.stdout, count.stderr).toContain(String(demoCounts.localStatuses + demoCounts.remoteStatuses))
    expect((await real(['pg:info', '--app', app.app])).stdout).toMatch(/PG Version:\s+15\./)
    expect((await real(['redis:info', '--app', app.app])).stdout).toMatch(/Version:\s+7\./)
  })
})

test('each call of either client was seen', async () => {
  expect((await app.cliCalls()).length).toBeLessThanOrEqual(20)
  expect(await app.cliCalls()).toContainEqual(runWords('echo one'))
})

describe('what can go wrong', () => {
  test.each<{ fault: Fault; code: number; stderr: RegExp; runs: number }>([
    { fault: { kind: 'unauthorized' }, code: 1, stderr: /HEROKU_API_KEY is invalid/, runs: 0 },
    { fault: { kind: 'forbidden' }, code: 2, stderr: /Error ID: forbidden/, runs: 0 },
    { fault: { kind: 'not-found' }, code: 2, stderr: /Couldn't find that app\./, runs: 0 },
    { fault: { kind: 'rate-limit', path: /account/ }, code: 2, stderr: /Error ID: rate_limit/, runs: 0 },
    { fault: { kind: 'server-error', method: 'POST' }, code: 2, stderr: /Internal server error/, runs: 0 },
    { fault: { kind: 'html' }, code: 1, stderr: /HTTP Error 503/, runs: 0 },
    { fault: { kind: 'reset-before', method: 'POST', times: 2 }, code: 0, stderr: /up, run/, runs: 1 },
    { fault: { kind: 'slow', milliseconds: 300 }, code: 0, stderr: /up, run/, runs: 1 },
    // The process runs although its client never learned of it.
    { fault: { kind: 'truncated', method: 'POST' }, code: 1, stderr: /SyntaxError/, runs: 1 },
    { fault: { kind: 'drop-at-once' }, code: 1, stderr: unknown, runs: 0 },
    { fault: { kind: 'drop-before-end' }, code: 1, stderr: unknown, runs: 1 },
    { fault: { kind: 'drop-before-end', lose: 100 }, code: 1, stderr: unknown, runs: 1 },
    { fault: { kind: 'killed', milliseconds: 100 }, code: 1, stderr: unknown, runs: 1 },
  ])('$fault', async wanted => {
    const runs = app.runs.length
    app.inject(wanted.fault)
    const { code, stderr } = await scripted(runWords('echo one; sleep 0.5; echo two'))
    expect(code, stderr).toBe(wanted.code)
    expect(stderr).toMatch(wanted.stderr)
    await vi.waitFor(() => expect(app.dynos().filter(({ type }) => type === 'run')).toEqual([]), 10_000)
    const ended = app.runs.slice(runs).map(run => run.ended?.killed ?? run.ended?.exitCode)
    expect(ended).toEqual(wanted.runs === 0 ? [] : [wanted.fault.kind === 'killed' ? 'memory' : 0])
  })
})

describe('the platform’s limits', () => {
  test('the database’s owner cannot go elsewhere, nor make another', async () => {
    const elsewhere = new URL(app.databaseUrl)
    elsewhere.pathname = '/postgres'
    const psql = (url: string, sql: string) => finish('psql', [url, '-XAtc', sql])
    expect((await psql(elsewhere.href, 'SELECT 1')).stderr).toContain('permission denied for database "postgres"')
    expect((await psql(app.databaseUrl, 'CREATE DATABASE other')).stderr).toContain(
      'permission denied to create database',
    )
    const plain = `${app.databaseUrl}?sslmode=disable`
    expect((await psql(plain, 'SELECT 1')).stderr).toContain('no pg_hba.conf entry')
  })

  test('a process ends when its client goes', async () => {
    app.inject({ kind: 'drop-after', bytes: 4 })
    const { code, stdout } = await scripted(runWords('echo one; sleep 60; echo two'))
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'one\n' })
    await vi.waitFor(() => expect(app.runs.at(-1)?.ended).toMatchObject({ killed: 'disconnect' }), 10_000)
  })

  test('only known faces', async () => {
    const ask = async (path: string, token: string) => {
      const response = await fetch(`${app.env.HEROKU_HOST}${path}`, { headers: { authorization: `Bearer ${token}` } })
      return { status: response.status, body: await response.json() }
    }
    const stranger = { id: 'unauthorized', message: 'Invalid credentials provided.' }
    expect(await ask(`/apps/${app.app}`, 'wrong')).toEqual({ status: 401, body: stranger })
    expect(await ask('/apps/nothing', app.token)).toMatchObject({
      status: 404,
      body: { message: "Couldn't find that app." },
    })
    expect(await ask('/apps/someone-elses-app', app.token)).toMatchObject({ status: 403, body: { id: 'forbidden' } })
  })
})
