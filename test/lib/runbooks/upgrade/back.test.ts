import { expect, test } from 'vitest'
import type { KeptState, ReleaseChange } from '../../../../src/lib/backends/backend.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { Journal, type RunEnd, type RunRecord, type StepState } from '../../../../src/lib/runbook/journal.js'
import { refuse } from '../../../../src/lib/runbooks/upgrade/back/check.js'
import { backOptionsOf, whyNotRelease } from '../../../../src/lib/runbooks/upgrade/back/options.js'
import { BACK, targetOf, theUpgrade } from '../../../../src/lib/runbooks/upgrade/back/runs.js'
import { ownState } from '../../../support/own-state.js'
import { type Made, toolboxOf } from '../../../support/toolbox-of.js'

const FILE = '/town/docker-compose.yml'
const [PRE, OLD_POST, POST] = ['20240101000000', '20230101000000', '20240201000000']

ownState()

interface Scene {
  version?: string
  applied?: string[]
  /** Whether the image of the newer release is there. */
  isHere?: boolean
  kept?: Partial<KeptState>[]
}

/** An instance whose newer release holds these three migrations; its files name the former one, which holds fewer. */
function instance({ version = '4.3.8', applied = [PRE, OLD_POST], isHere = true, kept = [] }: Scene = {}) {
  const found = kept.map(one => ({
    path: FILE,
    copy: `${FILE}.mstdn-ops-1-release`,
    digest: 'd',
    isBack: false,
    ...one,
  }))
  const change: Partial<ReleaseChange> = {
    back: { kept: async () => found } as unknown as ReleaseChange['back'],
    isHere: async () => isHere,
  }
  const made: Made = {
    version,
    processes: [],
    releases: { current: async () => undefined, change: change as ReleaseChange },
    oneOff: {
      run: async ({ release }) => {
        const stdout = release === '4.3.8' ? LISTING : FORMER_LISTING
        return { stdout, stderr: '', exitCode: 0, planned: false }
      },
    },
    database: {
      query: async <T extends object>(sql: string) =>
        (sql.includes('to_regclass') ? [{ there: true }] : applied.map(id => ({ version: id }))) as T[],
      pooled: false,
    },
  }
  return toolboxOf(made)
}

const FORMER_LISTING = `db/migrate:\n\ndb/post_migrate:\n${OLD_POST}_long_ago.rb\n`
const LISTING = `db/migrate:\n${PRE}_first.rb\n\ndb/post_migrate:\n${OLD_POST}_long_ago.rb\n${POST}_last.rb\n`

const NOTES = {
  'applied-before': OLD_POST,
  images: JSON.stringify([{ name: 'web', from: 'mastodon:v4.2.9', to: 'mastodon:v4.3.8' }]),
  written: JSON.stringify([{ path: FILE, digest: 'd' }]),
  backup: JSON.stringify({ path: '/backups/one' }),
}

/** Writes the journal of a run that has ended. */
async function run(
  runId: string,
  { end = 'done', runbook = 'upgrade', switched = end === 'undone' ? 'undone' : 'done', ...told }: Partial<Told> = {},
): Promise<void> {
  const { options = {}, notes = {} } = told
  const asked = { from: '4.2.9', to: '4.3.8', phases: 'two', coexist: true, backup: true, ...options }
  const header = { runId, runbook, options: asked, instance: 'made', title: 'made', toolVersion: '0', stepIds: [] }
  const journal = await Journal.create(runsDir('made'), { ...header, at: '2026-01-01T00:00:00Z' })
  for (const [key, value] of Object.entries({ ...NOTES, ...notes })) if (value !== '') await journal.note(key, value)
  if (switched !== null) await journal.step('switch', switched)
  await journal.end(end, 0)
  await journal.close()
}

interface Told {
  end: RunEnd
  runbook: string
  /** What the journal says of the switch; null: it was never begun. */
  switched: StepState | null
  options: object
  notes: Record<string, string>
}

test('the newest upgrade that stands is taken back, and none a second time', async () => {
  await run('20260101-000001-aaaa')
  await run('20260101-000002-bbbb', { end: 'abandoned' })
  await run('20260101-000003-cccc', { end: 'undone' })
  const toolbox = instance()
  expect(await targetOf(toolbox, undefined)).toMatchObject({ upgrade: { header: { runId: '20260101-000002-bbbb' } } })
  await run('20260101-000004-dddd', { runbook: BACK, options: { of: '20260101-000002-bbbb' } })
  expect(await targetOf(toolbox, undefined)).toMatchObject({ upgrade: { header: { runId: '20260101-000001-aaaa' } } })
  for (const named of ['20260101-000002-bbbb', '20260101-000003-cccc'])
    await expect(targetOf(toolbox, named)).rejects.toMatchObject({ code: 'no-upgrade-to-take-back', exitCode: 3 })
})

test('an upgrade that was abandoned while it migrated is taken back, and no older one in its place', async () => {
  await run('20260101-000001-aaaa')
  const nothing = { images: '', written: '' }
  const abandoned = { end: 'abandoned', options: { phases: 'single', coexist: false } } as const
  await run('20260101-000002-bbbb', { ...abandoned, switched: null, notes: nothing })
  expect(await targetOf(instance(), undefined)).toMatchObject({
    upgrade: { header: { runId: '20260101-000001-aaaa' } },
  })
  await run('20260101-000003-cccc', { ...abandoned, switched: null, notes: { ...nothing, 'planned-all': PRE } })
  const target = await targetOf(instance(), undefined)
  expect(target).toMatchObject({ upgrade: { header: { runId: '20260101-000003-cccc' } } })
  const options = await backOptionsOf(instance(), (target as { upgrade: RunRecord }).upgrade, { drainSeconds: 1 })
  expect(options).toMatchObject({ images: [], backup: '/backups/one' })
  await run('20260101-000004-dddd', { ...abandoned, switched: 'started', notes: nothing })
  expect(await targetOf(instance(), undefined)).toMatchObject({
    upgrade: { header: { runId: '20260101-000004-dddd' } },
  })
})

test('an upgrade that has not ended is not passed over', async () => {
  await run('20260101-000001-aaaa')
  await run('20260101-000002-bbbb', { end: 'not-undone' })
  const next = expect.stringContaining('mstdn-ops resume --abandon, and then mstdn-ops rollback')
  await expect(targetOf(instance(), undefined)).rejects.toMatchObject({ code: 'unfinished-run', next })
})

test('nor is a run of another kind; asked for by its id, it is said to be unfinished', async () => {
  await run('20260101-000001-aaaa')
  await run('20260101-000002-bbbb', { end: 'not-undone', runbook: BACK, options: { of: '20260101-000001-aaaa' } })
  for (const named of [undefined, '20260101-000001-aaaa', '20260101-000002-bbbb'])
    await expect(targetOf(instance(), named)).rejects.toMatchObject({ code: 'unfinished-run', exitCode: 3 })
})

test('the backup is needed once a post-deployment migration was applied that the former release has not', async () => {
  await run('1')
  const record = await theUpgrade(instance(), '1')
  expect(await whyNotRelease(instance(), record)).toBeUndefined()
  const past = instance({ applied: [PRE, OLD_POST, POST] })
  expect(await whyNotRelease(past, record)).toMatch(/^1 post-deployment migration was applied/)
  const said = { drainSeconds: 1 }
  const options = { of: '1', from: '4.3.8', to: '4.2.9', images: ['mastodon:v4.2.9'], drainSeconds: 1 }
  expect(await backOptionsOf(instance(), record, said)).toEqual(options)
  expect(await backOptionsOf(past, record, said)).toEqual({ ...options, backup: '/backups/one' })
})

test('where the image of the newer release is gone, what is not known to be harmless is taken for fatal', async () => {
  await run('1', { notes: { 'planned-pre': PRE } })
  const record = await theUpgrade(instance(), '1')
  expect(await whyNotRelease(instance({ isHere: false }), record)).toBeUndefined()
  const past = instance({ applied: [PRE, OLD_POST, POST], isHere: false })
  expect(await whyNotRelease(past, record)).toMatch(/^1 migration was applied besides/)
})

test('without a backup that way is closed, and says so', async () => {
  await run('1', { options: { coexist: false, backup: false }, notes: { backup: '' } })
  const back = backOptionsOf(instance(), await theUpgrade(instance(), '1'), { drainSeconds: 1 })
  await expect(back).rejects.toMatchObject({ code: 'upgrade-without-backup', exitCode: 3 })
})

test('files that were changed since are not written over', async () => {
  await run('1')
  const options = await backOptionsOf(instance(), await theUpgrade(instance(), '1'), { drainSeconds: 1 })
  await expect(refuse(instance({ kept: [{}] }), options)).resolves.toBeUndefined()
  await expect(refuse(instance({ kept: [{ digest: 'other', isBack: true }] }), options)).resolves.toBeUndefined()
  await expect(refuse(instance({ kept: [{ digest: 'other' }] }), options)).rejects.toMatchObject({
    code: 'files-changed-since',
    next: expect.stringContaining(`take it out of ${FILE}`),
  })
  const gone = (next: string) => ({ code: 'former-file-gone', next: expect.stringContaining(next) })
  await expect(refuse(instance(), options)).rejects.toMatchObject(gone('docker compose up'))
  const restoring = refuse(instance(), { ...options, backup: '/backups/one' })
  await expect(restoring).rejects.toMatchObject(gone('First docker compose stop'))
})

test('a release that was put in place since is gone back from first, and what was migrated since closes the way', async () => {
  await run('1')
  const options = await backOptionsOf(instance(), await theUpgrade(instance(), '1'), { drainSeconds: 1 })
  const kept = [{}]
  await expect(refuse(instance({ version: '4.5.3', kept }), options)).rejects.toMatchObject({
    code: 'other-release-since',
  })
  const migrated = instance({ applied: [PRE, OLD_POST, POST], kept })
  await expect(refuse(migrated, options)).rejects.toMatchObject({ code: 'migrated-meanwhile' })
})
