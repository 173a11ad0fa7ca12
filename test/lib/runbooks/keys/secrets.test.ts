import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { setSecrets } from '../../../../src/lib/runbooks/keys/secrets.js'
import { planFault, readState, scriptedToolbox, writeState } from '../../../support/scripted-instance.js'

const FORMER = { LOCAL_DOMAIN: 'mastodon.example', SECRET_KEY_BASE: 'kept' }
const NAMES = ['OTP_SECRET', 'VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY']
const options = { names: NAMES, version: '4.2.9' }

let dir: string
let formerState: string | undefined
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-secrets-'))
  formerState = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = join(dir, 'xdg')
  writeState(dir, { stored: FORMER, running: FORMER, starts: 0 })
})
afterEach(() => {
  if (formerState === undefined) delete process.env.XDG_STATE_HOME
  else process.env.XDG_STATE_HOME = formerState
  rmSync(dir, { recursive: true, force: true })
})

it('stores what is missing, in force, shows none of it, and leaves the others alone', async () => {
  const report = await runRunbook(scriptedToolbox(dir), setSecrets, options)
  const { stored, running } = readState(dir)
  expect(Object.keys(stored)).toEqual([...Object.keys(FORMER), ...NAMES])
  expect(stored).toMatchObject(FORMER)
  expect(running).toEqual(stored)
  expect(report.result).toMatchObject({ made: NAMES, inForce: true })
  for (const name of ['OTP_SECRET', 'VAPID_PRIVATE_KEY']) expect(JSON.stringify(report)).not.toContain(stored[name])
})

it('is as before when the app does not start with them', async () => {
  planFault(dir, 'restart')
  await expect(runRunbook(scriptedToolbox(dir), setSecrets, options)).rejects.toMatchObject({ exitCode: 4 })
  expect(readState(dir)).toMatchObject({ stored: FORMER, running: FORMER })
})

it('does not replace what was set since the plan was made', async () => {
  const stored = { ...FORMER, OTP_SECRET: 'theirs' }
  writeState(dir, { stored, running: stored, starts: 0 })
  await expect(runRunbook(scriptedToolbox(dir), setSecrets, options)).rejects.toMatchObject({ exitCode: 4 })
  expect(readState(dir).stored).toEqual(stored)
})

it('has nothing to do where none is missing', async () => {
  const report = await runRunbook(scriptedToolbox(dir), setSecrets, { ...options, names: [] })
  expect(report.result).toMatchObject({ made: [] })
  expect(report.steps.every(({ state }) => state === 'skipped')).toBe(true)
})
