import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BackupStore } from '../../../../src/lib/backups/store.js'
import type { OperatorError } from '../../../../src/lib/errors.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { Journal, type RunEnd } from '../../../../src/lib/runbook/journal.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { type PruneOptions, prune } from '../../../../src/lib/runbooks/db/prune.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { OWNER, putBackup } from '../../../support/backups.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

ownState()
const NOW = new Date('2026-11-22T12:00:00Z')
const KEEP_TWO: PruneOptions = { keep: { daily: 2, weekly: 0, monthly: 0 }, labels: [] }

let dir: string
let store: BackupStore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-prune-'))
  store = new BackupStore(dir)
})
afterEach(() => rmSync(dir, { recursive: true }))

function toolbox(dryRun = false): Toolbox {
  const made = toolboxOf({ now: NOW })
  return { ...made, dryRun, instance: { ...made.instance, backups: { dir } } }
}

/** Backups at 2 in the morning, each called by its day. */
async function putDays(...days: number[]): Promise<void> {
  for (const day of days) await putDay(day)
}

function putDay(day: number, parts: Parameters<typeof putBackup>[2] = {}): Promise<string> {
  return putBackup(store, nameOf(day), { startedAt: `2026-11-${day}T02:00:00.000Z`, ...parts })
}

function nameOf(day: number): string {
  return `202611${day}-020000-aaaa`
}

function days(): number[] {
  return readdirSync(dir).map(name => Number(name.slice(6, 8)))
}

/** A run of `db:backup` on that day, as its journal tells it; without an end it died. */
async function putRun(day: number, end: RunEnd | undefined): Promise<void> {
  const runs = runsDir('made')
  const header = { runId: `202611${day}-030000-bbbb`, runbook: 'db:backup', options: {}, instance: 'made' }
  const rest = { title: 'a made instance', toolVersion: '0', stepIds: [], disposable: true }
  const journal = await Journal.create(runs, { ...header, ...rest, at: `2026-11-${day}T03:00:00.000Z` })
  if (end) await journal.end(end, 0)
  await journal.close()
}

async function refusal(work: Promise<unknown>): Promise<OperatorError> {
  return work.then(
    () => expect.fail('nothing was refused'),
    error => error as OperatorError,
  )
}

describe('db:prune', () => {
  it('removes what no rule keeps, and says why and how much', async () => {
    await putDays(22, 21, 20, 19)
    const report = await runRunbook(toolbox(), prune, KEEP_TWO)
    expect(days()).toEqual([21, 22])
    expect(report.steps.map(({ title }) => title)).toEqual([
      `Remove ${nameOf(20)}: beyond 2 days, 0 weeks and 0 months`,
      `Remove ${nameOf(19)}: beyond 2 days, 0 weeks and 0 months`,
      'Drop replaced databases whose time is over',
    ])
    expect(report.result?.removed.map(({ name, bytes }) => ({ name, bytes }))).toEqual([
      { name: nameOf(20), bytes: 1000 },
      { name: nameOf(19), bytes: 1000 },
    ])
    expect(report.result?.left).toBe(2)
    expect((await runRunbook(toolbox(), prune, KEEP_TWO)).result).toEqual({ removed: [], left: 2 })
  })

  it('shows in a dry run what would go, and removes nothing', async () => {
    await putDays(22, 21, 20)
    const report = await runRunbook(toolbox(true), prune, KEEP_TWO)
    expect(report.changes).toEqual([`rm -r ${join(dir, nameOf(20))}`])
    expect(days()).toEqual([20, 21, 22])
  })

  it('asks with the names, the sizes and the reasons', async () => {
    await putDays(22, 21)
    expect(await prune.consent?.(toolbox(), KEEP_TWO)).toEqual({ kind: 'none' })
    await putDay(20)
    expect(await prune.consent?.(toolbox(), KEEP_TWO)).toEqual({
      kind: 'yes',
      question: `  ${nameOf(20)} (1000 B): beyond 2 days, 0 weeks and 0 months\nRemove 1 backup for good?`,
    })
  })

  it('keeps the newest proven one, whatever is said', async () => {
    await putDays(10, 11)
    await runRunbook(toolbox(), prune, { keep: { daily: 0, weekly: 0, monthly: 0 }, labels: [] })
    expect(days()).toEqual([11])
  })

  it('keeps what has a label that stays, and what is of another instance', async () => {
    await putDays(22, 21, 20)
    await putDay(19, { label: 'before-the-move' })
    await putDay(18, { label: 'other' })
    await putDay(17, { instance: { name: 'main', title: 'main', domain: 'other.example' } })
    await runRunbook(toolbox(), prune, { ...KEEP_TWO, labels: ['before-the-move'] })
    expect(days()).toEqual([17, 19, 21, 22])
  })

  it('leaves what is broken or not proven, which does not count', async () => {
    await putDays(22, 18, 17)
    await putDay(21, { failed: 'database.dump has another SHA-256' })
    rmSync(join(await putDay(19), 'database.dump'))
    writeFileSync(join(await putDay(20), 'manifest.json'), '{}')
    await runRunbook(toolbox(), prune, KEEP_TWO)
    expect(days()).toEqual([18, 19, 20, 21, 22])
  })

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['is broken', async () => writeFileSync(join(await putDay(22), 'manifest.json'), 'x'), /^It cannot be read/],
    ['did not verify', () => putDay(22, { failed: 'database.dump is missing' }), /^database.dump is missing$/],
    ['has lost a file', async () => rmSync(join(await putDay(22), 'database.dump')), /^database.dump is missing\.$/],
    ['was cut', async () => truncateSync(join(await putDay(22), 'database.dump'), 9), /^database.dump has 9 bytes/],
    ['was not decoded', () => putDay(22, { verified: { checksums: true, decoded: false } }), /never decoded/],
    ['is a run that failed', () => putRun(22, 'undone'), /^It ended with: undone\.$/],
    ['is a run that died', () => putRun(22, undefined), /^It died before its end\.$/],
  ])('removes nothing when the newest attempt %s', async (_what, put, cause) => {
    await putDays(21, 20, 19)
    await put()
    const before = days()
    const error = await refusal(runRunbook(toolbox(), prune, KEEP_TWO))
    expect(error).toMatchObject({ code: 'newest-backup-failed', exitCode: 3, why: expect.stringMatching(cause) })
    expect(await refusal(prune.consent?.(toolbox(), KEEP_TWO) ?? Promise.resolve())).toMatchObject({ exitCode: 3 })
    expect(days()).toEqual(before)
  })

  it('goes on when a backup succeeded after a failure', async () => {
    await putRun(20, 'undone')
    await putRun(21, 'done')
    await putDays(22, 21, 19, 18)
    await runRunbook(toolbox(), prune, KEEP_TWO)
    expect(days()).toEqual([21, 22])
  })

  it('tells a backup that cannot be removed, and the others are removed the next time', async () => {
    await putDays(22, 21, 20, 19)
    // What was left beside it takes the name that it needs to be removed.
    mkdirSync(join(dir, `.${nameOf(20)}.partial`, 'left'), { recursive: true })
    const error = await refusal(runRunbook(toolbox(), prune, KEEP_TWO))
    expect(`${error.message} ${error.why}`).toContain(`${nameOf(20)} could not be removed`)
    expect(existsSync(join(dir, nameOf(20)))).toBe(true)
    await store.clean(OWNER)
    await runRunbook(toolbox(), prune, KEEP_TWO)
    expect(days()).toEqual([21, 22])
  })
})
