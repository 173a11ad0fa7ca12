import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { builtCommands, COMMAND_LINES } from '../../support/command-lines.js'
import { stateFolder } from '../../support/state.js'
import { type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 180_000 })

let app: HerokuApp
let state: string
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3' })
  state = stateFolder()
}, 300_000)
afterAll(async () => {
  await app?.stop()
  rmSync(state, { recursive: true, force: true })
})

const here = () => ({ env: { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: state } })
const ops = (words: readonly string[], stdin?: string): Promise<CliResult> =>
  cli(words, { ...here(), ...(stdin === undefined ? {} : { stdin }) })

/** What the platform cannot do: why, and what is done instead. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'assets:precompile': /thrown away.*\n.*Next: .*deploy/is,
  cp: /thrown away.*\n.*Next: .*Deploy/is,
}
/** Each write restarts the app: there is no `--no-restart`. */
const WORDS: Readonly<Record<string, readonly { words: readonly string[]; stdin?: string }[]>> = {
  'config:set': [{ words: ['SMTP_PASSWORD'], stdin: 'VALUE\n' }],
  'config:get': [{ words: [] }, { words: ['SECRET_KEY_BASE', 'SMTP_PASSWORD'] }],
}

/** Every command is called by the canary table; here those whose effect is looked at, and with `--full` all of them. */
const SOME = [
  ...['accounts:make-admin', 'accounts:disable-2fa', 'accounts:reset-password', 'assets:precompile', 'config:set'],
  ...['config:get', 'console', 'cp', 'db:migrate', 'db:psql', 'doctor', 'keys:vapid', 'logs', 'status'],
]
const ids = process.env.MSTDN_TEST_FULL ? builtCommands().filter(id => !id.startsWith('sandbox:')) : SOME

describe.each(ids)('%s', id => {
  it.each([...(WORDS[id] ?? COMMAND_LINES[id] ?? [])])(
    '$words does its work, or says why the platform cannot',
    async line => {
      const result = await ops([id, ...line.words], line.stdin)
      const why = REFUSED[id]
      if (why === undefined) {
        const exits = 'exits' in line ? line.exits : undefined
        expect(exits ?? [0], result.stderr + result.stdout).toContain(result.exitCode)
        return
      }
      expect(result.exitCode).toBe(3)
      expect(result.stderr).toMatch(why)
    },
  )
})

describe('an upgrade', () => {
  it('is planned in a single phase, by what the app has, also where its sources are not to be had', async () => {
    const { stdout, stderr, exitCode } = await ops(['upgrade', '--to', '4.7.4', '--dry-run'])
    expect(exitCode, stderr + stdout).toBe(3)
    const plan = stdout + stderr
    expect(plan).toMatch(/Mastodon 4\.5\.3 to 4\.7\.4/)
    expect(plan).toMatch(/Way +single phase/)
    for (const met of ['PostgreSQL', 'Redis', 'ACTIVE_RECORD_ENCRYPTION', 'REDIS_NAMESPACE']) {
      expect(plan).toMatch(new RegExp(`✔ [^✔✘]*${met}`))
    }
    expect(stderr).toContain('git fetch failed')
  })

  it('is not rehearsed, and it says why and what else can be done', async () => {
    const { exitCode, stdout, stderr } = await ops(['upgrade', '--to', '4.7.4', '--rehearse'])
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
    expect(stderr).toContain('an app and a database of its own')
    expect(stderr).toContain('Restore a backup into a compose project')
  })
})

describe('what the commands have changed', () => {
  it('bob is an administrator, alice has no second factor', async () => {
    const sql = `SELECT (r.permissions & 1) FROM users u JOIN user_roles r ON r.id = u.role_id WHERE u.email LIKE 'bob@%'`
    expect(await app.psql(sql)).toBe('1')
    expect(await app.psql(`SELECT otp_required_for_login FROM users WHERE email LIKE 'alice@%'`)).toBe('f')
  })

  it('the password of the mail server is stored, and no value was an argument of the client', async () => {
    expect(app.config().SMTP_PASSWORD).toBe('VALUE')
    expect(JSON.stringify(await app.cliCalls())).not.toContain('VALUE')
  })

  it('the keys are new ones', () => {
    const changes = app.requests.filter(({ method, path }) => method === 'PATCH' && path.endsWith('/config-vars'))
    expect(changes.some(({ body }) => 'VAPID_PRIVATE_KEY' in body)).toBe(true)
  })

  it('the client was called for one-offs and interactive programs only', async () => {
    const called = new Set((await app.cliCalls()).map(([command]) => command))
    expect([...called]).toEqual(['run'])
  })

  it('no one-off is left', () => {
    expect(app.dynos().filter(({ type }) => type === 'run')).toEqual([])
  })
})

describe('maintenance, scale and releases', () => {
  it('turns the maintenance page on and off, and says when it is so already', async () => {
    expect(app.maintenance()).toBe(false)
    expect(await ops(['maintenance:on'])).toMatchObject({ exitCode: 0 })
    expect(app.maintenance()).toBe(true)
    expect((await ops(['status'])).stdout).toMatch(/maintenance/i)
    const again = await ops(['maintenance:on'])
    expect(again.exitCode).toBe(0)
    expect(await ops(['maintenance:off'])).toMatchObject({ exitCode: 0 })
    expect(app.maintenance()).toBe(false)
  })

  it('scales, shows and refuses', async () => {
    expect(await ops(['scale', 'web=2'])).toMatchObject({ exitCode: 0 })
    expect(app.formation()).toMatchObject({ web: 2 })
    expect((await ops(['scale'])).stdout).toMatch(/web=2/)
    expect(await ops(['scale', 'nothing=1'])).toMatchObject({ exitCode: 3 })
    expect(await ops(['scale', 'web=-1'])).toMatchObject({ exitCode: 2 })
    expect(await ops(['scale', 'web=1'])).toMatchObject({ exitCode: 0 })
  })

  it('a dry run changes nothing and names the plain lines', async () => {
    const before = app.requests.length
    const { stdout, exitCode } = await ops(['scale', 'web=3', '--dry-run'])
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`heroku ps:scale --app ${app.app} web=3`)
    expect(app.requests.slice(before).filter(({ method }) => method !== 'GET')).toEqual([])
  })

  it('lists the releases, the newest first', async () => {
    const { stdout } = await ops(['releases', '-n', '3', '--json'])
    const { releases } = JSON.parse(stdout) as { releases: { label: string; current: boolean }[] }
    expect(releases).toHaveLength(3)
    expect(releases[0]).toMatchObject({ label: `v${app.releases().at(-1)?.version}`, current: true })
  })
})
