import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli, root } from '../../support/cli.js'
import { must } from '../compose/bed/process.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 60_000 })

let app: HerokuApp
let folder: string
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3', redis: false })
  folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-heroku-'))
}, 300_000)
afterAll(async () => {
  await app?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const ops = (words: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Promise<CliResult> =>
  cli(words, { env: { ...app.env, HEROKU_APP: app.app, ...env }, ...(cwd === undefined ? {} : { cwd }) })

function refused({ exitCode, stderr }: CliResult, code: number, ...says: RegExp[]): void {
  expect(exitCode, stderr).toBe(code)
  for (const words of says) expect(stderr).toMatch(words)
  expect(stderr).not.toMatch(/\n {4}at /)
}

/** A PATH on which there is node and git, and no heroku. */
function withoutClient(): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(process.execPath, join(bin, 'node'))
  return bin
}

describe('who is asked', () => {
  test('nobody is logged in', async () => {
    const bin = join(folder, 'logged-out')
    mkdirSync(bin)
    writeFileSync(join(bin, 'heroku'), '#!/bin/sh\necho " ›   Error: not logged in" >&2\nexit 100\n', { mode: 0o755 })
    const result = await ops(['rows'], { HEROKU_API_KEY: '', PATH: `${bin}:${process.env.PATH}` })
    refused(result, 3, /not logged in/, /Next: heroku login/)
  })

  test('the token is not valid any more', async () => {
    refused(await ops(['rows'], { HEROKU_API_KEY: 'HRKU-expired' }), 3, /does not accept the login/, /heroku login/)
  })

  test('there is no client: what needs it says so, what has a key and needs none works', async () => {
    const PATH = withoutClient()
    refused(await ops(['rows'], { PATH, HEROKU_API_KEY: '' }), 3, /The Heroku CLI was not found/, /Install it/)
    refused(await ops(['run', '--', 'true'], { PATH }), 3, /The Heroku CLI was not found/)
    expect(await ops(['rows'], { PATH })).toMatchObject({ exitCode: 0 })
  })

  test('without a key the token of the client is used, by one call', async () => {
    const bin = join(folder, 'logged-in')
    mkdirSync(bin)
    const notes = join(bin, 'calls')
    writeFileSync(join(bin, 'heroku'), `#!/bin/sh\necho "$@" >> ${notes}\necho ${app.token}\n`, { mode: 0o755 })
    const env = { HEROKU_API_KEY: '', PATH: `${bin}:${process.env.PATH}` }
    expect(await ops(['rows'], env)).toMatchObject({ exitCode: 0 })
    expect(readFileSync(notes, 'utf8')).toBe('auth:token\n')
  })

  test('the token is not sent to a host that is not of Heroku', async () => {
    refused(await ops(['rows'], { HEROKU_HOST: 'https://evil.example' }), 2, /HEROKU_HOST names no host of Heroku/)
  })

  test('nobody answers there', async () => {
    refused(await ops(['rows'], { HEROKU_HOST: 'http://127.0.0.1:58999' }), 3, /gave no usable answer/, /ECONNREFUSED/)
  })
})

describe('which app', () => {
  test('one that is not there, and one of somebody else', async () => {
    refused(await ops(['rows', '--app', 'no-such-app']), 3, /no app no-such-app/, /heroku apps/)
    refused(await ops(['rows', '--app', 'someone-elses-app']), 3, /may not do that/)
  })

  test('none is named', async () => {
    refused(
      await ops(['rows', '--backend', 'heroku'], { HEROKU_APP: '' }),
      2,
      /No app on Heroku was named/,
      /--app APP/,
    )
  })

  test.each(['x; touch /tmp/p', '../other', 'a/b?c', 'UPPER', ''])('"%s" is no name of an app', async name => {
    const { exitCode, stderr } = await ops(['rows', '--app', name])
    expect([2, 3], stderr).toContain(exitCode)
  })

  test('the git remote heroku says it, also where a compose file stands beside', async () => {
    const clone = join(folder, 'clone')
    mkdirSync(clone)
    writeFileSync(join(clone, 'docker-compose.yml'), 'services: {web: {image: mastodon/mastodon}}\n')
    await must('git', ['init', '-q', clone])
    await must('git', ['-C', clone, 'remote', 'add', 'heroku', `https://git.heroku.com/${app.app}.git`])
    const result = await ops(['rows', '--json'], { HEROKU_APP: '' }, clone)
    expect(result.exitCode, result.stderr).toBe(0)
  })
})

describe('what the app has not got', () => {
  test('Redis: what needs it is refused with how to get it, the rest works', async () => {
    refused(await ops(['jobs']), 3, /has no Redis/, /addons:create.*heroku-redis/)
    refused(await ops(['redis:cli', '--', 'PING']), 3, /has no Redis/)
    expect(await ops(['accounts:disable-2fa', 'alice'])).toMatchObject({ exitCode: 0 })
  })

  test('a place for more one-offs: those that run are named, and how to stop them', async () => {
    const limited = await startHerokuApp({ version: '4.5.3', redis: false, dynoLimit: 1, migrate: false })
    const env = { ...limited.env, HEROKU_APP: limited.app }
    try {
      const first = cli(['run', '--', 'sleep', '8'], { env })
      await expect.poll(() => limited.dynos().filter(({ type }) => type === 'run').length, { timeout: 30_000 }).toBe(1)
      const name = limited.dynos().find(({ type }) => type === 'run')?.name ?? ''
      const second = await cli(['run', '--', 'true'], { env })
      refused(second, 3, /Cannot run more than 1/, new RegExp(`${name} since`), /ps:stop/)
      expect((await first).exitCode).toBe(0)
    } finally {
      await limited.stop()
    }
  })
})

describe('a pooler before the database', () => {
  test('is named where it is in the way, and reading works', async () => {
    const pooled = await startHerokuApp({ version: '4.5.3', redis: false, pooler: true })
    const env = { ...pooled.env, HEROKU_APP: pooled.app }
    try {
      expect(await cli(['rows'], { env })).toMatchObject({ exitCode: 0 })
      const doctor = await cli(['doctor'], { env, timeoutMs: 120_000 })
      expect(doctor.stdout).toMatch(/pooler stands before PostgreSQL/)
      expect(await cli(['accounts:disable-2fa', 'alice'], { env })).toMatchObject({ exitCode: 0 })
      expect(await cli(['db:migrate'], { env }), 'nothing is pending').toMatchObject({ exitCode: 0 })
      await pooled.psql('DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)')
      refused(await cli(['db:migrate'], { env }), 3, /do not work through the pooler/, /DATABASE_URL/)
    } finally {
      await pooled.stop()
    }
  }, 180_000)
})

describe('certificates', () => {
  test('a server with a self-signed one is not trusted unless that is asked for', async () => {
    refused(await ops(['rows'], { NODE_EXTRA_CA_CERTS: '' }), 3, /self.signed|certificate/i)
    const asked = { NODE_EXTRA_CA_CERTS: '', MSTDN_OPS_ACCEPT_SELF_SIGNED: 'true' }
    expect(await ops(['rows'], asked)).toMatchObject({ exitCode: 0 })
  })
})

/** The newest is what real-client.test.ts drives; the older lines are installed with `--full` only. */
const OLDER = process.env.MSTDN_TEST_FULL ? ['9.5.1', '10.17.0'] : []

describe('the clients of the last years', () => {
  test('the scripted one stands for them elsewhere', async () => {
    expect(await ops(['run', '--', 'sh', '-c', 'echo out; exit 3'])).toMatchObject({ exitCode: 3, stdout: 'out\n' })
  })

  test.each(OLDER)('heroku %s serves', { timeout: 400_000 }, async version => {
    const script = join(root, 'scripts/heroku-cli')
    await must(script, ['up', version])
    const bin = (await must(script, ['path', version])).trim()
    const env = { PATH: `${bin}:${process.env.PATH}` }
    expect((await must('heroku', ['--version'], { env: { ...app.env, ...env } })).startsWith(`heroku/${version}`)).toBe(
      true,
    )
    const ran = await ops(['run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'], env)
    expect(ran.exitCode, ran.stderr).toBe(3)
    expect(ran.stdout).toBe('out\n')
    expect(await ops(['accounts:make-admin', 'bob'], env)).toMatchObject({ exitCode: 0 })
    expect(await ops(['rows'], { ...env, HEROKU_API_KEY: '' })).toMatchObject({ exitCode: 3 })
  })
})
