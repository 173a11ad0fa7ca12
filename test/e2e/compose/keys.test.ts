import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { isVapidPair } from '../../../src/lib/mastodon/secrets.js'
import { cli } from '../../support/cli.js'
import { type KilledRun, killedRun } from '../../support/killed-run.js'
import { PRIMARY, RAILS, SALT } from '../../support/sealed-values.js'
import { stateFolder, writtenDown } from '../../support/state.js'
import { type Stack, startStack } from './bed/bed.js'

vi.setConfig({ testTimeout: 240_000 })

let stack: Stack
let state: string
beforeAll(async () => {
  const keys = {
    ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: PRIMARY,
    ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT: SALT,
  }
  stack = await startStack({ version: '4.5.3', environment: keys })
  state = stateFolder()
})
afterAll(async () => {
  await stack?.stop()
  rmSync(state, { recursive: true, force: true })
})

const replace = ['keys:vapid', '--replace', '--confirm', 'mastodon.example']
const run = (words: readonly string[]) => cli(words, { cwd: stack.projectDir, env: { XDG_STATE_HOME: state } })
const envFile = () => readFileSync(join(stack.projectDir, '.env.production'), 'utf8')
const stored = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(envFile())?.[1] ?? ''
const seenBy = async (service: string, name: string) => (await stack.exec(service, ['printenv', name])).stdout.trim()

async function expectInForce(): Promise<void> {
  const pair = { privateKey: stored('VAPID_PRIVATE_KEY'), publicKey: stored('VAPID_PUBLIC_KEY') }
  expect(isVapidPair(pair)).toBe(true)
  for (const service of ['web', 'sidekiq']) {
    expect(await seenBy(service, 'VAPID_PUBLIC_KEY')).toBe(pair.publicKey)
    expect(await seenBy(service, 'VAPID_PRIVATE_KEY')).toBe(pair.privateKey)
  }
}

describe('keys:check and keys:secrets on Mastodon 4.5.3', () => {
  it('opens what Rails has sealed, and tells keys that belong to nothing', async () => {
    await stack.psql(`UPDATE users SET otp_secret = '${RAILS.sha256}' WHERE otp_required_for_login`)
    const result = await run(['keys:check', '--json'])
    expect(result.exitCode, result.stderr).toBe(7)
    const { findings } = JSON.parse(result.stdout)
    expect(findings).toContainEqual(expect.objectContaining({ look: 'opens', state: 'ok' }))
    // The bed's VAPID keys are random bytes.
    expect(findings).toContainEqual(expect.objectContaining({ look: 'pair', state: 'bad' }))
    for (const name of ['SECRET_KEY_BASE', 'VAPID_PRIVATE_KEY'])
      expect(result.stdout + result.stderr).not.toContain(stored(name))
  })

  it('prints nothing of what is set', async () => {
    expect(await run(['keys:secrets'])).toMatchObject({ exitCode: 0, stdout: '' })
  })
})

describe('keys:vapid on Mastodon 4.5.3', () => {
  let before: string
  beforeEach(() => {
    before = envFile()
  })

  it('never overwrites by itself, and says how many subscriptions that would break', async () => {
    const result = await run(['keys:vapid'])
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toContain('2 push subscriptions')
    const unsaid = await run(['keys:vapid', '--replace', '--yes'])
    expect(unsaid).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--confirm mastodon.example') })
    expect(unsaid.stderr).toContain('2 push subscriptions')
    expect(envFile()).toBe(before)
  })

  it('replaces them, in force in web and Sidekiq, and keeps the former file for its owner alone', async () => {
    const former = stored('VAPID_PRIVATE_KEY')
    const result = await run([...replace, '--json'])
    expect(result.exitCode, result.stderr).toBe(0)
    await expectInForce()
    const report = JSON.parse(result.stdout)
    expect(report.result).toMatchObject({ replaced: true, subscriptionsBroken: 2, inForce: true })
    expect(readFileSync(report.result.keptAt, 'utf8')).toBe(before)
    expect(statSync(report.result.keptAt).mode & 0o777).toBe(0o600)
    for (const secret of [former, stored('VAPID_PRIVATE_KEY')])
      expect(result.stdout + result.stderr + writtenDown(state)).not.toContain(secret)
  })

  const kill = (step: string, boundary: 'before' | 'after'): KilledRun => ({
    project: stack.projectDir,
    runbook: 'keys:vapid',
    options: { replace: true },
    mode: 'run',
    stop: { step, boundary },
  })

  it('killed before the restart: resume puts the written keys into force', async () => {
    expect(await killedRun(state, kill('restart', 'before'))).toMatchObject({ killed: true })
    const written = stored('VAPID_PUBLIC_KEY')
    const other = await run(replace)
    expect(other).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('mstdn-ops resume') })
    const resumed = await run(['resume'])
    expect(resumed.exitCode, resumed.stderr).toBe(0)
    expect(stored('VAPID_PUBLIC_KEY')).toBe(written)
    await expectInForce()
  })

  it('killed after the restart: undo puts the former keys back into force, and leaves no copy', async () => {
    const files = readdirSync(stack.projectDir)
    expect(await killedRun(state, kill('restart', 'after'))).toMatchObject({ killed: true })
    expect(await seenBy('web', 'VAPID_PUBLIC_KEY')).not.toBe(/^VAPID_PUBLIC_KEY=(.*)$/m.exec(before)?.[1])
    const undone = await run(['resume', '--undo'])
    expect(undone.exitCode, undone.stderr).toBe(0)
    expect(envFile()).toBe(before)
    await expectInForce()
    expect(readdirSync(stack.projectDir)).toEqual(files)
  })
})
