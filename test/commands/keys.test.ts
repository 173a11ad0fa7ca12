import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cli } from '../support/cli.js'

vi.setConfig({ testTimeout: 60_000 })

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-keys-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const ops = (...words: string[]) => cli(words, { cwd: dir, env: { XDG_STATE_HOME: dir, XDG_CONFIG_HOME: dir } })

describe('keys:secrets where there is no instance', () => {
  it('prints lines for an env file alone, all that the release needs', async () => {
    const { stdout, stderr, exitCode } = await ops('keys:secrets', '--for', '4.5.3', '--quiet')
    expect(exitCode, stderr).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(6)
    for (const line of lines) expect(line).toMatch(/^[A-Z_]+=[\w=-]{32,}$/)
    expect(stderr).toBe('')
  })

  it('passes over what the env file of the folder sets', async () => {
    writeFileSync(join(dir, '.env.production'), 'SECRET_KEY_BASE=already\nOTP_SECRET=\n')
    const { stdout, stderr } = await ops('keys:secrets', '--for', 'v4.2.9', '--json')
    const { set, made, revealed } = JSON.parse(stdout)
    expect(set).toEqual(['SECRET_KEY_BASE'])
    expect(made).toEqual(['OTP_SECRET', 'VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY'])
    expect(Object.keys(revealed)).toEqual(made)
    expect(stdout + stderr).not.toContain('already')
  })

  it.each([
    ['no release', [], 2, /--for VERSION/],
    ['a release that is none', ['--for', '1.2.9'], 2, /"1\.2\.9" is no release/],
    ['a folder that was named and has no instance', ['--for', '4.5.3', '-C', '.'], 2, /No Mastodon was found/],
  ])('refuses %s', async (_title, words, code, why) => {
    expect(await ops('keys:secrets', ...words)).toMatchObject({
      ...{ exitCode: code, stdout: '' },
      stderr: expect.stringMatching(why),
    })
  })
})
