/* biome-ignore-all lint/suspicious/noControlCharactersInRegex: finding control characters is this file's purpose */
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../support/cli.js'
import { builtCommands } from '../support/command-lines.js'
import { stateFolder } from '../support/state.js'

/** What a shell, an SQL server or a terminal that takes the words for its own would make. */
const TRACE = join(tmpdir(), `mstdn-ops-injected-${process.pid}`)
const HOSTILE = [
  `x; touch ${TRACE}`,
  `$(touch ${TRACE})`,
  `\`touch ${TRACE}\``,
  `x' || touch ${TRACE} || '`,
  `a"b'c`,
  `'; DROP TABLE web_push_subscriptions; --`,
  'a\nb',
  '\u001b[31mred\u001b[0m',
  '\u202egnp.exe',
]

/** Every word that an operator, or a page they copied from, can put in. `null` is a command without such a word. */
const PLACES: Readonly<Record<string, ((word: string) => string[])[] | null>> = {
  'accounts:approve': [word => [word]],
  'accounts:confirm': [word => [word]],
  'accounts:create': [
    word => [word, '--email', 'x@mastodon.example'],
    word => ['carol', '--email', word],
    word => ['carol', '--email', 'x@mastodon.example', '--role', word],
  ],
  'accounts:disable-2fa': [word => [word]],
  'accounts:limit': [word => [word]],
  'accounts:list': [word => ['-n', word]],
  'accounts:make-admin': [word => [word], word => ['--', word]],
  'accounts:reset-password': [word => [word]],
  'accounts:suspend': [word => [word, '--confirm', 'mastodon.example'], word => ['mallory', '--confirm', word]],
  'accounts:unsuspend': [word => [word]],
  'assets:precompile': null,
  'cache:clear': null,
  'config:backup': [word => ['--output', word]],
  'config:restore': [word => [word], word => ['latest', '--identity', word]],
  'config:get': [word => [word]],
  'config:set': [word => [word], word => ['SMTP_LOGIN', '--from-file', word]],
  console: null,
  cp: [word => [`web:/tmp/${word}`, '.'], word => [`${word}:/tmp/x`, '.']],
  daily: [word => ['--media-days', word]],
  'db:backup': [word => ['--label', word, '--if-older-than', word], word => ['--with', word], word => ['--rate', word]],
  'db:discard': [word => [word, '--yes']],
  'db:drop-leftovers': [word => [word, '--yes']],
  'db:backups': null,
  'db:migrate': [word => ['--phase', word]],
  'db:prune': [word => ['--keep-daily', word], word => ['--keep-label', word]],
  // SQL, and a command of Redis, are the operator's own words to the server.
  'db:psql': null,
  'db:reset': [
    word => ['--drop', word],
    word => ['--to', word],
    word => ['--confirm', word],
    word => ['--new-database', word],
  ],
  'db:restore': [word => [word, '--confirm', 'mastodon.example'], word => ['latest', '--confirm', word]],
  'db:seed': null,
  'db:verify': [word => [word], word => ['latest', '--identity', word]],
  diagnose: [word => ['--log', word]],
  doctor: null,
  'feeds:build': [word => [word]],
  'feeds:clear': null,
  jobs: null,
  'jobs:clear': [word => [word, '--yes']],
  'jobs:retry': null,
  'jobs:run': [word => [word]],
  'keys:check': null,
  'keys:secrets': [word => ['--for', word]],
  'keys:vapid': [word => ['--replace', '--confirm', word]],
  logs: [word => ['--role', word], word => ['-n', word]],
  'maintenance:off': null,
  'maintenance:on': null,
  'media:refresh': [word => ['--account', word], word => ['--domain', word], word => ['--status', word]],
  'media:remove': [word => ['--days', word]],
  'push:clear': null,
  'redis:cli': null,
  'redis:drop-namespace': null,
  'registrations:approved': null,
  'registrations:close': null,
  'registrations:open': null,
  releases: [word => ['-n', word]],
  restart: [word => ['--role', word]],
  resume: null,
  rollback: [word => [word, '--confirm', 'mastodon.example']],
  rows: [word => ['--budget-rows', word], word => ['-i', word]],
  run: null,
  runs: null,
  'runs:show': [word => [word]],
  'sandbox:start': [word => ['--statuses', word]],
  'sandbox:stop': null,
  scale: [word => [word], word => [`${word}=1`]],
  setup: [
    word => ['--domain', word, '--owner', 'alice', '--owner-email', 'alice@mastodon.example'],
    word => ['--answers', `/nowhere/${word}`],
  ],
  shell: null,
  'single-user:off': null,
  'single-user:on': null,
  status: null,
  'support-bundle': [word => ['-n', word], word => ['--output', `/nowhere/${word}`]],
  upgrade: [word => ['--to', word], word => ['--checkout', word]],
}

/** An instance that the words are tried on: Mastodon 4.5.3 with the demo's people. */
export interface Target {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Flags that `config:set` needs here so that the test need not wait for a restart. */
  readonly setFlags: readonly string[]
  psql(sql: string): Promise<string>
  redis(...args: string[]): Promise<string>
  /** The stored configuration, as one text. */
  configuration(): Promise<string>
  /** Whether the file is there on the instance's side. */
  holds(path: string): Promise<boolean>
  stop(): Promise<void>
}

/**
 * Puts hostile words wherever an operator can put one, and hostile names where the instance shows them. With reduced
 * counts each place meets every `turns`-th word.
 */
export function injectionTable(start: () => Promise<Target>, { turns } = { turns: HOSTILE.length }): void {
  vi.setConfig({ testTimeout: 180_000 })
  let stack: Target
  let state: string
  beforeAll(async () => {
    stack = await start()
    state = stateFolder()
  }, 300_000)
  afterAll(async () => {
    await stack?.stop()
    rmSync(state, { recursive: true, force: true })
    rmSync(TRACE, { force: true })
  })

  function run(words: readonly string[], stdin?: string): Promise<CliResult> {
    const options = { cwd: stack.cwd, env: { ...stack.env, XDG_STATE_HOME: state } }
    return cli(words, { ...options, ...(stdin === undefined ? {} : { stdin }) })
  }

  /** C0 and C1 controls but tab and newline, and the marks that reorder text. */
  const RAW = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

  /** The terminal is spared, and nothing of it ran here. */
  function expectSpared({ stdout, stderr }: CliResult): void {
    expect(stdout + stderr).not.toMatch(RAW)
    expect(existsSync(TRACE)).toBe(false)
  }

  /** Nothing of it ran, here or in a container, and the terminal is spared. */
  async function expectHarmless(result: CliResult): Promise<void> {
    expectSpared(result)
    expect(await stack.holds(TRACE)).toBe(false)
    expect(await stack.psql("SELECT to_regclass('web_push_subscriptions') IS NOT NULL")).toBe('t')
  }

  it('knows the places of every command', () => {
    expect(builtCommands().filter(id => PLACES[id] === undefined)).toEqual([])
  })

  /** Words meet places in turn, so that each word meets several places; every word every place with `--full`. */
  const share = (at: number) =>
    HOSTILE.filter((_, index) => process.env.MSTDN_TEST_FULL !== undefined || (index + at) % turns === 0)

  const cases = builtCommands()
    .flatMap(id => (PLACES[id] ?? []).map(place => ({ id, place })))
    .flatMap(({ id, place }, at) => share(at).map(word => ({ id, words: place(word) })))

  describe('hostile words', () => {
    let before: string
    beforeAll(async () => {
      before = await stack.configuration()
    })

    it.each(cases)('$id $words is refused', async ({ id, words }) => {
      const result = await run([id, ...words])
      expect([2, 3], result.stdout + result.stderr).toContain(result.exitCode)
      expectSpared(result)
    })

    it('leave no trace in any container, and the configuration as it was', async () => {
      await expectHarmless({ exitCode: 0, stdout: '', stderr: '' })
      expect(await stack.configuration()).toBe(before)
    })
  })

  describe('hostile names that are there already', () => {
    it("a role called A'; -- is given by its name, and the table stands", async () => {
      await stack.psql(`UPDATE user_roles SET name = 'A''; -- ' || chr(27) || '[31m' WHERE permissions & 1 = 1`)
      const result = await run(['accounts:make-admin', 'bob'])
      expect(result.exitCode, result.stderr).toBe(0)
      await expectHarmless(result)
      expect(await stack.psql('SELECT count(*) FROM users WHERE role_id = (SELECT max(id) FROM user_roles)')).not.toBe(
        '0',
      )
    })

    it('tables called "a;b and with an escape sequence are counted', async () => {
      await stack.psql(`CREATE TABLE """a;b" AS SELECT generate_series(1, 5000) AS id`)
      await stack.psql(
        `DO $$ BEGIN EXECUTE format('CREATE TABLE %I AS SELECT generate_series(1, 4000) AS id', 'e' || chr(27) || '[31m; DROP TABLE users'); END $$`,
      )
      const result = await run(['rows', '--exact'])
      expect(result.exitCode, result.stderr).toBe(0)
      expect(result.stdout).toContain('"a;b')
      await expectHarmless(result)
      const json = await run(['rows', '--exact', '--json'])
      expect(JSON.stringify(JSON.parse(json.stdout))).toContain('a;b')
      expect(json.stdout).not.toMatch(RAW)
    })

    it('a queue with an escape sequence is shown by marks', async () => {
      await stack.redis('SADD', 'queues', 'evil\u001b[2J')
      await stack.redis('LPUSH', 'queue:evil\u001b[2J', '{"class":"\u001b[31mX","args":[],"jid":"1","enqueued_at":1}')
      const result = await run(['jobs'])
      expect(result.exitCode, result.stderr).toBe(0)
      expect(result.stdout).toContain('evil')
      await expectHarmless(result)
    })

    it('a variable with an escape sequence is shown by marks', async () => {
      await stack.psql('SELECT 1')
      const result = await run(['config:set', 'SMTP_LOGIN', ...stack.setFlags], 'a\u001b[31mb')
      expect(result.exitCode).toBe(2)
      await expectHarmless(result)
    })

    it.each(HOSTILE.slice(0, 6))('%s as a value is stored as it is', async value => {
      const set = await run(['config:set', 'SMTP_LOGIN', ...stack.setFlags], value)
      expect(set.exitCode, set.stderr).toBe(0)
      await expectHarmless(set)
      const { stdout } = await run(['config:get', 'SMTP_LOGIN', '--json'])
      expect(JSON.parse(stdout).variables).toMatchObject([{ name: 'SMTP_LOGIN', stored: value }])
    })
  })
}
