import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openBackend } from '../../../src/lib/backends/index.js'
import { type InstanceFlags, resolveInstance } from '../../../src/lib/instance.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { lacks } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import { runsDir } from '../../../src/lib/paths.js'
import { Journal, ownFilesOf } from '../../../src/lib/runbook/journal.js'
import { abandonRun, resumeRun } from '../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../src/lib/runbook/step.js'
import { Runner } from '../../../src/lib/runner.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { toolVersion } from '../../../src/lib/version.js'

const DATABASE_URL = 'postgres://mastodon:secret-word@db.example.org/mastodon'
const VARIABLES = ['PATH', 'HEROKU_HOST', 'HEROKU_API_KEY', 'COMPOSE_FILE', 'XDG_STATE_HOME'] as const
const before = Object.fromEntries(VARIABLES.map(name => [name, process.env[name]]))

let folder: string
let server: Server
let configVars: Record<string, string>

/** A machine with git, a login of Heroku by its key, and neither docker nor the Heroku CLI. */
beforeEach(async () => {
  configVars = {}
  folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-detect-'))
  server = createServer((_request, response) => response.end(JSON.stringify(configVars)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  mkdirSync(join(folder, 'bin'))
  symlinkSync(execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim(), join(folder, 'bin', 'git'))
  delete process.env.COMPOSE_FILE
  process.env.PATH = join(folder, 'bin')
  process.env.HEROKU_HOST = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  process.env.HEROKU_API_KEY = 'secret-token'
  process.env.XDG_STATE_HOME = join(folder, 'state')
})
afterEach(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})

async function open(flags: InstanceFlags, env: NodeJS.ProcessEnv = {}) {
  const instance = await resolveInstance(flags, { XDG_CONFIG_HOME: folder, ...env })
  return openBackend(instance, partsOf())
}

function partsOf() {
  const output = new Output({ logLevel: 'error' })
  const ledger = new Ledger()
  return { output, ledger, runner: new Runner({ output, ledger }) }
}

const titleOf = async (...words: Parameters<typeof open>) => (await open(...words)).title

/** Without Docker such a folder is refused as soon as compose is asked, which shows that it is. */
function composeFolder(): string {
  const dir = join(folder, 'project')
  mkdirSync(dir)
  writeFileSync(join(dir, 'docker-compose.yml'), 'services: {web: {image: mastodon/mastodon}}\n')
  return dir
}

function clone(): string {
  const dir = join(folder, 'clone')
  execFileSync('git', ['init', '-q', dir])
  execFileSync('git', ['-C', dir, 'remote', 'add', 'heroku', 'https://git.heroku.com/app-of-remote.git'])
  return dir
}

describe('HEROKU_APP', () => {
  it('says the app where nothing else was asked for', async () => {
    expect(await titleOf({}, { HEROKU_APP: 'ambient-app', DATABASE_URL })).toBe('Heroku app ambient-app')
  })

  it.each([
    ['-C', (dir: string) => [{ projectDir: dir }, {}] as const],
    ['MSTDN_OPS_PROJECT_DIR', (dir: string) => [{}, { MSTDN_OPS_PROJECT_DIR: dir }] as const],
  ])('does not beat a compose project by %s', async (_how, asked) => {
    const [flags, env] = asked(composeFolder())
    await expect(open(flags, { ...env, HEROKU_APP: 'ambient-app' })).rejects.toMatchObject({
      ...{ exitCode: 3, message: expect.stringMatching(/docker/i) },
    })
  })

  it('does not count in a folder that was asked for: its git remote does', async () => {
    expect(await titleOf({ projectDir: clone() }, { HEROKU_APP: 'ambient-app' })).toBe('Heroku app app-of-remote')
    await expect(open({ projectDir: folder }, { HEROKU_APP: 'ambient-app' })).rejects.toMatchObject({
      code: 'no-instance-found',
    })
  })

  it('is not what --backend heroku in a folder that was asked for means first', async () => {
    const asked = { backend: 'heroku', projectDir: clone() }
    expect(await titleOf(asked, { HEROKU_APP: 'ambient-app' })).toBe('Heroku app app-of-remote')
    expect(await titleOf({ ...asked, projectDir: folder }, { HEROKU_APP: 'ambient-app' })).toBe(
      'Heroku app ambient-app',
    )
  })

  it('yields to MSTDN_OPS_APP, which counts like --app', async () => {
    const env = { HEROKU_APP: 'ambient-app', MSTDN_OPS_APP: 'asked-app', MSTDN_OPS_DATABASE_URL: DATABASE_URL }
    expect(await titleOf({}, env)).toBe('Heroku app asked-app')
  })

  it('without the CLI and without a key leaves it to DATABASE_URL', async () => {
    delete process.env.HEROKU_API_KEY
    const env = { HEROKU_APP: 'ambient-app' }
    expect(await titleOf({}, { ...env, DATABASE_URL })).toBe('database mastodon at db.example.org:5432')
    await expect(open({}, env)).rejects.toMatchObject({ code: 'heroku-cli-missing' })
    await expect(open({ app: 'asked-app' }, { DATABASE_URL })).rejects.toMatchObject({ code: 'heroku-cli-missing' })
  })
})

describe('an app with URLs that cannot be read', () => {
  it.each([
    [{ DATABASE_URL: 'mysql://me:secret-word@host/db' }, 'DATABASE_URL', 'postgres'],
    [{ DATABASE_URL: 'postgres://me:x@host/db?sslmode=secret-word' }, 'DATABASE_URL', 'postgres'],
    [{ REDIS_URL: 'secret-word' }, 'REDIS_URL', 'redis'],
    [{ REDIS_URL: 'redis://host/secret-word"\n"' }, 'REDIS_URL', 'redis'],
  ] as const)('%j opens without that server, and says why without its text', async (vars, name, facet) => {
    configVars = vars
    const backend = await open({ app: 'an-app' })
    expect(backend[facet]).toBeUndefined()
    const error = lacks(backend, facet, 'server')
    expect(error.why).toContain(`${name} cannot be used: it `)
    expect(error.next).toBe(`heroku config:get --app an-app ${name}`)
    expect(JSON.stringify(error)).not.toContain('secret-word')
  })

  it('names the add-on where there is none', async () => {
    const backend = await open({ app: 'an-app' })
    expect(backend.without?.postgres?.next).toContain('addons:create')
    expect(backend.without?.redis?.cause).toContain('REDIS_URL is not among')
  })
})

describe('an unfinished run of another instance', () => {
  const runbook: Runbook<object, object> = { name: 'of-a-test', steps: async () => [], result: async () => ({}) }

  async function toolboxOf(title: string): Promise<Toolbox> {
    const backend = { ...(await open({ app: 'an-app' })), title }
    const instance = { ...(await resolveInstance({ app: 'an-app' }, { XDG_CONFIG_HOME: folder })), name: 'main' }
    return { ...partsOf(), backend, instance, clock: { now: () => new Date() }, dryRun: false } as unknown as Toolbox
  }

  async function unfinished(title: string): Promise<string> {
    const [runId, at] = ['20260101-000000-abcdef', new Date().toISOString()]
    const header = { runId, runbook: 'of-a-test', options: {}, instance: 'main', title, stepIds: [], at }
    const journal = await Journal.create(runsDir('main'), { ...header, toolVersion: toolVersion() })
    await journal.close()
    return runId
  }

  it('is neither resumed nor abandoned, and both are named', async () => {
    const runId = await unfinished('compose project mastodon in /srv/mastodon')
    const toolbox = await toolboxOf('Heroku app an-app')
    for (const work of [() => resumeRun(toolbox, runbook, runId), () => abandonRun(toolbox, runId)]) {
      const error = await work().catch(thrown => thrown)
      expect(error).toMatchObject({ code: 'run-of-another-instance', exitCode: 3 })
      expect(`${error.message} ${error.why}`).toMatch(/compose project mastodon in .*Heroku app an-app/)
    }
  })

  it('is not what a project reached by another path is; abandoned, its own files go', async () => {
    const runId = await unfinished('compose project mastodon in /srv/mastodon')
    const rows = ownFilesOf(runsDir('main'), runId)
    mkdirSync(rows)
    writeFileSync(join(rows, '1.rows'), 'keys and password hashes')
    await abandonRun(await toolboxOf('compose project mastodon in /mnt/mastodon'), runId)
    expect(existsSync(rows)).toBe(false)
  })
})
