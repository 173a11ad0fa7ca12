import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import type { Boundary } from '../../../src/lib/runbook/run.js'
import { deployedBackOptionsOf } from '../../../src/lib/runbooks/upgrade/back/deployed/options.js'
import { DEPLOYED_BACK, targetOf } from '../../../src/lib/runbooks/upgrade/back/runs.js'
import { deployOptionsOf, type SaidOfSources } from '../../../src/lib/runbooks/upgrade/deploy-options.js'
import { plannedUpgrade } from '../../../src/lib/runbooks/upgrade/planned.js'
import { type CliResult, cli, root } from '../../support/cli.js'
import { killedRun } from '../../support/killed-run.js'
import { stateFolder } from '../../support/state.js'
import { must } from '../compose/bed/process.js'
import { PENDING } from '../pending-migrations.js'
import { type HerokuApp, startHerokuApp } from './bed.js'
import { makeFork, makeUpstream, pushed, type Repository } from './upstream.js'

vi.setConfig({ testTimeout: 300_000 })

const FROM = '4.2.9'
const TO = '4.3.8'
const NEXT = '4.5.3'
/** With the schema of the one before it. */
const PATCH = '4.5.4'
const FULL = process.env.MSTDN_TEST_FULL !== undefined

let app: HerokuApp
let dir: string
let state: string
let cache: string
let upstream: Repository
let fork: Repository
const before = { ...process.env }
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-upgrade-'))
  app = await startHerokuApp({ version: FROM, client: 'real', deploys: [TO, NEXT, ...(FULL ? [PATCH] : [])] })
  upstream = await makeUpstream(join(dir, 'upstream'), [FROM, TO, NEXT, PATCH])
  fork = await makeFork(join(dir, 'fork'), upstream, FROM)
  app.builtFrom(await pushed(app.repository ?? '', fork))
  cache = stateFolder()
  Object.assign(process.env, environment())
}, 600_000)
beforeEach(() => {
  state = stateFolder()
  Object.assign(process.env, { XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') })
})
afterEach(() => {
  app.clearFaults()
  rmSync(state, { recursive: true, force: true })
})
afterAll(async () => {
  await app?.stop()
  for (const folder of [dir, cache]) if (folder) await rm(folder, { recursive: true, force: true })
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
  Object.assign(process.env, before)
})

function environment(): NodeJS.ProcessEnv {
  const own = { HEROKU_APP: app.app, XDG_CACHE_HOME: cache, XDG_CONFIG_HOME: join(dir, 'config') }
  return { ...app.env, ...own, MSTDN_OPS_UPSTREAM: upstream.dir, MSTDN_OPS_ACCEPT_SELF_SIGNED: 'true' }
}

function ops(...words: string[]): Promise<CliResult> {
  const places = { XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') }
  return cli(words, { env: { ...environment(), ...places }, timeoutMs: 280_000 })
}

/** As the command makes them. */
async function optionsTo(to: string, said: Partial<SaidOfSources> = {}): Promise<object> {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const toolbox = await openToolbox({ app: app.app }, { output, dryRun: false })
  const plan = await plannedUpgrade(toolbox, to)
  return deployOptionsOf(toolbox, plan, { backup: true, discard: false, ...said }).finally(() => toolbox.close())
}

async function refNow(name: string): Promise<NonNullable<SaidOfSources['ref']>> {
  return { name, commit: (await fork.git('rev-parse', name)).trim() }
}

/** As the command makes them. */
async function optionsBack(): Promise<object> {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const toolbox = await openToolbox({ app: app.app }, { output, dryRun: false })
  const target = await targetOf(toolbox, undefined)
  if (!('deployed' in target)) throw new Error('there is no upgrade to be taken back')
  return deployedBackOptionsOf(toolbox, target.deployed, { drainSeconds: 1 }).finally(() => toolbox.close())
}

type Place = readonly [step: string, boundary: Boundary]
const BOUNDARIES: readonly Boundary[] = ['started', 'acted']
const around = (...steps: string[]) => steps.flatMap(step => BOUNDARIES.map((at): Place => [step, at]))

/** Carries the upgrade out, or goes on with it, until it is killed there. */
async function killedAt(
  [step, boundary]: Place,
  mode: 'run' | 'resume',
  options: object,
  runbook = 'upgrade:deploy',
): Promise<void> {
  const stop = { step, boundary }
  const end = await killedRun(state, { app: app.app, runbook, options, mode, stop })
  expect(end, `${boundary} ${step}`).toMatchObject({ killed: true })
}

const keys = () => Object.keys(app.config()).filter(name => name.startsWith('ACTIVE_RECORD_ENCRYPTION_'))
/** Nothing is sealed with them here. */
const forgetMeanwhile = () =>
  app.setConfig(Object.fromEntries([...keys(), 'SET_MEANWHILE'].map(name => [name, null] as const)))
const migrations = async () => Number(await app.psql('SELECT count(*) FROM schema_migrations'))
const looks = async () => ({
  ...{ slug: app.slug(), formation: app.formation(), closed: app.maintenance(), keys: keys() },
  migrations: await migrations(),
})
const writtenSince = () => app.psql(`SELECT count(*) FROM statuses WHERE text = 'later'`)
const written = (from: number) =>
  app.requests.slice(from).filter(({ method, path }) => method !== 'GET' && !path.endsWith('/dynos'))

test('commits of the own that conflict are refused, with what to do', async () => {
  const conflicting = await makeFork(join(dir, 'conflicting'), upstream, FROM, true)
  app.builtFrom(`${await conflicting.git('rev-parse', 'main')}`.trim())
  const [former, from] = [await looks(), app.requests.length]
  const { exitCode, stderr } = await ops('upgrade', '--to', TO, '--yes', '--checkout', conflicting.dir)
  app.builtFrom((await fork.git('rev-parse', 'main')).trim())
  expect(exitCode, stderr).toBe(3)
  expect(stderr).toMatch(/change the same lines.*app\/views\/home\.txt.*Greet people by name.*apply --3way/s)
  expect(written(from)).toEqual([])
  expect({ ...(await looks()), slug: former.slug }).toEqual(former)
})

test('a build that fails leaves the old release serving: 4', async () => {
  const former = await looks()
  app.inject({ kind: 'build-fails' })
  const { exitCode, stderr } = await ops('upgrade', '--to', TO, '--yes')
  expect(exitCode, stderr).toBe(4)
  expect(stderr).toMatch(/are taken along: 2\n.*Our own style/s)
  expect(stderr).toContain('The Node.js part of the build failed')
  expect(await looks()).toEqual(former)
})

const BEFORE = around('look', 'keys', 'safety-backup', 'close', 'stop', 'push')
test.each(FULL ? BEFORE : [])('killed when %s has %s: resume --undo goes back', async (...at) => {
  const former = await looks()
  await killedAt(at, 'run', await optionsTo(TO))
  app.setConfig({ SET_MEANWHILE: 'yes' })
  const { exitCode, stderr } = await ops('resume', '--undo')
  expect(exitCode, stderr).toBe(0)
  expect(await looks()).toEqual(former)
  // The platform's own way back would have taken it along.
  expect(app.config().SET_MEANWHILE).toBe('yes')
  app.setConfig({ SET_MEANWHILE: null })
})

test('abandoned when the push has acted: rollback puts the former code back, with the variables of now, and starts it', async () => {
  const former = await looks()
  await killedAt(['push', 'acted'], 'run', await optionsTo(TO))
  app.setConfig({ SET_MEANWHILE: 'yes' })
  const abandoned = await ops('resume', '--abandon', '--confirm', app.domain)
  expect(abandoned.exitCode, abandoned.stderr).toBe(0)
  const { exitCode, stdout, stderr } = await ops('rollback', '--yes')
  expect(exitCode, stderr).toBe(0)
  expect(stdout).toContain(`Mastodon ${FROM} serves again in the place of ${TO}`)
  // Keys that were set for the newer release stay: something may be sealed with them.
  expect(await looks()).toEqual({ ...former, keys: keys() })
  expect(keys()).toHaveLength(3)
  // The platform's own way back would have taken it along.
  expect(app.config().SET_MEANWHILE).toBe('yes')
  forgetMeanwhile()
})

const BACK_PLACES: readonly Place[] = around('stop', 'code', 'reset', 'restore', 'start')
test.each(FULL ? [['4.2.9', BACK_PLACES] as const] : [])(
  'after migrations rollback brings the backup of %s back with its code, killed as often as one likes',
  async (_release, places) => {
    const former = await looks()
    const upgraded = await ops('upgrade', '--to', TO, '--rebase', '--yes')
    expect(upgraded.exitCode, upgraded.stderr).toBe(0)
    const newer = await looks()
    const copies = ['log', '--format=%s', `${newer.slug.commit}^1..${newer.slug.commit}^2`, `^v${TO}`]
    const names = ['-C', app.repository ?? '', 'fetch', '--quiet', upstream.dir, 'tag', `v${TO}`]
    await must('git', names)
    expect(await must('git', ['-C', app.repository ?? '', ...copies])).toBe('Greet people by name\nOur own style')
    await app.psql(`INSERT INTO statuses (account_id, text, created_at, updated_at)
      SELECT min(id), 'later', now(), now() FROM accounts WHERE id > 0`)
    app.setConfig({ SET_MEANWHILE: 'yes' })
    const unconfirmed = await ops('rollback', '--yes')
    expect(unconfirmed.exitCode, unconfirmed.stderr).not.toBe(0)
    expect(unconfirmed.stderr).toContain('means restoring the backup')
    const options = await optionsBack()
    await killedAt(['reset', 'acted'], 'run', options, DEPLOYED_BACK)
    const undone = await ops('resume', '--undo')
    expect(undone.exitCode, undone.stderr).toBe(0)
    expect(await looks()).toEqual(newer)
    expect(await writtenSince()).toBe('1')
    for (const [index, at] of places.entries())
      await killedAt(at, index === 0 ? 'run' : 'resume', options, DEPLOYED_BACK)
    const { exitCode, stderr } = await ops('resume')
    expect(exitCode, stderr).toBe(0)
    expect(await looks()).toEqual({ ...former, keys: newer.keys })
    expect(await writtenSince()).toBe('0')
    expect(app.config().SET_MEANWHILE).toBe('yes')
    forgetMeanwhile()
  },
  900_000,
)

test.each(FULL ? ['--undo'] : [])('killed while it is built: resume %s waits for that, and goes back', async undo => {
  const former = await looks()
  app.inject({ kind: 'build-slow' })
  const places = { XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') }
  const env = { ...environment(), ...places, UPDATE_CHECK_URL: '' }
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'upgrade', '--to', TO, '--yes'], { env })
  const ended = new Promise(resolve => child.on('close', resolve))
  await vi.waitUntil(() => app.builds.at(-1)?.status === 'pending', { timeout: 120_000, interval: 100 })
  child.kill('SIGKILL')
  await ended
  const { exitCode, stderr } = await ops('resume', undo)
  expect(exitCode, stderr).toBe(0)
  expect(app.builds.at(-1)?.status).toBe('succeeded')
  expect(await looks()).toEqual(former)
})

test.each(FULL ? ['--dry-run'] : [])('%s changes nothing, and names the plain lines', async dryRun => {
  const from = app.requests.length
  const { exitCode, stdout, stderr } = await ops('upgrade', '--to', TO, dryRun, '--json')
  expect(exitCode, stderr).toBe(0)
  const { own, byHand } = JSON.parse(stdout) as { own: { subject: string }[]; byHand: string[] }
  expect(own.map(({ subject }) => subject)).toEqual(['Greet people by name', 'Our own style'])
  for (const line of ['heroku config:set', 'heroku maintenance:on', 'heroku ps:scale', 'git -C', 'heroku run'])
    expect(
      byHand.filter(words => words.startsWith(line)),
      line,
    ).not.toEqual([])
  expect(written(from)).toEqual([])
})

test.each(FULL ? ['next'] : [])('a branch %s is deployed as the release that it calls itself', async ref => {
  await fork.git('checkout', '--quiet', '-b', ref, `v${TO}`)
  await fork.git('cherry-pick', 'main~1', 'main')
  await fork.git('checkout', '--quiet', 'main')
  const words = ['upgrade', '--to', ref, '--checkout', fork.dir]
  const planned = await ops(...words, '--dry-run', '--json')
  expect(planned.exitCode, planned.stderr).toBe(0)
  const { plan } = JSON.parse(planned.stdout) as { plan: object }
  expect(plan).toMatchObject({ to: TO, ref: { name: ref, commit: (await fork.git('rev-parse', ref)).trim() } })
  expect((await ops(...words, '--dry-run')).stdout).toContain(`${ref} (`)
  for (const [name, code] of [
    ['main', 'ref-of-installed-release'],
    ['nothing', 'unknown-release'],
    ['HEAD:lib', 'unknown-release'],
  ]) {
    const refused = await ops('upgrade', '--to', name ?? '', '--checkout', fork.dir, '--json')
    expect(refused.exitCode, refused.stderr).toBe(3)
    expect(refused.stdout).toContain(code)
  }
  await killedAt(['push', 'acted'], 'run', await optionsTo(TO, { ref: await refNow(ref), checkout: fork.dir }))
  expect(await must('git', ['-C', app.repository ?? '', 'rev-parse', 'main^2'])).toBe((await refNow(ref)).commit)
  const { exitCode, stderr } = await ops('resume', '--undo')
  expect(exitCode, stderr).toBe(0)
})

test('it is upgraded with the commits of the own, though connections are lost and a one-off is asked for twice', async () => {
  const from = app.runs.length
  app.inject({ kind: 'drop-after', bytes: 40, command: /db\/post_migrate/ })
  app.inject({ kind: 'reset-after', method: 'POST', path: /dynos$/, body: /db:migrate/ })
  const { exitCode, stdout, stderr } = await ops('upgrade', '--to', TO, '--yes')
  expect(exitCode, stderr).toBe(0)
  expect(stdout).toContain(`Mastodon ${TO} has taken the place of ${FROM}`)
  expect(await looks()).toMatchObject({ slug: { version: TO }, formation: { web: 1, worker: 1 }, closed: false })
  expect(keys()).toHaveLength(3)
  const runs = (text: string) => app.runs.slice(from).filter(({ command }) => command.includes(text)).length
  expect(runs('db:migrate')).toBe(1)
  // The first reading of the migrations' files was lost.
  expect(runs('db/post_migrate')).toBeGreaterThan(1)
  expect(app.requests.filter(({ fault }) => fault === 'reset-after')).toHaveLength(1)
  const deployed = (path: string) => must('git', ['-C', app.repository ?? '', 'show', `main:${path}`])
  expect(await deployed('app/javascript/own.css')).toContain('teal')
  expect(await deployed('app/views/home.txt')).toMatch(/ours\n.*of 4\.3\.8\n/s)
  expect((await app.cliCalls()).flat().join(' ')).not.toContain(app.token)
})

test('nothing to do: no backup, at most three calls of the client', async () => {
  const [calls, former] = [(await app.cliCalls()).length, await looks()]
  const { exitCode, stdout } = await ops('upgrade', '--to', TO)
  expect(exitCode).toBe(0)
  expect(stdout).toContain('nothing to do')
  expect((await app.cliCalls()).length - calls).toBeLessThanOrEqual(3)
  expect(await looks()).toEqual(former)
})

const START: readonly Place[] = FULL ? around('look', 'safety-backup', 'close', 'stop', 'push') : [['push', 'started']]
const REST: readonly Place[] = FULL
  ? around('migrate-all', 'start', 'gate', 'open', 'gate-again')
  : [['migrate-all', 'acted']]
test('a migration that fails keeps it closed: 5; mended, it comes to its end, killed on the way as often as one likes', async () => {
  const former = await looks()
  app.setConfig({ STANDIN_FAIL_MIGRATION: PENDING[1] })
  const options = await optionsTo(NEXT)
  for (const [index, at] of START.entries()) await killedAt(at, index === 0 ? 'run' : 'resume', options)
  const failed = await ops('resume')
  expect(failed.exitCode, failed.stderr).toBe(5)
  expect(failed.stderr).toMatch(/migrations? (was|were) applied that 4\.3\.8 cannot work with.*mstdn-ops resume/s)
  expect(await looks()).toMatchObject({ slug: { version: NEXT }, formation: { web: 0, worker: 0 }, closed: true })
  app.setConfig({ STANDIN_FAIL_MIGRATION: null })
  for (const at of REST) await killedAt(at, 'resume', options)
  const { exitCode, stderr } = await ops('resume')
  expect(exitCode, stderr).toBe(0)
  const { migrations: now, ...rest } = await looks()
  expect(rest).toMatchObject({ slug: { version: NEXT }, formation: { web: 1, worker: 1 }, closed: false })
  expect(now).toBeGreaterThan(former.migrations)
}, 900_000)

test.each(FULL ? [PATCH] : [])(
  'to %s nothing is migrated: it serves while it is built; without commits of the own',
  async version => {
    const discarding = ['--discard-local-commits', '--confirm', app.domain]
    const { exitCode, stdout, stderr } = await ops('upgrade', '--to', version, ...discarding)
    expect(exitCode, stderr).toBe(0)
    expect(stderr).not.toContain('maintenance')
    const theRelease = (await upstream.git('rev-parse', `v${version}^{commit}`)).trim()
    expect(app.slug().commit).toBe(theRelease)
    expect(stdout).toContain(`Mastodon ${version} has taken the place of ${NEXT}`)
    expect(await looks()).toMatchObject({ slug: { version }, formation: { web: 1, worker: 1 }, closed: false })
    const back = await ops('rollback', '--yes')
    expect(back.exitCode, back.stderr).toBe(0)
    expect(back.stdout).toMatch(/serves again in the place of.*git repository still holds/s)
    expect(await looks()).toMatchObject({ slug: { version: NEXT }, formation: { web: 1, worker: 1 }, closed: false })
    const again = await ops('rollback', '--yes')
    expect(again.exitCode, again.stderr).toBe(3)
  },
)
