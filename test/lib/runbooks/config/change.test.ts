import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatorError } from '../../../../src/lib/errors.js'
import { isVapidPair } from '../../../../src/lib/mastodon/secrets.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { setRunbook } from '../../../../src/lib/runbooks/config/set.js'
import { vapid } from '../../../../src/lib/runbooks/keys/vapid.js'
import { carriedOut, type KilledRun, killedRun } from '../../../support/killed-run.js'
import { type Fault, planFault, readState, scriptedToolbox, writeState } from '../../../support/scripted-instance.js'

const FORMER = {
  LOCAL_DOMAIN: 'mastodon.example',
  VAPID_PRIVATE_KEY: 'old-private-canary',
  VAPID_PUBLIC_KEY: 'old-public',
}
const STEPS = ['keep', 'write', 'restart', 'verify']

let dir: string
let state: string
let formerState: string | undefined

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-scripted-'))
  state = join(dir, 'xdg')
  formerState = process.env.XDG_STATE_HOME
  process.env.XDG_STATE_HOME = state
  writeState(dir, { stored: FORMER, running: FORMER, starts: 0 })
})

afterEach(() => {
  if (formerState === undefined) delete process.env.XDG_STATE_HOME
  else process.env.XDG_STATE_HOME = formerState
  rmSync(dir, { recursive: true })
})

const replaceKeys = (more: Partial<KilledRun>): KilledRun => ({
  scripted: dir,
  runbook: 'keys:vapid',
  options: { replace: true },
  mode: 'run',
  ...more,
})
const copies = () => readdirSync(dir).filter(name => name.startsWith('kept-'))

function expectNewKeys(): void {
  const { stored, running } = readState(dir)
  expect(isVapidPair({ privateKey: stored.VAPID_PRIVATE_KEY ?? '', publicKey: stored.VAPID_PUBLIC_KEY ?? '' })).toBe(
    true,
  )
  expect(running).toEqual(stored)
  expect(copies()).toHaveLength(1)
}

function expectFormer(): void {
  expect(readState(dir).stored).toEqual(FORMER)
  expect(readState(dir).running).toEqual(FORMER)
  expect(copies()).toEqual([])
}

/** Everything that the tool wrote down: journals and logs. */
function writtenDown(): string {
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return files.map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n')
}

async function failure(work: Promise<unknown>): Promise<OperatorError> {
  const error = await work.then(() => undefined).catch((thrown: unknown) => thrown)
  if (error instanceof OperatorError) return error
  throw new Error(`expected an operator error, got ${String(error)}`)
}

describe('keys:vapid over a scripted instance', () => {
  it('replaces the keys, keeps the former ones, and writes no secret down', async () => {
    const report = await runRunbook(scriptedToolbox(dir), vapid, { replace: true })
    expectNewKeys()
    expect(report.steps.map(step => `${step.id} ${step.state}`)).toEqual(STEPS.map(id => `${id} done`))
    expect(report.result).toMatchObject({ replaced: true, subscriptionsBroken: 2, inForce: true })
    const secrets = [FORMER.VAPID_PRIVATE_KEY, readState(dir).stored.VAPID_PRIVATE_KEY ?? '']
    for (const secret of secrets) expect(writtenDown() + JSON.stringify(report)).not.toContain(secret)
  })

  it('makes first keys without a question and leaves no copy', async () => {
    writeState(dir, { stored: { VAPID_PRIVATE_KEY: '' }, running: {}, starts: 0 })
    const report = await runRunbook(scriptedToolbox(dir), vapid, { replace: false })
    expect(report.result).toMatchObject({ replaced: false, subscriptionsBroken: 0, inForce: true, keptAt: null })
    expect(copies()).toEqual([])
  })

  it('refuses to overwrite, and says how many subscriptions that would break', async () => {
    const error = await failure(runRunbook(scriptedToolbox(dir), vapid, { replace: false }))
    expect(error).toMatchObject({ code: 'vapid-keys-exist', exitCode: 3 })
    expect(error.why).toContain('2 push subscriptions')
    expect(readState(dir).stored).toEqual(FORMER)
  })

  it('asks for the domain when keys are there, and for nothing when there are none', async () => {
    expect(await vapid.consent?.(scriptedToolbox(dir), { replace: true })).toMatchObject({ kind: 'domain' })
    writeState(dir, { stored: {}, running: {}, starts: 0 })
    expect(await vapid.consent?.(scriptedToolbox(dir), { replace: false })).toEqual({ kind: 'none' })
  })

  it('changes nothing in a dry run', async () => {
    const report = await runRunbook(scriptedToolbox(dir, true), vapid, { replace: true })
    expect(report.changes).toEqual(['write VAPID_PRIVATE_KEY,VAPID_PUBLIC_KEY', 'restart'])
    expectFormer()
  })

  it.each<Fault>(['keep', 'write', 'restart'])('is as before when %s fails', async fault => {
    planFault(dir, fault)
    expect(await failure(runRunbook(scriptedToolbox(dir), vapid, { replace: true }))).toMatchObject({ exitCode: 4 })
    expectFormer()
  })

  it('keeps the copy and says so when the former keys cannot be put back; the undo can be taken up again', async () => {
    planFault(dir, 'restart')
    planFault(dir, 'putBack')
    const error = await failure(runRunbook(scriptedToolbox(dir), vapid, { replace: true }))
    expect(error).toMatchObject({ exitCode: 5 })
    expect(copies()).toHaveLength(1)
    expect(await carriedOut(replaceKeys({ mode: 'undo' }))).toMatchObject({ exitCode: 0 })
    expectFormer()
  })
})

describe('SIGKILL at every boundary of keys:vapid', () => {
  // After a step is before the next one: nothing happens in between.
  const boundaries = [
    ...STEPS.map(step => ({ step, boundary: 'before' as const })),
    { step: 'verify', boundary: 'after' as const },
  ]

  it.each(boundaries)('$boundary $step, then resume: new keys in force', async stop => {
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    expect(await carriedOut(replaceKeys({}))).toMatchObject({ code: 'unfinished-run', exitCode: 3 })
    expect(await carriedOut(replaceKeys({ mode: 'resume' }))).toMatchObject({ exitCode: 0 })
    expectNewKeys()
  })

  it.each(boundaries)('$boundary $step, then undo: as before', async stop => {
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    expect(await carriedOut(replaceKeys({ mode: 'undo' }))).toMatchObject({ exitCode: 0 })
    expectFormer()
  })

  it.each(
    STEPS.slice(0, 3).flatMap(step => [
      { step, boundary: 'before-undo' as const },
      { step, boundary: 'after-undo' as const },
    ]),
  )('$boundary of $step, then resume: as before', async stop => {
    planFault(dir, 'restart')
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    expect(await carriedOut(replaceKeys({ mode: 'resume' }))).toMatchObject({ exitCode: 4 })
    expectFormer()
  })
})

describe('keys:vapid where a write starts the app anew by itself', () => {
  beforeEach(() => writeState(dir, { stored: FORMER, running: FORMER, starts: 0, atOnce: true }))

  it('writes, and waits until the app runs with the keys, without a restart of its own', async () => {
    writeState(dir, { ...readState(dir), starting: 1 })
    const report = await runRunbook(scriptedToolbox(dir), vapid, { replace: true })
    expectNewKeys()
    expect(report.steps.map(({ id, state: how }) => `${id} ${how}`)).toEqual(['keep done', 'write done', 'settle done'])
    expect(report.steps[1]?.title).toMatch(/\(this restarts the app\)$/)
    expect(report.result).toMatchObject({ inForce: true })
    expect(readState(dir)).toMatchObject({ starts: 1, starting: 0 })
  })

  it('says in a dry run that it restarts, and changes nothing', async () => {
    const report = await runRunbook(scriptedToolbox(dir, true), vapid, { replace: true })
    expect(report.changes).toEqual(['write VAPID_PRIVATE_KEY,VAPID_PUBLIC_KEY'])
    expectFormer()
  })

  it.each<Fault>(['keep', 'write'])('is as before when %s fails, and was never restarted', async fault => {
    planFault(dir, fault)
    expect(await failure(runRunbook(scriptedToolbox(dir), vapid, { replace: true }))).toMatchObject({ exitCode: 4 })
    expectFormer()
    expect(readState(dir).starts).toBe(0)
  })

  it('goes back when the app does not come up again, and says where to look', async () => {
    writeState(dir, { ...readState(dir), starting: 10 })
    let minutes = 0
    const now = () => {
      minutes += 2
      return new Date(minutes * 60_000)
    }
    const hurried = { ...scriptedToolbox(dir), clock: { now } }
    const error = await failure(runRunbook(hurried, vapid, { replace: true }))
    expect(error).toMatchObject({ code: 'not-started-anew' })
    expect(error.next).toContain('mstdn-ops logs')
    expect(readState(dir)).toMatchObject({ stored: FORMER, running: FORMER, starts: 2 })
  })

  it('goes on when the connection was lost after the write, for the keys are there', async () => {
    planFault(dir, 'lost after write')
    const report = await runRunbook(scriptedToolbox(dir), vapid, { replace: true }, { pauseMs: 0 })
    expect(report.result).toMatchObject({ inForce: true })
    expectNewKeys()
  })

  it('is as before when the connection was lost before the write', async () => {
    planFault(dir, 'lost before write')
    const error = await failure(runRunbook(scriptedToolbox(dir), vapid, { replace: true }, { pauseMs: 0 }))
    expect(error).toMatchObject({ exitCode: 4 })
    expect(error.why).toContain('Looked: it was not done.')
    expectFormer()
    expect(readState(dir).starts).toBe(0)
  })

  const stops = ['keep', 'write', 'settle'].flatMap(step =>
    (['before', 'acted'] as const).map(boundary => ({ step, boundary })),
  )

  it.each(stops)('killed $boundary $step, goes on by resume', async stop => {
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    expect(await carriedOut(replaceKeys({ mode: 'resume' }))).toMatchObject({ exitCode: 0 })
    expectNewKeys()
  })

  it.each(stops)('killed $boundary $step, is taken back', async stop => {
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    expect(await carriedOut(replaceKeys({ mode: 'undo' }))).toMatchObject({ exitCode: 0 })
    expectFormer()
  })

  it('what somebody else has set since is not taken back', async () => {
    const stop = { step: 'settle', boundary: 'before' as const }
    expect(await killedRun(state, replaceKeys({ stop }))).toMatchObject({ killed: true })
    const theirs = { ...FORMER, VAPID_PUBLIC_KEY: 'of somebody else' }
    writeState(dir, { ...readState(dir), stored: theirs, running: theirs })
    expect(await carriedOut(replaceKeys({ mode: 'undo' }))).toMatchObject({ exitCode: 5 })
    expect(readState(dir).stored).toEqual(theirs)
  })
})

describe('config:set over a scripted instance', () => {
  const options = { key: 'SMTP_PASSWORD', unset: false, restart: true }

  it('sets, and finds on the second time that nothing is to be done', async () => {
    const first = await runRunbook(scriptedToolbox(dir), setRunbook('canary-value'), options)
    expect(first.result).toMatchObject({ change: 'set', inForce: true, keptAt: null })
    const second = await runRunbook(scriptedToolbox(dir), setRunbook('canary-value'), options)
    expect(second.result).toMatchObject({ change: 'none', inForce: true })
    expect(second.steps.every(step => step.state === 'skipped')).toBe(true)
    expect(writtenDown()).not.toContain('canary-value')
  })

  it('keeps a copy when a secret is replaced or removed', async () => {
    await runRunbook(scriptedToolbox(dir), setRunbook('first-value'), options)
    await runRunbook(scriptedToolbox(dir), setRunbook(), { ...options, unset: true })
    expect(readState(dir).running).toEqual(FORMER)
    expect(readFileSync(join(dir, copies()[0] ?? ''), 'utf8')).toContain('first-value')
  })

  it('says that it is not in force without a restart', async () => {
    const report = await runRunbook(scriptedToolbox(dir), setRunbook('canary-value'), { ...options, restart: false })
    expect(report.result).toMatchObject({ change: 'set', inForce: false })
    expect(readState(dir).starts).toBe(0)
  })

  it('is refused without a restart where a write restarts the app by itself', async () => {
    writeState(dir, { ...readState(dir), atOnce: true })
    const set = runRunbook(scriptedToolbox(dir), setRunbook('canary-value'), { ...options, restart: false })
    expect(await failure(set)).toMatchObject({ code: 'restarts-by-itself', exitCode: 3 })
    expect(readState(dir).stored).toEqual(FORMER)
  })

  it.each<[Fault, number]>([
    ['lost after write', 0],
    ['lost before write', 4],
  ])('looks when the connection is %s', async (fault, exitCode) => {
    planFault(dir, fault)
    const set = runRunbook(scriptedToolbox(dir), setRunbook('canary-value'), options, { pauseMs: 0 })
    expect(await set.then(() => 0).catch((error: OperatorError) => error.exitCode)).toBe(exitCode)
    expect(readState(dir).running.SMTP_PASSWORD).toBe(exitCode === 0 ? 'canary-value' : undefined)
  })

  it.each(['LOCAL_DOMAIN', 'VAPID_PRIVATE_KEY'])('wants the domain for another value of %s', async key => {
    const set = setRunbook('another')
    expect(await set.consent?.(scriptedToolbox(dir), { ...options, key })).toMatchObject({ kind: 'domain' })
    const same = setRunbook(FORMER[key as keyof typeof FORMER])
    expect(await same.consent?.(scriptedToolbox(dir), { ...options, key })).toEqual({ kind: 'none' })
  })

  it('is undone on resume when the value died before it was written', async () => {
    const run: KilledRun = { scripted: dir, runbook: 'config:set', options, mode: 'run' }
    const stop = { step: 'write', boundary: 'before' as const }
    expect(await killedRun(state, { ...run, value: 'canary-value', stop })).toMatchObject({ killed: true })
    const end = await carriedOut({ ...run, mode: 'resume' })
    expect(end).toMatchObject({ exitCode: 4, code: 'value-gone' })
    expectFormer()
  })

  it('goes on when the value had been written', async () => {
    const run: KilledRun = { scripted: dir, runbook: 'config:set', options, mode: 'run' }
    const stop = { step: 'restart', boundary: 'before' as const }
    expect(await killedRun(state, { ...run, value: 'canary-value', stop })).toMatchObject({ killed: true })
    expect(await carriedOut({ ...run, mode: 'resume' })).toMatchObject({ exitCode: 0 })
    expect(readState(dir).running.SMTP_PASSWORD).toBe('canary-value')
    expect(writtenDown()).not.toContain('canary-value')
  })
})
