import { describe, expect, test } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import {
  NEEDS,
  PHASED_FROM,
  POST_MIGRATIONS,
  POSTGRES_CHECKED,
  RELEASES,
  RUNTIMES,
} from '../../../src/lib/mastodon/releases/data.js'
import {
  hasPhases,
  imagesShipAssets,
  neighboursOfSchema,
  newestRelease,
  phasedFrom,
  postMigrationsBetween,
  preReleasesWithSchema,
  releaseOf,
  releasesWithSchema,
  requirements,
  schemaOf,
  securityReleases,
  seriesBetween,
  supportEnds,
} from '../../../src/lib/mastodon/releases.js'
import { inRange, MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion

describe('schemaOf', () => {
  test.each([
    ['1.3.0', '20170425202925'],
    ['1.4.7', '20170625140443'],
    ['1.5.1', '20170720000000'],
    ['2.2.0', '20180106000232'],
    ['2.4.5', '20180814171349'],
    ['2.5.2', '20180820232245'],
    ['2.6.5', '20181026034033'],
    ['2.9.4', '20190529143559'],
    ['3.4.5', '20210630000137'],
    ['3.5.1', '20220316233212'],
    ['3.5.13', '20220429101850'],
    ['4.0.0', '20221104133904'],
    ['4.2.9', '20230907150100'],
    ['4.3.8', '20241007071624'],
    ['4.4.0', '20250627132728'],
    ['4.5.3', '20251023210145'],
    ['4.6.0', '20260611150940'],
    ['4.7.0-beta.1', '20260805130216'],
    ['4.7.2', '20260812154114'],
    ['4.3.0-rc.1', '20240916190140'],
    ['4.5.0-alpha.1', '20250627132728'],
    ['4.2.9+glitch', '20230907150100'],
  ])('%s: %s', (version, schema) => {
    expect(schemaOf(of(version))).toBe(schema)
  })

  test.each(['1.2.2', '1.4.0', '99.0.0', '4.4.0-nightly.2025-03-01', '4.0.0rc1'])('%s is not recorded', version => {
    expect(schemaOf(of(version))).toBeUndefined()
  })
})

describe('releaseOf', () => {
  test('a patch release that was not looked at is taken for its neighbours, and says so', () => {
    expect(releaseOf(of('4.2.29'))).toMatchObject({ first: '4.2.0', verified: false })
    expect(releaseOf(of('4.2.9'))).toMatchObject({ first: '4.2.0', last: '4.2.9', verified: true })
    expect(releaseOf(of('3.3.2'))).toMatchObject({ first: '3.3.0', verified: false })
    expect(releaseOf(of('4.7.2'))).toMatchObject({ first: '4.7.0', verified: false })
  })

  test('every first and last release finds its own row', () => {
    for (const row of RELEASES) {
      expect(releaseOf(of(row.first))?.schema).toBe(row.schema)
      expect(releaseOf(of(row.last))?.schema).toBe(row.schema)
    }
  })
})

describe('the table holds together', () => {
  test('rows stand in the order of release, schema and date', () => {
    const bySchema = RELEASES.map(row => row.schema)
    expect([...bySchema].sort()).toEqual(bySchema)
    expect(new Set(bySchema).size).toBe(RELEASES.length)
    for (const row of RELEASES) expect(of(row.last).isOlderThan(of(row.first))).toBe(false)
  })

  test('schema versions are 14 digits, and no post-deployment migration is newer', () => {
    for (const row of RELEASES) {
      expect(row.schema).toMatch(/^20\d{12}$/)
      if (row.newestPost) expect(row.newestPost <= row.schema).toBe(true)
    }
  })

  test('the counts of post-deployment migrations add up to those of the rows', () => {
    const total = (version: string) =>
      POST_MIGRATIONS.filter(row => of(version).atLeast(row.release)).reduce((sum, row) => sum + row.count, 0)
    for (const row of RELEASES)
      if (row.postMigrations !== undefined)
        expect([row.first, total(row.first)]).toEqual([row.first, row.postMigrations])
  })

  test('runtimes are in ascending order', () => {
    const list = RUNTIMES.map(row => row.since)
    expect([...list].sort((a, b) => MastodonVersion.compare(of(a), of(b)))).toEqual(list)
  })
})

describe('from a schema to releases', () => {
  test.each([
    ['20180106000232', '2.1.3', '2.2.0'],
    ['20220429101850', '3.5.2', '3.5.13'],
    ['20241007071624', '4.3.0', '4.3.23'],
  ])('%s is %s to %s', (schema, first, last) => {
    expect(releasesWithSchema(schema)).toMatchObject([{ first, last }])
  })

  test('a schema of the main branch lies between two releases', () => {
    expect(releasesWithSchema('20240111033014')).toEqual([])
    expect(preReleasesWithSchema('20240111033014')).toEqual(['4.3.0-alpha.2', '4.3.0-alpha.3'])
    const { older, newer } = neighboursOfSchema('20240111033014')
    expect([older?.first, newer?.first]).toEqual(['4.2.0', '4.3.0'])
  })

  test('what is older or newer than all has one neighbour', () => {
    expect(neighboursOfSchema('20160101000000').older).toBeUndefined()
    expect(neighboursOfSchema('20990101000000').newer).toBeUndefined()
  })
})

describe('upgrades', () => {
  test('every minor series on the way', () => {
    expect(seriesBetween(of('4.2.9'), of('4.5.3'))).toEqual(['4.3', '4.4', '4.5'])
    expect(seriesBetween(of('4.5.1'), of('4.5.3'))).toEqual([])
    expect(seriesBetween(of('2.9.4'), of('3.1.0'))).toEqual(['3.0', '3.1'])
    expect(seriesBetween(of('4.6.5'), of('4.7.4'))).toEqual(['4.7'])
  })

  test('post-deployment migrations on the way', () => {
    expect(postMigrationsBetween(of('4.2.9'), of('4.5.3'))).toEqual([
      { release: '4.3.0', count: 10 },
      { release: '4.4.0', count: 5 },
    ])
    expect(postMigrationsBetween(of('3.5.0'), of('3.5.1'))).toEqual([])
    expect(postMigrationsBetween(of('3.5.1'), of('3.5.2'))).toEqual([{ release: '3.5.2', count: 2 }])
  })

  test('patch releases on the way that fix security problems', () => {
    expect(securityReleases(of('4.5.9'), of('4.5.20'))).toEqual(['4.5.10', '4.5.11', '4.5.12', '4.5.13', '4.5.14'])
    expect(securityReleases(of('4.4.21'), of('4.4.22'))).toEqual([])
    expect(securityReleases(of('4.4.1'), of('4.5.20'))).toEqual([])
  })

  test('the oldest database that may be migrated in phases', () => {
    expect(phasedFrom(of('4.3.8'))).toBeUndefined()
    expect(phasedFrom(of('4.5.3'))).toEqual({ release: '4.2.0', schema: '20230907150100' })
    expect(phasedFrom(of('4.7.2'))).toEqual({ release: '4.3.0', schema: '20241007071624' })
  })

  test('phases and shipped assets begin with 2.5.0', () => {
    expect([hasPhases(of('2.4.5')), hasPhases(of('2.5.0'))]).toEqual([false, true])
    expect([imagesShipAssets(of('2.4.5')), imagesShipAssets(of('2.5.0'))]).toEqual([false, true])
  })

  test('the newest release, in all and of a series', () => {
    expect(`${newestRelease()}`).toBe('4.7.4')
    expect(`${newestRelease('4.5')}`).toBe('4.5.20')
    expect(`${newestRelease('4.3')}`).toBe('4.3.23')
    expect(newestRelease('5.0')).toBeUndefined()
    expect(supportEnds(of('4.4.1'))).toBe('2026-12-17')
  })
})

describe('requirements', () => {
  test.each([
    ['2.4.5', undefined, undefined, undefined, '>= 2.3.0, < 2.6.0', '>=6'],
    ['2.9.4', '9.5', undefined, undefined, '>= 2.4.0, < 2.7.0', '>=8.12 <12'],
    ['3.5.13', '9.5', '4', 90_500, '>= 2.5.0, < 3.1.0', '>=12'],
    ['4.2.3', '10', '4', 90_500, '>= 3.0.0', '>=16'],
    ['4.2.4', '10', '4', 100_000, '>= 3.0.0', '>=16'],
    ['4.3.8', '12', '4', 120_000, '>= 3.1.0', '>=18'],
    ['4.4.0', '13', '6.2', 130_000, '>= 3.2.0, < 3.5.0', '>=20'],
    ['4.5.3', '14', '7.0', 140_000, '>= 3.2.0, < 3.5.0', '>=20'],
    ['4.7.2', '14', '7.0', 140_000, '>= 3.3.0, < 4.1.0', '>=22'],
  ])(
    '%s: PostgreSQL %s, Redis %s, migrations check %s, Ruby %s, Node.js %s',
    (version, postgres, redis, checked, ruby, node) => {
      const needs = requirements(of(version))
      expect(needs?.server.postgres?.text).toBe(postgres)
      expect(needs?.server.redis).toBe(redis)
      expect(needs?.migrationChecks?.number).toBe(checked)
      expect(needs?.runtime.ruby).toBe(ruby)
      expect(needs?.runtime.node).toBe(node)
    },
  )

  test('nothing is known before 1.3.0', () => {
    expect(requirements(of('1.2.2'))).toBeUndefined()
  })
})

describe('a new series', () => {
  const series = [...new Set(RELEASES.map(row => MastodonVersion.of(row.first).series))]
  const newest = MastodonVersion.of(RELEASES.at(-1)?.first ?? '')

  test('stands in every table that has a row for each', () => {
    const missing = series.filter(name => !RUNTIMES.some(row => MastodonVersion.of(row.since).series === name))
    expect(missing).toEqual([])
  })

  test.each([
    ['NEEDS', NEEDS],
    ['POSTGRES_CHECKED', POSTGRES_CHECKED],
    ['PHASED_FROM', PHASED_FROM],
  ] as const)('%s says something of the newest release', (_name, rows) => {
    expect(rows.filter(row => inRange(newest, row))).not.toEqual([])
  })

  test('has its migrations in the sandbox, which knows no pre-releases', () => {
    const releases = RELEASES.filter(row => !row.last.includes('-'))
    const differing = releases.filter(
      row =>
        migrationsUpTo(row.last)
          .map(({ id }) => id)
          .sort()
          .at(-1) !== row.schema,
    )
    expect(differing.map(row => row.last)).toEqual([])
  })
})
