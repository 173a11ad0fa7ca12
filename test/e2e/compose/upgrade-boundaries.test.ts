import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import type { Boundary } from '../../../src/lib/runbook/run.js'
import { backOptionsOf } from '../../../src/lib/runbooks/upgrade/back/options.js'
import { BACK, targetOf } from '../../../src/lib/runbooks/upgrade/back/runs.js'
import type { UpgradeOptions } from '../../../src/lib/runbooks/upgrade/options.js'
import { upgrade } from '../../../src/lib/runbooks/upgrade/upgrade.js'
import { buildImages, type Stack, startStack } from './bed/bed.js'
import { must } from './bed/process.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 400_000
const BOUNDARIES: readonly Boundary[] = ['started', 'acted', 'after']
const APP = ['web', 'sidekiq', 'streaming']
const OPTIONS: UpgradeOptions = { from: '4.2.9', to: '4.3.8', phases: 'two', coexist: true, backup: true }

/** Those that a run takes, in their order; all of them are needed here. */
const STEPS = [
  ...['look', 'keys', 'safety-backup', 'migrate-pre', 'switch', 'bring', 'gate', 'migrate-post', 'gate-again'],
  ...['watched', 'tidy'],
]
/** The images are here. */
const PASSED_OVER = ['fetch']

interface Break {
  step: string
  boundary: Boundary
  by: 'kill' | 'failure'
  /** What is said after a kill. */
  after?: 'resume' | 'undo'
  round: number
}

/** Where most can go wrong: past the point of no return. */
const SOME: readonly Break[] = [{ step: 'migrate-post', boundary: 'acted', by: 'kill', after: 'undo', round: 1 }]

/** Killed and failing three times at each place; the third kill ends either way by turns. */
function breaks(): readonly Break[] {
  if (!FULL) return SOME
  const places = [
    { step: STEPS[0] ?? '', boundary: 'before' as const },
    ...STEPS.flatMap(step => BOUNDARIES.map(boundary => ({ step, boundary }))),
  ]
  return [1, 2, 3].flatMap(round =>
    places.flatMap((place, at): Break[] => [
      { ...place, by: 'kill', after: round === 1 || (round === 3 && at % 2 === 0) ? 'resume' : 'undo', round },
      { ...place, by: 'failure', round },
    ]),
  )
}

/** From then on the former release cannot serve with what is in the database. */
function isPast({ step, boundary }: Break): boolean {
  const at = STEPS.indexOf(step) - STEPS.indexOf('migrate-post')
  return at > 0 || (at === 0 && boundary !== 'started' && boundary !== 'before')
}

let stack: Stack
let story: BrokenRun
let former: Readonly<Record<string, string>>

beforeAll(async () => {
  await buildImages([OPTIONS.from, OPTIONS.to])
  stack = await startStack({ version: OPTIONS.from, variant: 'lean', healthSeconds: 1, running: 'servers' })
  const path = file('docker-compose.yml')
  writeFileSync(path, readFileSync(path, 'utf8').replace('[s]idekiq\\ 6', '[s]idekiq\\ [678]'))
  former = Object.fromEntries(FILES.map(name => [name, readFileSync(file(name), 'utf8')]))
  await stack.psql(`CREATE DATABASE former TEMPLATE "${stack.database}"`, ELSEWHERE)
  await must('docker', ['compose', ...stack.composeFlags, 'up', '-d', '--wait', ...APP], inProject())
}, 300_000)
afterAll(async () => {
  await stack?.stop()
})

/** The instance's own database is called postgres. */
const ELSEWHERE = 'template1'
const FILES = ['docker-compose.yml', '.env.production']
const file = (name: string) => join(stack.projectDir, name)
const inProject = () => ({ cwd: stack.projectDir, env: stack.env })
const copies = () => readdirSync(stack.projectDir).filter(name => name.includes('mstdn-ops'))

beforeEach(async () => {
  story = new BrokenRun(stack)
  if (!(await isFormer())) await makeFormer()
}, PATIENCE)
afterEach(() => story.remove())

async function isFormer(): Promise<boolean> {
  const same = FILES.every(name => readFileSync(file(name), 'utf8') === former[name])
  const applied = await stack.psql('SELECT count(*) FROM schema_migrations')
  return same && (await serving()) === OPTIONS.from && applied === (await stack.psql(APPLIED, 'former'))
}

const POST = "SELECT count(*) FROM schema_migrations WHERE version = '20240322161611'"
const APPLIED = 'SELECT count(*) FROM schema_migrations'

/** The files, the database and the containers as they were when the stack was new. */
async function makeFormer(): Promise<void> {
  await stack.compose('rm', '-sf', ...APP)
  for (const name of copies()) rmSync(file(name))
  for (const [name, text] of Object.entries(former)) writeFileSync(file(name), text)
  for (const name of [stack.database, ...(await ownDatabases())])
    await stack.psql(`DROP DATABASE "${name}" WITH (FORCE)`, ELSEWHERE)
  await stack.psql(`CREATE DATABASE "${stack.database}" TEMPLATE former`, ELSEWHERE)
  await must('docker', ['compose', ...stack.composeFlags, 'up', '-d', '--wait', ...APP], inProject())
}

async function ownDatabases(): Promise<string[]> {
  const names = await stack.psql("SELECT datname FROM pg_database WHERE datname LIKE 'mstdn_ops%'", ELSEWHERE)
  return names.split('\n').filter(Boolean)
}

/** Returns the one release whose processes all run and are well; what is found otherwise. */
async function serving(): Promise<string> {
  const found = (await stack.containers()).filter(({ service }) => APP.includes(service))
  const states = found.map(({ image, state, health }) => `${image.split(':v').at(-1)} ${state} ${health}`)
  const [first = 'nothing', ...others] = [...new Set(states)]
  const isWell = found.length === APP.length && others.length === 0 && first.endsWith(' running healthy')
  return isWell ? (first.split(' ')[0] ?? '') : `${found.length}: ${states.join(', ')}`
}

/** The release serves with all its files in place, and nothing half done lies about. */
async function expectServing(version: string, ended: string): Promise<void> {
  expect(await serving()).toBe(version)
  const text = readFileSync(file('docker-compose.yml'), 'utf8')
  if (version === OPTIONS.from) expect(text).toBe(former['docker-compose.yml'])
  else expect(text).not.toContain(`v${OPTIONS.from}`)
  if (version === OPTIONS.from) expect(copies()).toEqual([])
  else expect(copies()).toEqual([expect.stringMatching(/^docker-compose\.yml\.mstdn-ops-.*-release$/)])
  // What the former release lacks has to be there; what the new one has is no harm but for the post-deployment ones.
  expect(await stack.psql(POST)).toBe(version === OPTIONS.from ? '0' : '1')
  expect(await stack.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'mstdn_ops_new%'")).toBe('0')
  expect(await stack.logs('db')).not.toContain('terminating any other active server processes')
  await story.expectOver(ended)
}

test('the steps above are all that there are', async () => {
  const how = { output: new Output({ quiet: true, logLevel: 'error' }), dryRun: false }
  const toolbox = await openToolbox({ projectDir: stack.projectDir }, how)
  try {
    const steps = (await upgrade.steps(toolbox, OPTIONS)).map(({ id }) => id)
    expect(steps.filter(id => !PASSED_OVER.includes(id))).toEqual(STEPS)
  } finally {
    await toolbox.close()
  }
})

async function said(...words: string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await story.tool(...words)
  expect(exitCode, `${words.join(' ')}:\n${stdout}${stderr}`).toBe(0)
}

async function rolledBack(): Promise<void> {
  await said('rollback', '--yes', '--confirm', stack.domain, '--drain', '1s')
  await expectServing(OPTIONS.from, 'done')
}

test.each(breaks())(
  '$by at $step, $boundary, then $after (round $round)',
  async broken => {
    const { step, boundary, by, after } = broken
    const stop = { step, boundary, ...(by === 'failure' ? { by } : {}) }
    const ended = await story.breakAt('upgrade', OPTIONS, stop)
    if (by === 'failure') {
      expect(ended).toMatchObject({ killed: false, exitCode: isPast(broken) ? 5 : 4 })
      if (!isPast(broken)) return expectServing(OPTIONS.from, 'undone')
    } else expect(ended).toMatchObject({ killed: true })
    if (after === 'undo' && !isPast(broken)) {
      await said('resume', '--undo')
      return expectServing(OPTIONS.from, 'undone')
    }
    if (isPast(broken)) expect(await story.tool('resume', '--undo')).toMatchObject({ exitCode: 3 })
    await said('resume')
    await expectServing(OPTIONS.to, 'done')
    if (after === 'undo') await rolledBack()
  },
  PATIENCE,
)

/** The ways back are broken off, too: taken back they leave the newer release, gone on with the former one. */
const WAYS: readonly { way: string; begun: Break; places: readonly [step: string, boundary: Boundary][] }[] = [
  {
    way: 'its files alone',
    begun: { step: 'gate', boundary: 'acted', by: 'kill', round: 1 },
    places: [
      ['put-back', 'started'],
      ['put-back', 'acted'],
      ['bring', 'started'],
      ['bring', 'acted'],
    ],
  },
  {
    way: 'the backup of before',
    begun: { step: 'gate-again', boundary: 'acted', by: 'kill', round: 1 },
    places: [
      ['restore', 'acted'],
      ['stop', 'acted'],
      ['put-back', 'acted'],
      ['swap', 'acted'],
      ['clear-redis', 'acted'],
      ['bring', 'started'],
      ['bring', 'acted'],
    ],
  },
]

test.each(FULL ? WAYS : [])(
  'going back by $way is broken off at each place',
  async ({ begun, places }) => {
    const { step, boundary } = begun
    expect(await story.breakAt('upgrade', OPTIONS, { step, boundary })).toMatchObject({ killed: true })
    await said('resume', '--abandon', '--confirm', stack.domain)
    const options = await backOptions()
    const post = await stack.psql(POST)
    for (const [step, boundary] of places) {
      const where = `${step} ${boundary}`
      expect(await story.breakAt(BACK, options, { step, boundary }), where).toMatchObject({ killed: true })
      await said('resume', '--undo')
      expect([where, await serving(), await stack.psql(POST)]).toEqual([where, OPTIONS.to, post])
      expect(readFileSync(file('docker-compose.yml'), 'utf8')).not.toContain(`v${OPTIONS.from}`)
      await story.expectOver('undone')
    }
    const failed = await story.breakAt(BACK, options, { step: 'gate', boundary: 'acted', by: 'failure' })
    expect(failed).toMatchObject({ killed: false, exitCode: 4 })
    expect([await serving(), await stack.psql(POST)]).toEqual([OPTIONS.to, post])
    for (const one of await ownDatabases()) await stack.psql(`DROP DATABASE "${one}" WITH (FORCE)`, ELSEWHERE)
    await said('rollback', '--dry-run')
    // Then the files of the newer release are gone.
    expect(await story.breakAt(BACK, options, { step: 'tidy', boundary: 'acted' })).toMatchObject({ killed: true })
    expect(await story.tool('resume', '--undo')).toMatchObject({ exitCode: 3 })
    await said('resume')
    await expectServing(OPTIONS.from, 'done')
  },
  1_800_000,
)

/** Nothing was put in place yet, or nothing started anew: Sidekiq of the former release is there from before. */
const ABANDONED: readonly [step: string, boundary: Boundary, options: UpgradeOptions][] = [
  ['migrate-all', 'acted', { ...OPTIONS, phases: 'single', coexist: false }],
  ['bring', 'started', OPTIONS],
  ['gate', 'started', OPTIONS],
]

test.each(FULL ? ABANDONED : [])(
  'an upgrade that is abandoned at %s, %s, is rolled back',
  async (step, boundary, options) => {
    expect(await story.breakAt('upgrade', options, { step, boundary })).toMatchObject({ killed: true })
    await said('resume', '--abandon', '--confirm', stack.domain)
    await rolledBack()
  },
  PATIENCE,
)

/** What the command would ask the run to do. */
async function backOptions(): Promise<object> {
  const former = { ...process.env }
  Object.assign(process.env, story.places())
  const how = { output: new Output({ quiet: true, logLevel: 'error' }), dryRun: false }
  const toolbox = await openToolbox({ projectDir: stack.projectDir }, how)
  try {
    const target = await targetOf(toolbox, undefined)
    if (!('upgrade' in target)) throw new Error('it would not take the upgrade back')
    return await backOptionsOf(toolbox, target.upgrade, { drainSeconds: 1 })
  } finally {
    await toolbox.close()
    process.env = former
  }
}
