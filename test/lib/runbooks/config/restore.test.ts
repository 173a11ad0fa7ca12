import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { archiveOfConfiguration, sealingOf, writeArchive } from '../../../../src/lib/backups/configuration/make.js'
import { configurationNamed, openConfiguration } from '../../../../src/lib/backups/configuration/open.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import {
  type ConfigRestoreOptions,
  configRestore,
  differencesFrom,
} from '../../../../src/lib/runbooks/config/restore.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { carriedOut, type KilledRun, killedRun } from '../../../support/killed-run.js'
import { planFault, readState, scriptedToolbox, writeState } from '../../../support/scripted-instance.js'

const KEPT = { LOCAL_DOMAIN: 'mastodon.example', OTP_SECRET: 'kept-canary', SMTP_SERVER: 'old', LATER: 'no' }
const NOW = {
  LOCAL_DOMAIN: 'mastodon.example',
  OTP_SECRET: 'other',
  SMTP_SERVER: 'new',
  EXTRA: 'x',
  VAPID_PUBLIC_KEY: 'v',
}
/** A secret that came later stays. */
const RESTORED = { ...KEPT, VAPID_PUBLIC_KEY: 'v' }

let dir: string
let identity: string
let recipient: string
let formerState: string | undefined
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-config-'))
  formerState = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = join(dir, 'xdg')
  const key = await generateX25519Identity()
  identity = join(dir, 'key.txt')
  writeFileSync(identity, `# a key\n${key}\n`)
  recipient = await identityToRecipient(key)
  writeState(dir, { stored: KEPT, running: KEPT, starts: 0 })
})
afterEach(() => {
  if (formerState === undefined) delete process.env.XDG_STATE_HOME
  else process.env.XDG_STATE_HOME = formerState
  rmSync(dir, { recursive: true, force: true })
})

function toolbox(dryRun = false): Toolbox {
  const made = scriptedToolbox(dir, dryRun)
  return { ...made, instance: { ...made.instance, backups: { dir: join(dir, 'backups'), recipient } } }
}

/** Keeps the configuration as it is, and sets another one. Returns the file. */
async function kept(): Promise<string> {
  const path = join(dir, 'backups', 'config-20261122-000000-0000.tar.gz.age')
  const { archive } = await archiveOfConfiguration(toolbox(), 'config')
  await writeArchive(path, archive, await sealingOf(toolbox()))
  writeState(dir, { stored: NOW, running: NOW, starts: 0 })
  return path
}

async function options(): Promise<ConfigRestoreOptions> {
  const opened = await openConfiguration(await kept(), identity)
  const { set, remove } = await differencesFrom(toolbox(), opened)
  return { file: opened.path, sha256: opened.sha256, identity, set, remove }
}

const expectFormer = () => {
  expect(readState(dir)).toMatchObject({ stored: NOW, running: NOW })
  expect(readdirSync(dir).filter(name => name.startsWith('kept-'))).toEqual([])
}

describe('a backup of the configuration', () => {
  it('is for its owner alone, shows no value, and opens with the key', async () => {
    const path = await kept()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'latin1')).not.toContain('kept-canary')
    const { kept: opened } = await openConfiguration(path, identity)
    expect(opened).toMatchObject({ variables: KEPT, mastodon: '4.5.3', instance: { domain: 'mastodon.example' } })
    expect(await configurationNamed(toolbox(), 'latest')).toBe(path)
  })

  it('is not written without a recipient', async () => {
    await expect(sealingOf(scriptedToolbox(dir))).rejects.toMatchObject({ code: 'no-recipient', exitCode: 3 })
  })

  it('is never written over another file', async () => {
    const path = await kept()
    await expect(writeArchive(path, Buffer.from('x'), undefined)).rejects.toMatchObject({ exitCode: 2 })
    expect((await openConfiguration(path, identity)).kept.variables).toEqual(KEPT)
  })

  it.each<[string, (path: string) => void, string]>([
    ['a changed byte', path => damage(path), 'encrypted-file-damaged'],
    ['something else', path => writeFileSync(path, 'hello'), 'no-configuration'],
    ['no file', path => rmSync(path), 'configuration-not-read'],
  ])('is told from %s', async (_title, change, code) => {
    const path = await kept()
    change(path)
    await expect(openConfiguration(path, identity)).rejects.toMatchObject({ code })
  })

  it('asks for the key', async () => {
    await expect(openConfiguration(await kept(), undefined)).rejects.toMatchObject({ code: 'identity-missing' })
  })
})

function damage(path: string): void {
  const bytes = readFileSync(path)
  bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

describe('config:restore over a scripted instance', () => {
  it('names what differs, and leaves a later secret alone', async () => {
    const opened = await openConfiguration(await kept(), identity)
    expect(await differencesFrom(toolbox(), opened)).toEqual({
      set: ['OTP_SECRET', 'SMTP_SERVER', 'LATER'],
      remove: ['EXTRA'],
      left: [{ name: 'VAPID_PUBLIC_KEY', why: expect.stringContaining('not in the backup') }],
      files: [],
    })
  })

  it('asks for the domain where a secret changes, and for a yes otherwise', async () => {
    const all = await options()
    expect(await configRestore.consent?.(toolbox(), all)).toMatchObject({
      kind: 'domain',
      loses: expect.stringMatching(/OTP_SECRET, SMTP_SERVER, LATER get .*EXTRA is removed[\s\S]*two-factor secrets/),
    })
    const harmless = { ...all, set: ['SMTP_SERVER'], remove: [] }
    expect(await configRestore.consent?.(toolbox(), harmless)).toMatchObject({ kind: 'yes' })
    expect(await configRestore.consent?.(toolbox(), { ...all, set: [], remove: [] })).toEqual({ kind: 'none' })
  })

  it('gives the variables their values, keeps the former ones, and writes none down', async () => {
    const report = await runRunbook(toolbox(), configRestore, await options())
    expect(readState(dir)).toMatchObject({ stored: RESTORED, running: RESTORED })
    expect(report.result).toMatchObject({ inForce: true, removed: ['EXTRA'], keptAt: expect.any(String) })
    expect(JSON.stringify(report)).not.toContain('kept-canary')
    const again = await openConfiguration(join(dir, 'backups', readdirSync(join(dir, 'backups'))[0] ?? ''), identity)
    expect(await differencesFrom(toolbox(), again)).toMatchObject({ set: [], remove: [] })
  })

  it('changes nothing in a dry run', async () => {
    const report = await runRunbook(toolbox(true), configRestore, await options())
    expect(report.changes.join()).toContain('OTP_SECRET')
    expectFormer()
  })

  it('is as before when the processes do not start with it', async () => {
    const all = await options()
    planFault(dir, 'restart')
    await expect(runRunbook(toolbox(), configRestore, all)).rejects.toMatchObject({ exitCode: 4 })
    expectFormer()
  })

  it('refuses a file that was exchanged since', async () => {
    const all = await options()
    await expect(runRunbook(toolbox(), configRestore, { ...all, sha256: '0' })).rejects.toMatchObject({ exitCode: 4 })
    expectFormer()
  })

  it.each(['resume', 'undo'] as const)('killed before the restart: %s', async mode => {
    const run: KilledRun = { scripted: dir, runbook: 'config:restore', options: await options(), mode: 'run' }
    expect(await killedRun(join(dir, 'xdg'), { ...run, stop: { step: 'restart', boundary: 'before' } })).toMatchObject({
      killed: true,
    })
    expect(await carriedOut({ ...run, mode })).toMatchObject({ exitCode: 0 })
    if (mode === 'undo') return expectFormer()
    expect(readState(dir)).toMatchObject({ stored: RESTORED, running: RESTORED })
  })
})
