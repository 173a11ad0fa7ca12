import { expect, test } from 'vitest'
import type { Built, ReleaseBuild } from '../../../../src/lib/backends/release-build.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { Journal, type RunEnd, type RunRecord } from '../../../../src/lib/runbook/journal.js'
import { refuse } from '../../../../src/lib/runbooks/upgrade/back/deployed/check.js'
import { deployedBackOptionsOf } from '../../../../src/lib/runbooks/upgrade/back/deployed/options.js'
import { DEPLOYED_BACK, targetOf, theUpgrade } from '../../../../src/lib/runbooks/upgrade/back/runs.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const [BEFORE, SINCE] = ['20230101000000', '20240101000000']
const COMMIT = 'a'.repeat(40)
const FORMER: Built = { id: 'former', label: 'v12', slug: 'the former code', commit: undefined }
const NEWER: Built = { id: 'newer', label: 'v15', slug: 'the newer code', commit: COMMIT }
const OTHER: Built = { id: 'other', label: 'v16', slug: 'other code', commit: 'b'.repeat(40) }

ownState()

/** An app with the code in force, and with these migrations applied. */
function instance({ version = '4.3.8', applied = [BEFORE], now = NEWER } = {}) {
  const build: Partial<ReleaseBuild> = {
    inForce: async () => now,
    isInForce: async commit => commit === now.commit,
    untilOver: async () => undefined,
  }
  const query = async <T extends object>(sql: string) =>
    (sql.includes('to_regclass') ? [{ there: true }] : applied.map(id => ({ version: id }))) as T[]
  return toolboxOf({
    ...{ version, processes: [], oneOff: {}, formation: { sizes: async () => [], scale: async () => undefined } },
    releases: { current: async () => undefined, build: build as ReleaseBuild },
    database: { query, pooled: false },
  })
}

const NOTES = {
  ...{ former: JSON.stringify(FORMER), 'applied-before': BEFORE },
  backup: JSON.stringify({ path: '/backups/one' }),
}

/** Writes the journal of a run that has ended. */
async function run(
  runId: string,
  { end = 'done', runbook = 'upgrade:deploy', options = {}, notes = NOTES }: Partial<Told> = {},
): Promise<void> {
  const asked = { from: '4.2.9', to: '4.3.8', coexist: false, sources: { commit: COMMIT }, ...options }
  const header = { runId, runbook, options: asked, instance: 'made', title: 'made', toolVersion: '0', stepIds: [] }
  const journal = await Journal.create(runsDir('made'), { ...header, at: '2026-01-01T00:00:00Z' })
  for (const [key, value] of Object.entries(notes)) await journal.note(key, value)
  await journal.end(end, 0)
  await journal.close()
}

interface Told {
  end: RunEnd
  runbook: string
  options: object
  notes: Record<string, string>
}

const runOf = (target: object) => (target as { deployed: RunRecord }).deployed.header.runId

test('the newest upgrade whose push was begun is taken back, and none a second time', async () => {
  await run('20260101-000001-aaaa')
  await run('20260101-000002-bbbb', { end: 'abandoned' })
  await run('20260101-000003-cccc', { end: 'undone' })
  await run('20260101-000004-dddd', { end: 'abandoned', notes: { 'applied-before': BEFORE } })
  expect(runOf(await targetOf(instance(), undefined))).toBe('20260101-000002-bbbb')
  await run('20260101-000005-eeee', { runbook: DEPLOYED_BACK, options: { of: '20260101-000002-bbbb' } })
  expect(runOf(await targetOf(instance(), undefined))).toBe('20260101-000001-aaaa')
  for (const named of ['20260101-000002-bbbb', '20260101-000003-cccc', '20260101-000004-dddd'])
    await expect(targetOf(instance(), named)).rejects.toMatchObject({ code: 'no-upgrade-to-take-back', exitCode: 3 })
})

test('one that has not ended is not passed over', async () => {
  await run('20260101-000001-aaaa')
  await run('20260101-000002-bbbb', { end: 'not-undone' })
  const next = expect.stringContaining('mstdn-ops resume --abandon, and then mstdn-ops rollback')
  await expect(targetOf(instance(), undefined)).rejects.toMatchObject({ code: 'unfinished-run', next })
})

test('the code alone is put back until a migration was applied; then the backup, where there is one', async () => {
  await run('1')
  const said = { drainSeconds: 1 }
  const record = await theUpgrade(instance(), '1')
  const options = { of: '1', from: '4.3.8', to: '4.2.9', former: FORMER, commit: COMMIT, drainSeconds: 1 }
  expect(await deployedBackOptionsOf(instance(), record, said)).toEqual(options)
  const migrated = instance({ applied: [BEFORE, SINCE] })
  expect(await deployedBackOptionsOf(migrated, record, said)).toEqual({ ...options, backup: '/backups/one' })
  await run('2', { notes: { ...NOTES, backup: JSON.stringify({ path: null }) } })
  const without = deployedBackOptionsOf(migrated, await theUpgrade(instance(), '2'), said)
  await expect(without).rejects.toMatchObject({ code: 'upgrade-without-backup', exitCode: 3 })
})

test('what was deployed or migrated since is not lost', async () => {
  await run('1')
  const options = await deployedBackOptionsOf(instance(), await theUpgrade(instance(), '1'), { drainSeconds: 1 })
  await expect(refuse(instance(), options)).resolves.toBeUndefined()
  await expect(refuse(instance({ now: FORMER, version: '4.2.9' }), options)).resolves.toBeUndefined()
  const other = refuse(instance({ now: OTHER }), options)
  await expect(other).rejects.toMatchObject({ code: 'other-code-since', why: expect.stringContaining('v16') })
  const migrated = refuse(instance({ applied: [BEFORE, SINCE] }), options)
  await expect(migrated).rejects.toMatchObject({ code: 'migrated-meanwhile', exitCode: 3 })
})
