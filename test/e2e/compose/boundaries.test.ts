import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import type { Boundary } from '../../../src/lib/runbook/run.js'
import { RUNBOOKS } from '../../../src/lib/runbooks/index.js'
import { TAKE_BACK } from '../pending-migrations.js'
import { type Stack, startStack } from './bed/bed.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 240_000
const OTHERS = 'another:application'
/** Before a step is after the one that was taken before it: nothing is done or noted between. */
const BOUNDARIES: readonly Boundary[] = ['started', 'acted', 'after']

interface Break {
  step: string
  boundary: Boundary
  by: 'kill' | 'failure'
  /** What is said after a kill. */
  after?: 'resume' | 'undo'
}

interface Tried {
  runbook: 'db:restore' | 'db:reset'
  /** Those that a run of the test takes, in their order: every one that is needed here. */
  steps: readonly string[]
  /** Those that are passed over here. */
  passedOver: readonly string[]
  /** Breaks of the reduced suite: where most can go wrong. */
  some: readonly Break[]
}

/** The backup is of an older schema, so that a restore has something to migrate. */
const RESTORE: Tried = {
  runbook: 'db:restore',
  steps: [
    ...['restore', 'compare', 'migrate-aside', 'analyze', 'stop', 'look', 'jobs-aside', 'raise-ids', 'swap'],
    ...['clear-redis', 'due-posts', 'start', 'gone-media', 'feeds'],
  ],
  passedOver: ['migrate', 'raise-migrated-ids'],
  some: [
    { step: 'swap', boundary: 'acted', by: 'kill', after: 'undo' },
    { step: 'migrate-aside', boundary: 'acted', by: 'kill', after: 'resume' },
  ],
}

const RESET: Tried = {
  runbook: 'db:reset',
  steps: [
    ...['safety-backup', 'count', 'empty', 'stop', 'look', 'copy', 'compare', 'owner', 'analyze', 'jobs-aside'],
    ...['raise-ids', 'swap', 'clear-redis', 'start'],
  ],
  passedOver: ['seed'],
  some: [{ step: 'swap', boundary: 'acted', by: 'kill', after: 'resume' }],
}

/** Killed and failing three times at each place, as what happens meanwhile differs; the third kill ends either way by turns. */
function breaks({ steps, some }: Tried): (Break & { round: number })[] {
  if (!FULL) return some.map(one => ({ ...one, round: 1 }))
  const first = { step: steps[0] ?? '', boundary: 'before' as const }
  const places = [first, ...steps.flatMap(step => BOUNDARIES.map(boundary => ({ step, boundary })))]
  return [1, 2, 3].flatMap(round =>
    places.flatMap((place, at): (Break & { round: number })[] => [
      { ...place, by: 'kill', after: round === 1 || (round === 3 && at % 2 === 0) ? 'resume' : 'undo', round },
      { ...place, by: 'failure', round },
    ]),
  )
}

/** From then on people may have written into the new state: it is kept even where the run is taken back. */
function hadServed({ steps }: Tried, { step, boundary }: Break): boolean {
  const from = steps.indexOf('start')
  return steps.indexOf(step) > from || (step === 'start' && ['acted', 'after'].includes(boundary))
}

/** Feeds that were built stay: they are made anew by themselves, and no database is worth less for them. */
function leavesFeeds({ step, by, after }: Break): boolean {
  return step === 'feeds' && (by === 'failure' || after === 'undo')
}

describe.each([RESTORE, RESET])('$runbook that is broken off', { timeout: PATIENCE }, tried => {
  let stack: Stack
  let story: BrokenRun
  let options: object
  let identity: string

  beforeAll(async () => {
    stack = await startStack({ version: '4.5.3', variant: 'lean', streaming: false })
    story = new BrokenRun(stack)
    identity = await identities()
    options = await optionsOf(tried.runbook)
  }, 300_000)
  afterAll(async () => {
    story?.remove()
    await stack?.stop()
  })

  async function optionsOf(runbook: Tried['runbook']): Promise<object> {
    if (runbook === 'db:reset') return { drop: [], withoutFollows: false, drainSeconds: 1 }
    await stack.psql(TAKE_BACK.replace('TRUNCATE applied_log;\n', ''))
    const made = await story.tool('db:backup', '--json')
    expect((await story.tool('db:migrate', '--yes')).exitCode).toBe(0)
    const { path } = (JSON.parse(made.stdout) as { result: { path: string } }).result
    return { source: path, drainSeconds: 1, replayJobs: false }
  }

  /** The live database has a post that the new one will not have, and another application keeps a key in Redis. */
  beforeEach(async () => {
    if ((await databases('mstdn_ops_kept%')) !== '0') {
      expect(await story.tool('db:discard', '--yes')).toMatchObject({ exitCode: 0 })
    }
    await stack.psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local)
      SELECT 'after', 1, now(), now(), true WHERE NOT EXISTS (SELECT FROM statuses WHERE text = 'after')`)
    await stack.redis('SET', OTHERS, 'kept')
  })

  function databases(pattern: string): Promise<string> {
    return stack.psql(`SELECT count(*) FROM pg_database WHERE datname LIKE '${pattern}'`)
  }

  /** Of the local accounts, what other servers know them by. */
  function identities(): Promise<string> {
    return stack.psql(`SELECT count(*) || md5(string_agg(concat_ws(' ', id, username, uri, public_key, private_key), ',' ORDER BY id))
      FROM accounts WHERE domain IS NULL`)
  }

  /** Which state the live database is in: nothing in between is an answer. */
  async function state(): Promise<'live' | 'new'> {
    return (await stack.psql("SELECT count(*) FROM statuses WHERE text = 'after'")) === '1' ? 'live' : 'new'
  }

  /** The site serves, with the state that it should have, wholly migrated, and nothing half done lies about. */
  async function expectServing(wanted: 'live' | 'new', kept: boolean): Promise<void> {
    expect(await state()).toBe(wanted)
    expect(await identities()).toBe(identity)
    const states = (await stack.containers()).map(one => [one.service, one.state, one.health]).sort()
    expect(states.filter(([service]) => ['web', 'sidekiq'].includes(service ?? ''))).toEqual([
      ['sidekiq', 'running', 'healthy'],
      ['web', 'running', 'healthy'],
    ])
    expect(await stack.psql("SELECT to_regclass('username_blocks') IS NOT NULL")).toBe('t')
    expect(await databases('mstdn_ops_new%')).toBe('0')
    expect(await databases('mstdn_ops_kept%')).toBe(kept ? '1' : '0')
    expect(await stack.redis('GET', OTHERS)).toBe('kept')
    expect(await stack.logs('db')).not.toContain('terminating any other active server processes')
  }

  test('the steps below are all that there are', async () => {
    const toolbox = await openToolbox(
      { projectDir: stack.projectDir },
      { output: new Output({ quiet: true, logLevel: 'error' }), dryRun: false },
    )
    try {
      const runbook = await RUNBOOKS[tried.runbook]?.()
      const steps = (await runbook?.steps(toolbox, options as never)) ?? []
      expect(steps.map(({ id }) => id).filter(id => !tried.passedOver.includes(id))).toEqual(tried.steps)
    } finally {
      await toolbox.close()
    }
  })

  test.each(breaks(tried))('$by at $step, $boundary, then $after (round $round)', async broken => {
    const { step, boundary, by, after, round } = broken
    const ended = await story.breakAt(tried.runbook, options, { step, boundary, ...(by === 'failure' ? { by } : {}) })
    const served = hadServed(tried, broken)
    if (by === 'failure') {
      // What is built after the instance serves again takes nothing back.
      expect(ended).toMatchObject({ killed: false, exitCode: leavesFeeds(broken) ? 5 : 4 })
      return expectServing('live', served)
    }
    expect(ended).toMatchObject({ killed: true })
    await state()
    if (round === 1) expect(await story.tool('db:backup'), 'nothing else is begun').toMatchObject({ exitCode: 3 })
    const gone = await story.tool('resume', ...(after === 'undo' ? ['--undo'] : []))
    expect(gone.exitCode, gone.stderr).toBe(leavesFeeds(broken) ? 5 : 0)
    if (after === 'undo') await expectServing('live', served)
    else await expectServing('new', true)
  })

  test.each(Array.from({ length: FULL ? 20 : 1 }, (_, at) => at))('killed inside of the long step (%s)', async () => {
    const words = tried.runbook === 'db:restore' ? ['db:restore', 'latest'] : ['db:reset']
    const run = story.start([...words, '--confirm', stack.domain, '--drain', '1s'])
    await run.until(tried.runbook === 'db:restore' ? 'Restore ' : 'Make a backup')
    await new Promise(resolve => setTimeout(resolve, Math.random() * 2_500))
    run.signal('SIGKILL')
    await run.ended
    expect(await state()).toBe('live')
    expect(await story.tool('resume', '--undo')).toMatchObject({ exitCode: 0 })
    await expectServing('live', false)
  })
})
