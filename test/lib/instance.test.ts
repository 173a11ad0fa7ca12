import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatorError } from '../../src/lib/errors.js'
import { type InstanceFlags, resolveInstance } from '../../src/lib/instance.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-config-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function resolveWith(yaml: string, flags: InstanceFlags = {}, env: NodeJS.ProcessEnv = {}) {
  const path = join(dir, 'mstdn-ops.yaml')
  writeFileSync(path, yaml)
  return resolveInstance(flags, { MSTDN_OPS_CONFIG: path, ...env })
}

async function refusal(work: Promise<unknown>): Promise<OperatorError> {
  const error = await work.then(() => undefined).catch(thrown => thrown)
  expect(error).toBeInstanceOf(OperatorError)
  return error as OperatorError
}

describe('a configuration file', () => {
  it('gives the only instance without a flag, with folders relative to the file', async () => {
    const instance = await resolveWith(
      'instances:\n  main:\n    backend: compose\n    project_dir: mastodon\n    budget: {rows: 10000}\n',
    )
    expect(instance).toMatchObject({
      name: 'main',
      backend: 'compose',
      projectDir: join(dir, 'mastodon'),
      budget: { rows: 10000 },
    })
  })

  it('lets the environment win over the file, and flags over both', async () => {
    const yaml = 'instances:\n  main:\n    backend: compose\n    project_dir: a\n'
    expect((await resolveWith(yaml, {}, { MSTDN_OPS_PROJECT_DIR: '/b' })).projectDir).toBe('/b')
    expect((await resolveWith(yaml, { projectDir: '/c' }, { MSTDN_OPS_PROJECT_DIR: '/b' })).projectDir).toBe('/c')
    expect((await resolveWith(yaml, { backend: 'direct' })).backend).toBe('direct')
  })

  it('takes the default of several, and -i over it', async () => {
    const yaml = 'default: b\ninstances:\n  a: {domain: a.example}\n  b: {domain: b.example}\n'
    expect((await resolveWith(yaml)).domain).toBe('b.example')
    expect((await resolveWith(yaml, { instance: 'a' })).domain).toBe('a.example')
    expect((await resolveWith(yaml, {}, { MSTDN_OPS_INSTANCE: 'a' })).domain).toBe('a.example')
  })

  it('names every mistake at once, each with its line and what is allowed', async () => {
    const yaml = [
      'default: nowhere',
      'instances:',
      '  main:',
      '    backend: kubernetes',
      '    projectdir: x',
      '    domain: https://example.social',
      '    budget:',
      '      heroku_plan: hobby',
      '      rows: many',
    ].join('\n')
    const error = await refusal(resolveWith(yaml, {}, { MSTDN_OPS_BACKED: 'compose', MSTDN_OPS_LOG_LEVEL: 'loud' }))
    const path = join(dir, 'mstdn-ops.yaml')
    expect(error.exitCode).toBe(2)
    expect(error.why?.split('\n')).toEqual([
      expect.stringMatching(
        /^environment MSTDN_OPS_BACKED: is not a variable of mstdn-ops \(allowed: .*MSTDN_OPS_BACKEND/,
      ),
      'environment MSTDN_OPS_LOG_LEVEL: is "loud" (allowed: error, warn, info, debug)',
      `${path}:4: instances.main.backend is "kubernetes" (allowed: compose, heroku, direct, sandbox)`,
      expect.stringMatching(/:5: instances\.main\.projectdir is not a setting \(allowed: backend, project_dir, /),
      expect.stringContaining(`${path}:6: instances.main.domain is "https://example.social": must be a domain`),
      `${path}:8: instances.main.budget.heroku_plan is "hobby" (allowed: mini, basic, essential-0, essential-1, essential-2)`,
      `${path}:9: instances.main.budget.rows is "many": must be a number`,
    ])
  })

  it('says where broken YAML breaks', async () => {
    const error = await refusal(resolveWith('instances:\n  main:\n   backend: [compose\n'))
    expect(error.exitCode).toBe(2)
    expect(error.why).toMatch(/mstdn-ops\.yaml:\d+: /)
  })

  it('refuses a default that is no instance', async () => {
    const error = await refusal(resolveWith('default: main\ninstances:\n  other: {}\n'))
    expect(error.why).toContain(':1: default is "main", which is no instance of this file (allowed: other)')
  })

  it('refuses an instance that is not there, naming those that are', async () => {
    const error = await refusal(resolveWith('instances:\n  a: {}\n  b: {}\n', { instance: 'c' }))
    expect(error).toMatchObject({ exitCode: 2, code: 'unknown-instance' })
    expect(error.next).toContain('a, b')
  })

  it('asks for -i when several are configured and none is the default', async () => {
    expect(await refusal(resolveWith('instances:\n  a: {}\n  b: {}\n'))).toMatchObject({
      exitCode: 2,
      code: 'instance-not-chosen',
    })
  })

  it('refuses a named file that does not exist', async () => {
    const error = await refusal(resolveInstance({}, { MSTDN_OPS_CONFIG: join(dir, 'none.yaml') }))
    expect(error.why).toContain('none.yaml, which does not exist')
  })
})

describe('where backups go', () => {
  const recipient = `age1${'q'.repeat(58)}`

  it('is a folder relative to the file, with what stays', async () => {
    const yaml = `instances:\n  a:\n    backups: {dir: kept, recipient: ${recipient}, keep: {daily: 3, monthly: 0}}\n`
    const { backups } = await resolveWith(yaml)
    expect(backups).toEqual({ dir: join(dir, 'kept'), recipient, keep: { daily: 3, monthly: 0 } })
  })

  it('can be said by variables, which win one by one', async () => {
    const yaml = 'instances:\n  a: {backups: {dir: kept, keep: {daily: 3}}}\n'
    const env = { MSTDN_OPS_BACKUP_DIR: '/b', MSTDN_OPS_BACKUP_RECIPIENT: recipient }
    expect((await resolveWith(yaml, {}, env)).backups).toEqual({ dir: '/b', recipient, keep: { daily: 3 } })
    const one = await resolveWith(yaml, {}, { MSTDN_OPS_BACKUP_RECIPIENT: recipient })
    expect(one.backups).toEqual({ dir: join(dir, 'kept'), recipient, keep: { daily: 3 } })
    expect((await resolveWith('instances:\n  a: {}\n')).backups).toEqual({})
  })

  it('is another for each instance', async () => {
    const yaml = 'instances:\n  a:\n    backups: {dir: kept}\n  b:\n    backups: {dir: ./kept/}\n'
    const error = await refusal(resolveWith(yaml, { instance: 'a' }))
    expect(error.why).toMatch(/:5: instances\.b\.backups\.dir is the folder of "a" already$/)
  })

  it('is checked with the rest, and a secret key in the wrong place is not shown', async () => {
    const secret = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`
    const yaml = [
      'instances:',
      '  a:',
      '    backups:',
      '      folder: x',
      `      recipient: ${secret}`,
      '      keep: {daily: -1, yearly: 2}',
    ].join('\n')
    const error = await refusal(resolveWith(yaml, {}, { MSTDN_OPS_BACKUP_RECIPIENT: 'ssh-ed25519 AAAA' }))
    expect(error.exitCode).toBe(2)
    expect(error.why?.split('\n')).toEqual([
      'environment MSTDN_OPS_BACKUP_RECIPIENT: is a key of ssh: only recipients of age are understood (age1…)',
      expect.stringMatching(/:4: .*backups\.folder is not a setting \(allowed: dir, recipient, keep\)/),
      expect.stringMatching(/:5: instances\.a\.backups\.recipient is a secret key: put its public half here/),
      expect.stringMatching(/:6: instances\.a\.backups\.keep\.daily is -1: must be at least 0/),
      expect.stringMatching(/:6: .*keep\.yearly is not a setting \(allowed: daily, weekly, monthly\)/),
    ])
    expect(JSON.stringify(error)).not.toContain('QQQQ')
  })
})

describe('an app that is named', () => {
  const yaml = [
    'default: main',
    'instances:',
    '  main: {backend: compose, project_dir: mastodon, domain: main.example, roles: {web: [site]}, budget: {rows: 5}}',
    '  big: {app: big-app, domain: big.example}',
    '  other: {backend: direct, app: kept-app, database_url: postgres://a@b/c}',
    '  bare: {domain: bare.example}',
    '  folder: {project_dir: x}',
  ].join('\n')
  const byFlag = (app: string) => [{ app }, {}] as const
  const byVariable = (app: string) => [{}, { MSTDN_OPS_APP: app }] as const

  it.each([byFlag('new-app'), byVariable('new-app')])(
    'takes nothing from an instance that is another',
    async (...by) => {
      const instance = await resolveWith(yaml, ...by)
      expect(instance).toMatchObject({
        name: '',
        backend: 'heroku',
        app: 'new-app',
        projectDirGiven: false,
        budget: {},
        backups: {},
      })
      expect(Object.keys(instance)).not.toContain('domain')
      expect(Object.keys(instance)).not.toContain('roles')
    },
  )

  it.each([byFlag('big-app'), byVariable('big-app')])('is the instance of the file with that app', async (...by) => {
    expect(await resolveWith(yaml, ...by)).toMatchObject({ name: 'big', backend: 'heroku', domain: 'big.example' })
  })

  it('is no instance of another backend, though an app is set there', async () => {
    expect(await resolveWith(yaml, { app: 'kept-app' })).toMatchObject({ name: '', backend: 'heroku' })
  })

  it('needs no choice among several instances', async () => {
    expect((await resolveWith('instances:\n  a: {}\n  b: {}\n', { app: 'new-app' })).app).toBe('new-app')
  })

  it.each(['main', 'big', 'other', 'folder'])('is refused beside -i %s, which is another', async name => {
    for (const [flags, env] of [byFlag('new-app'), byVariable('new-app')]) {
      const error = await refusal(resolveWith(yaml, { ...flags, instance: name }, env))
      expect(error).toMatchObject({ exitCode: 2, code: 'app-of-another-instance' })
      expect(error.message).toContain(`"${name}"`)
      expect(error.message).toContain('new-app')
    }
  })

  it('goes with -i of the same app, and of an instance that says nothing of it', async () => {
    expect(await resolveWith(yaml, { app: 'big-app', instance: 'big' })).toMatchObject({ name: 'big', app: 'big-app' })
    expect(await resolveWith(yaml, { app: 'new-app', instance: 'bare' })).toMatchObject({
      ...{ name: 'bare', app: 'new-app', backend: 'heroku', domain: 'bare.example' },
    })
  })

  it('by a variable yields to a backend that is asked for', async () => {
    const variable = { MSTDN_OPS_APP: 'new-app' }
    expect(await resolveWith(yaml, { backend: 'compose' }, variable)).toMatchObject({
      name: 'main',
      backend: 'compose',
    })
    expect(await resolveWith(yaml, {}, { ...variable, MSTDN_OPS_BACKEND: 'compose' })).toMatchObject({
      ...{ name: 'main', backend: 'compose' },
    })
    expect(await resolveWith(yaml, { app: 'x1' }, { MSTDN_OPS_BACKEND: 'compose' })).toMatchObject({
      ...{ app: 'x1', backend: 'heroku' },
    })
  })
})

describe('without a configuration file', () => {
  it('works in the folder where the command was typed', async () => {
    const instance = await resolveInstance({}, { XDG_CONFIG_HOME: dir })
    expect(instance).toMatchObject({ name: '', projectDir: process.cwd(), projectDirGiven: false })
  })

  it('reads the configuration folder of the user', async () => {
    const { mkdirSync } = await import('node:fs')
    mkdirSync(join(dir, 'mstdn-ops'))
    writeFileSync(join(dir, 'mstdn-ops', 'mstdn-ops.yaml'), 'instances: {home: {backend: sandbox}}\n')
    expect(await resolveInstance({}, { XDG_CONFIG_HOME: dir })).toMatchObject({ name: 'home', backend: 'sandbox' })
  })
})
