import { describe, expect, test } from 'vitest'
import { fitOf } from '../../../src/lib/mastodon/fit.js'
import type { Migration } from '../../../src/lib/mastodon/migrations.js'
import { RELEASES, type ReleaseRow } from '../../../src/lib/mastodon/releases/data.js'
import { FORKS, RETIRED } from '../../../src/lib/mastodon/releases/forks.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const FULL = process.env.MSTDN_TEST_FULL === '1'
const { of } = MastodonVersion
/** Rows whose migrations are counted: all but 4.7.0, whose count is not known. */
const COUNTED = RELEASES.filter(row => row.migrations !== undefined)

/**
 * Returns the migrations of each release, made up but for what the table holds: their number, the highest of all and
 * the newest post-deployment migration are the release's own.
 */
function histories(): Map<ReleaseRow, Migration[]> {
  const made = new Map<ReleaseRow, Migration[]>()
  let all: Migration[] = [{ id: RETIRED.id, phase: 'pre' }]
  for (const row of COUNTED) {
    if (row.first === RETIRED.gone) all = all.filter(({ id }) => id !== RETIRED.id)
    all = [...all, ...named(row, all)]
    all = [...all, ...fillers(row, all, 'post'), ...fillers(row, all, 'pre')]
    made.set(
      row,
      [...all].sort((a, b) => a.id.localeCompare(b.id)),
    )
  }
  return made
}

function named(row: ReleaseRow, all: readonly Migration[]): Migration[] {
  const post: Migration[] = row.newestPost ? [{ id: row.newestPost, phase: 'post' }] : []
  const pre: Migration[] = row.schema === row.newestPost ? [] : [{ id: row.schema, phase: 'pre' }]
  return [...post, ...pre].filter(({ id }) => all.every(known => known.id !== id))
}

/** Their ids lie just below that of the release. */
function fillers(row: ReleaseRow, all: readonly Migration[], phase: Migration['phase']): Migration[] {
  const wanted = (phase === 'pre' ? row.migrations : row.postMigrations) ?? 0
  const missing = wanted - all.filter(migration => migration.phase === phase).length
  const below = BigInt(row.schema) - (phase === 'pre' ? 1000n : 2000n)
  return Array.from({ length: missing }, (_, index) => ({ id: String(below - BigInt(index)), phase }))
}

const HISTORIES = histories()
const filesOf = (row: ReleaseRow) => HISTORIES.get(row) ?? []
const idsOf = (row: ReleaseRow) => filesOf(row).map(({ id }) => id)
const pairs = COUNTED.flatMap((dump, at) =>
  COUNTED.map((running, position) => ({ dump, running, order: at - position })),
)

test('the made-up histories have the numbers of the table', () => {
  expect(COUNTED.length).toBeGreaterThan(40)
  for (const row of COUNTED) {
    const files = filesOf(row)
    expect(files.length, row.first).toBe((row.migrations ?? 0) + (row.postMigrations ?? 0))
    expect(new Set(idsOf(row)).size, row.first).toBe(files.length)
    expect(files.at(-1)?.id, row.first).toBe(row.schema)
  }
})

const verdicts = [
  ['its files', (row: ReleaseRow) => ({ version: of(row.last), migrations: filesOf(row) })],
  ['counts alone', (row: ReleaseRow) => ({ version: of(row.last) })],
] as const

describe.each(verdicts)('every release against every other, by %s', (_, runningOf) => {
  test.each(COUNTED.map(row => [row.first, row] as const))('a dump of %s', (_first, dump) => {
    for (const { running, order } of pairs.filter(pair => pair.dump === dump)) {
      const fit = fitOf(idsOf(dump), runningOf(running))
      const expected = order === 0 ? 'fits' : order < 0 ? 'older' : 'newer'
      expect([running.first, fit.verdict], fit.sentence).toEqual([running.first, expected])
      expect(fit.restorable).toBe(order <= 0)
      expect(fit.madeBy).toContain(dump.first)
      if (order < 0) expect(fit.pending).toBe(filesOf(running).filter(({ id }) => !idsOf(dump).includes(id)).length)
    }
  })

  test.each(COUNTED.slice(1).map(row => [row.first, row] as const))('a database on its way to %s', (_first, row) => {
    const before = COUNTED[COUNTED.indexOf(row) - 1]
    const added = idsOf(row).filter(id => !idsOf(before ?? row).includes(id))
    for (const missing of added.filter((id, at) => id !== row.schema && (FULL || at % 7 === 0))) {
      const ids = idsOf(row).filter(id => id !== missing)
      expect(fitOf(ids, runningOf(row))).toMatchObject({ verdict: 'half-migrated', restorable: true, pending: 1 })
    }
  })
})

test('what is to install for a newer dump is the newest release with its schema', () => {
  const running = { version: of('2.0.0'), migrations: filesOf(RELEASES[7] ?? (COUNTED[0] as ReleaseRow)) }
  const installs = COUNTED.slice(8).map(row => [row.first, fitOf(idsOf(row), running).install])
  expect(Object.fromEntries(installs)).toMatchObject({
    '2.1.3': '2.2.0',
    '3.4.0': '3.4.0',
    '3.5.2': '3.5.13',
    '4.4.0': '4.4.27',
  })
  for (const [first, install] of installs) expect(install, String(first)).not.toBeNull()
})

const row = (first: string) => COUNTED.find(candidate => candidate.first === first) as ReleaseRow
const at = (first: string, version = first) => ({ version: of(version), migrations: filesOf(row(first)) })

describe('what lies between', () => {
  test('post-deployment migrations that were left for later are named', () => {
    const posts = filesOf(row('4.3.0'))
      .filter(({ phase }) => phase === 'post')
      .slice(-2)
    const ids = idsOf(row('4.3.0')).filter(id => posts.every(post => post.id !== id))
    const fit = fitOf(ids, at('4.3.0', '4.3.8'))
    expect(fit).toMatchObject({ verdict: 'half-migrated', pending: 2, next: null })
    for (const { id } of posts) expect(fit.sentence).toContain(id)
    expect(fit.sentence).toContain('half migrated to Mastodon 4.3.8: 2 post-deployment migrations are missing')
  })

  test('a database that stopped between two releases', () => {
    const ids = idsOf(row('4.4.0')).filter(id => id <= '20250627131000')
    expect(fitOf(ids, at('4.5.0'))).toMatchObject({ verdict: 'half-migrated', restorable: true })
    expect(fitOf(ids, at('4.5.0')).sentence).toContain('between Mastodon 4.3.23 and 4.4.0')
    const newer = fitOf(ids, at('4.3.0'))
    expect(newer).toMatchObject({ verdict: 'newer', restorable: false, install: '4.4.27', madeBy: null })
    expect(newer.next).toBe('Install Mastodon 4.4.27, then run the command again.')
  })

  test('a pre-release is older by its name', () => {
    const ids = [...idsOf(row('4.2.0')), '20240111033014']
    const migrations = [...filesOf(row('4.3.0')), { id: '20240111033014', phase: 'pre' as const }]
    const fit = fitOf(ids, { version: of('4.3.8'), migrations })
    expect(fit).toMatchObject({ verdict: 'older', madeBy: '4.3.0-alpha.2' })
  })

  test('newer than everything that is known', () => {
    const fit = fitOf([...idsOf(row('4.6.0')), '20991231235959'], at('4.6.0'))
    expect(fit).toMatchObject({ verdict: 'newer', install: null, restorable: false })
    expect(fit.sentence).toContain('after Mastodon 4.7.4')
  })

  test('the release whose count is not known', () => {
    const ids = [...idsOf(row('4.7.0-beta.1')), '20260812154114']
    expect(fitOf(ids, { version: of('4.7.2') })).toMatchObject({ verdict: 'fits', restorable: true })
    expect(fitOf(ids, at('4.6.0')).install).toBe('4.7.4')
    expect(fitOf(idsOf(row('4.6.0')), { version: of('4.7.2') })).toMatchObject({ verdict: 'older', pending: null })
  })

  test('the row of the file that 3.2.0 took away is nothing strange', () => {
    const ids = [...idsOf(row('4.3.0')), RETIRED.id]
    expect(fitOf(ids, at('4.3.0')).verdict).toBe('fits')
    expect(fitOf(ids, { version: of('4.3.8') }).verdict).toBe('fits')
  })
})

describe('forks', () => {
  test.each(FORKS.map(fork => [fork.name, fork] as const))('%s, also where it looks newer', (name, fork) => {
    const ids = [...idsOf(row('4.3.0')), ...fork.versions]
    for (const running of [at('4.3.0'), at('4.5.0'), at('4.2.0'), { version: of('4.3.8') }]) {
      const fit = fitOf(ids, running)
      expect(fit).toMatchObject({ verdict: 'fork', restorable: false })
      expect(fit.sentence).toContain(`of ${name}`)
      for (const id of fork.versions) expect(fit.unknown).toContain(id)
    }
  })

  test('a fork fits itself', () => {
    const own = (FORKS[1]?.versions ?? []).map(id => ({ id, phase: 'pre' as const }))
    const migrations = [...filesOf(row('4.3.0')), ...own]
    const fit = fitOf(
      migrations.map(({ id }) => id),
      { version: of('4.3.8+glitch'), migrations },
    )
    expect(fit.verdict).toBe('fits')
  })

  test('one that nobody knows: its versions are listed where the files tell them, counted where not', () => {
    const ids = [...idsOf(row('4.3.0')), '20230101010101', '20230202020202']
    expect(fitOf(ids, at('4.3.0'))).toMatchObject({ verdict: 'fork', unknown: ['20230101010101', '20230202020202'] })
    const fit = fitOf(ids, { version: of('4.3.8') })
    expect(fit.verdict).toBe('fork')
    expect(fit.sentence).toContain('2 versions more')
  })
})

test('a dump without migrations, and a release without a known schema', () => {
  expect(fitOf([], at('4.3.0'))).toMatchObject({ verdict: 'empty', restorable: false })
  const nightly = { version: of('4.4.0-nightly.2025-03-01') }
  expect(fitOf(idsOf(row('4.3.0')), nightly)).toMatchObject({ verdict: 'unknown', restorable: false })
})
