import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { stateFolder } from '../../support/state.js'
import { type Stack, startStack } from './bed/bed.js'

vi.setConfig({ testTimeout: 180_000 })

let stack: Stack
let state: string
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3' })
  state = stateFolder()
})
afterAll(async () => {
  await stack?.stop()
  rmSync(state, { recursive: true, force: true })
})

function run(words: readonly string[], stdin?: string): Promise<CliResult> {
  const options = { cwd: stack.projectDir, env: { XDG_STATE_HOME: state } }
  return cli(words, { ...options, ...(stdin === undefined ? {} : { stdin }) })
}

const envFile = () => readFileSync(join(stack.projectDir, '.env.production'), 'utf8')
const copies = () => readdirSync(stack.projectDir).filter(name => name.startsWith('.env.production.'))
const seenBy = async (service: string, name: string) => (await stack.exec(service, ['printenv', name])).stdout.trim()

describe('config:set and config:get', () => {
  it('puts a value into force in every process; other lines stay as they are', async () => {
    const before = envFile()
    const result = await run(['config:set', 'SMTP_SERVER'], 'smtp.example.org\n')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout).toContain('and in force')
    expect(envFile()).toBe(before.replace('SMTP_SERVER=localhost', 'SMTP_SERVER=smtp.example.org'))
    for (const service of ['web', 'sidekiq', 'streaming'])
      expect(await seenBy(service, 'SMTP_SERVER')).toBe('smtp.example.org')
    expect(copies()).toEqual([])
  })

  it('says what differs from what runs after --no-restart', async () => {
    const set = await run(['config:set', 'SMTP_LOGIN', '--no-restart'], 'a b $c #d\n')
    expect(set.stdout).toContain('mstdn-ops restart')
    const get = await run(['config:get', 'SMTP_LOGIN', 'SMTP_SERVER'])
    expect(get.stdout).toContain('SMTP_LOGIN=a b $c #d   (running: not set)')
    expect(get.stdout).toContain('1 variable differs from what runs')
    expect((await run(['restart'])).exitCode).toBe(0)
    expect(await seenBy('web', 'SMTP_LOGIN')).toBe('a b $c #d')
  })

  it('masks a secret unless --reveal is given, and keeps a private copy of a replaced one', async () => {
    const file = join(state, 'value')
    writeFileSync(file, 'first-secret\n')
    await run(['config:set', 'SMTP_PASSWORD', '--from-file', file, '--no-restart'])
    expect((await run(['config:get', 'SMTP_PASSWORD'])).stdout).toContain('SMTP_PASSWORD=(secret, 12 characters)')
    expect((await run(['config:get', 'SMTP_PASSWORD', '--reveal'])).stdout).toContain('SMTP_PASSWORD=first-secret')
    const set = await run(['config:set', 'SMTP_PASSWORD', '--no-restart', '--json'], 'second-secret')
    const { keptAt } = JSON.parse(set.stdout).result
    expect(readFileSync(keptAt, 'utf8')).toContain('SMTP_PASSWORD=first-secret')
    expect(statSync(keptAt).mode & 0o777).toBe(0o600)
    expect(set.stdout + set.stderr).not.toContain('second-secret')
    rmSync(keptAt)
  })

  it('is undone when Mastodon does not start with the value, and what ran before runs again', async () => {
    await run(['restart'])
    const before = envFile()
    const result = await run(['config:set', 'REDIS_NAMESPACE'], 'old\n')
    expect(result.exitCode, result.stderr).toBe(4)
    expect(envFile()).toBe(before)
    expect(copies()).toEqual([])
    expect(await seenBy('web', 'REDIS_NAMESPACE')).toBe('')
    const web = (await stack.containers()).find(container => container.service === 'web')
    expect(web).toMatchObject({ state: 'running', health: 'healthy' })
  })

  it('wants the domain for a name that others know, and says what breaks', async () => {
    const before = envFile()
    const missing = await run(['config:set', 'LOCAL_DOMAIN'], 'other.example')
    expect(missing).toMatchObject({ exitCode: 2 })
    expect(missing.stderr).toContain('--confirm mastodon.example')
    expect(missing.stderr).toContain('other servers take them for strangers')
    const wrong = await run(['config:set', 'LOCAL_DOMAIN', '--confirm', 'wrong.example', '--yes'], 'other.example')
    expect(wrong).toMatchObject({ exitCode: 3 })
    const nothing = await run(['config:set', 'LOCAL_DOMAIN', '--json'])
    expect(JSON.parse(nothing.stdout).error.message).toContain(
      'a value for LOCAL_DOMAIN and --confirm mastodon.example',
    )
    expect(envFile()).toBe(before)
  })

  it.each([
    ['a value as an argument', ['config:set', 'SMTP_SERVER=x'], undefined, /never given as an argument/],
    ['a second argument', ['config:set', 'SMTP_SERVER', 'x'], undefined, /x/],
    ['several lines', ['config:set', 'SMTP_SERVER'], 'a\nb\n', /several lines/],
    ['no value', ['config:set', 'SMTP_SERVER'], '', /Missing: a value/],
    ['a missing file', ['config:set', 'SMTP_SERVER', '--from-file', '/nowhere/x'], undefined, /could not be read/],
  ])('refuses %s', async (_what, words, stdin, message) => {
    const before = envFile()
    const result = await run(words as string[], stdin as string | undefined)
    expect(result).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(message as RegExp) })
    expect(envFile()).toBe(before)
  })
})

describe('config:backup and config:restore', () => {
  it('keeps every file, and gives the variables their values back', async () => {
    const before = envFile()
    const file = join(state, 'kept.tar.gz')
    const refused = await run(['config:backup'])
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('--plain') })
    const kept = await run(['config:backup', '--plain', '--output', file, '--json'])
    expect(kept.exitCode, kept.stderr).toBe(0)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const { files } = JSON.parse(kept.stdout)
    for (const name of ['compose', '.env.production']) expect(files.join()).toContain(name)

    writeFileSync(
      join(stack.projectDir, '.env.production'),
      `${before.replace(/^SMTP_SERVER=.*$/m, 'SMTP_SERVER=x')}ADDED=y\n`,
    )
    const restored = await run(['config:restore', file, '--yes', '--json'])
    expect(restored.exitCode, restored.stderr).toBe(0)
    expect(JSON.parse(restored.stdout).result).toMatchObject({
      ...{ set: ['SMTP_SERVER'], removed: ['ADDED'], inForce: true },
    })
    expect(envFile()).toBe(before)
  })
})
