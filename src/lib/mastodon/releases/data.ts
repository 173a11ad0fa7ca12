import type { VersionRange } from '../version.js'

/** A run of releases that share one database schema. */
export interface ReleaseRow {
  /** The first release. */
  first: string
  /** The last release that was looked at. Later ones of the same series are expected to be equal. */
  last: string
  /** The day of `first`, and of `last`, as YYYY-MM-DD. */
  firstDate: string
  lastDate: string
  /** The highest version in schema_migrations of a fully migrated database. */
  schema: string
  /** Number of files in db/migrate; absent where they were not counted. */
  migrations?: number
  /** Number of files in db/post_migrate. */
  postMigrations?: number
  /** The newest post-deployment migration. Often lower than `schema`. */
  newestPost?: string
  /** The schema is concluded from the branch's base, not read. */
  inferred?: boolean
}

/** Source: db/schema.rb, db/migrate and db/post_migrate of each release. There is no 1.4.0. */
export const RELEASES: readonly ReleaseRow[] = [
  {
    first: '1.3.0',
    last: '1.3.3',
    firstDate: '2017-04-27',
    lastDate: '2017-05-06',
    schema: '20170425202925',
    migrations: 81,
    postMigrations: 0,
  },
  {
    first: '1.4.1',
    last: '1.4.1',
    firstDate: '2017-05-28',
    lastDate: '2017-05-28',
    schema: '20170520145338',
    migrations: 89,
    postMigrations: 0,
  },
  {
    first: '1.4.2',
    last: '1.4.6',
    firstDate: '2017-06-14',
    lastDate: '2017-06-23',
    schema: '20170609145826',
    migrations: 93,
    postMigrations: 0,
  },
  {
    first: '1.4.7',
    last: '1.4.7',
    firstDate: '2017-07-01',
    lastDate: '2017-07-01',
    schema: '20170625140443',
    migrations: 97,
    postMigrations: 0,
  },
  {
    first: '1.5.0',
    last: '1.5.1',
    firstDate: '2017-08-01',
    lastDate: '2017-08-06',
    schema: '20170720000000',
    migrations: 104,
    postMigrations: 0,
  },
  {
    first: '1.6.0',
    last: '1.6.0',
    firstDate: '2017-09-10',
    lastDate: '2017-09-10',
    schema: '20170905165803',
    migrations: 112,
    postMigrations: 0,
  },
  {
    first: '1.6.1',
    last: '1.6.1',
    firstDate: '2017-09-17',
    lastDate: '2017-09-17',
    schema: '20170913000752',
    migrations: 113,
    postMigrations: 0,
  },
  {
    first: '2.0.0',
    last: '2.0.0',
    firstDate: '2017-10-18',
    lastDate: '2017-10-18',
    schema: '20171010025614',
    migrations: 125,
    postMigrations: 0,
  },
  {
    first: '2.1.0',
    last: '2.1.0',
    firstDate: '2017-12-15',
    lastDate: '2017-12-15',
    schema: '20171212195226',
    migrations: 145,
    postMigrations: 0,
  },
  {
    first: '2.1.1',
    last: '2.1.2',
    firstDate: '2018-01-04',
    lastDate: '2018-01-05',
    schema: '20171226094803',
    migrations: 146,
    postMigrations: 0,
  },
  {
    first: '2.1.3',
    last: '2.2.0',
    firstDate: '2018-01-09',
    lastDate: '2018-01-29',
    schema: '20180106000232',
    migrations: 147,
    postMigrations: 0,
  },
  {
    first: '2.3.0',
    last: '2.3.3',
    firstDate: '2018-03-09',
    lastDate: '2018-03-27',
    schema: '20180304013859',
    migrations: 152,
    postMigrations: 0,
  },
  {
    first: '2.4.0',
    last: '2.4.0',
    firstDate: '2018-05-22',
    lastDate: '2018-05-22',
    schema: '20180514140000',
    migrations: 162,
    postMigrations: 0,
  },
  {
    first: '2.4.1',
    last: '2.4.1',
    firstDate: '2018-06-10',
    lastDate: '2018-06-10',
    schema: '20180609104432',
    migrations: 165,
    postMigrations: 0,
  },
  {
    first: '2.4.2',
    last: '2.4.2',
    firstDate: '2018-06-19',
    lastDate: '2018-06-19',
    schema: '20180617162849',
    migrations: 168,
    postMigrations: 0,
  },
  {
    first: '2.4.3',
    last: '2.4.3',
    firstDate: '2018-07-11',
    lastDate: '2018-07-11',
    schema: '20180707154237',
    migrations: 170,
    postMigrations: 0,
  },
  {
    first: '2.4.4',
    last: '2.4.5',
    firstDate: '2018-08-22',
    lastDate: '2018-08-24',
    schema: '20180814171349',
    migrations: 171,
    postMigrations: 0,
  },
  {
    first: '2.5.0',
    last: '2.5.2',
    firstDate: '2018-09-03',
    lastDate: '2018-10-12',
    schema: '20180820232245',
    migrations: 177,
    postMigrations: 1,
    newestPost: '20180813113448',
  },
  {
    first: '2.6.0',
    last: '2.6.5',
    firstDate: '2018-10-30',
    lastDate: '2018-12-02',
    schema: '20181026034033',
    migrations: 184,
    postMigrations: 1,
    newestPost: '20180813113448',
  },
  {
    first: '2.7.0',
    last: '2.7.4',
    firstDate: '2019-01-20',
    lastDate: '2019-03-05',
    schema: '20190117114553',
    migrations: 199,
    postMigrations: 2,
    newestPost: '20181116184611',
  },
  {
    first: '2.8.0',
    last: '2.8.0',
    firstDate: '2019-04-10',
    lastDate: '2019-04-10',
    schema: '20190409054914',
    migrations: 211,
    postMigrations: 2,
    newestPost: '20181116184611',
  },
  {
    first: '2.8.1',
    last: '2.8.2',
    firstDate: '2019-05-04',
    lastDate: '2019-05-05',
    schema: '20190420025523',
    migrations: 212,
    postMigrations: 2,
    newestPost: '20181116184611',
  },
  {
    first: '2.8.3',
    last: '2.8.4',
    firstDate: '2019-05-19',
    lastDate: '2019-05-24',
    schema: '20190519130537',
    migrations: 212,
    postMigrations: 3,
    newestPost: '20190519130537',
  },
  {
    first: '2.9.0',
    last: '2.9.4',
    firstDate: '2019-06-13',
    lastDate: '2020-02-27',
    schema: '20190529143559',
    migrations: 215,
    postMigrations: 4,
    newestPost: '20190519130537',
  },
  {
    first: '3.0.0',
    last: '3.0.0',
    firstDate: '2019-10-03',
    lastDate: '2019-10-03',
    schema: '20191001213028',
    migrations: 236,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.0.1',
    last: '3.0.2',
    firstDate: '2019-10-10',
    lastDate: '2020-02-27',
    schema: '20191007013357',
    migrations: 237,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.1.0',
    last: '3.1.2',
    firstDate: '2020-02-09',
    lastDate: '2020-02-27',
    schema: '20200126203551',
    migrations: 245,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.1.3',
    last: '3.1.3',
    firstDate: '2020-04-05',
    lastDate: '2020-04-05',
    schema: '20200312185443',
    migrations: 249,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.1.4',
    last: '3.1.5',
    firstDate: '2020-05-14',
    lastDate: '2020-07-07',
    schema: '20200510110808',
    migrations: 255,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.2.0',
    last: '3.2.2',
    firstDate: '2020-07-27',
    lastDate: '2020-12-19',
    schema: '20200628133322',
    migrations: 267,
    postMigrations: 8,
    newestPost: '20190927124642',
  },
  {
    first: '3.3.0',
    last: '3.3.0',
    firstDate: '2020-12-27',
    lastDate: '2020-12-27',
    schema: '20201218054746',
    migrations: 282,
    postMigrations: 11,
    newestPost: '20201017234926',
  },
  {
    first: '3.4.0',
    last: '3.4.0',
    firstDate: '2021-05-16',
    lastDate: '2021-05-16',
    schema: '20210507001928',
    migrations: 291,
    postMigrations: 14,
    newestPost: '20210507001928',
  },
  {
    first: '3.4.1',
    last: '3.4.1',
    firstDate: '2021-06-03',
    lastDate: '2021-06-03',
    schema: '20210526193025',
    migrations: 291,
    postMigrations: 15,
    newestPost: '20210526193025',
  },
  {
    first: '3.4.2',
    last: '3.4.5',
    firstDate: '2021-11-06',
    lastDate: '2022-01-31',
    schema: '20210630000137',
    migrations: 292,
    postMigrations: 15,
    newestPost: '20210526193025',
  },
  {
    first: '3.5.0',
    last: '3.5.1',
    firstDate: '2022-03-30',
    lastDate: '2022-04-08',
    schema: '20220316233212',
    migrations: 320,
    postMigrations: 41,
    newestPost: '20220310060959',
  },
  {
    first: '3.5.2',
    last: '3.5.13',
    firstDate: '2022-05-04',
    lastDate: '2023-09-05',
    schema: '20220429101850',
    migrations: 324,
    postMigrations: 43,
    newestPost: '20220429101850',
  },
  {
    first: '4.0.0',
    last: '4.0.9',
    firstDate: '2022-11-14',
    lastDate: '2023-09-05',
    schema: '20221104133904',
    migrations: 343,
    postMigrations: 51,
    newestPost: '20221101190723',
  },
  {
    first: '4.1.0',
    last: '4.1.17',
    firstDate: '2023-02-10',
    lastDate: '2024-05-30',
    schema: '20221206114142',
    migrations: 343,
    postMigrations: 52,
    newestPost: '20221206114142',
  },
  {
    first: '4.2.0',
    last: '4.2.9',
    firstDate: '2023-09-21',
    lastDate: '2024-05-30',
    schema: '20230907150100',
    migrations: 365,
    postMigrations: 57,
    newestPost: '20230904134623',
  },
  {
    first: '4.3.0',
    last: '4.3.23',
    firstDate: '2024-10-07',
    lastDate: '2026-05-20',
    schema: '20241007071624',
    migrations: 405,
    postMigrations: 67,
    newestPost: '20240916190140',
  },
  {
    first: '4.4.0',
    last: '4.4.22',
    firstDate: '2025-07-08',
    lastDate: '2026-08-06',
    schema: '20250627132728',
    migrations: 467,
    postMigrations: 72,
    newestPost: '20250520192024',
  },
  {
    first: '4.5.0',
    last: '4.5.15',
    firstDate: '2025-11-06',
    lastDate: '2026-08-06',
    schema: '20251023210145',
    migrations: 482,
    postMigrations: 72,
    newestPost: '20250520192024',
  },
  {
    first: '4.6.0',
    last: '4.6.5',
    firstDate: '2026-06-17',
    lastDate: '2026-08-06',
    schema: '20260611150940',
    migrations: 516,
    postMigrations: 72,
    newestPost: '20250520192024',
  },
  {
    first: '4.7.0-beta.1',
    last: '4.7.0-beta.1',
    firstDate: '2026-08-10',
    lastDate: '2026-08-10',
    schema: '20260805130216',
    migrations: 534,
    postMigrations: 80,
    newestPost: '20260804081821',
  },
  {
    first: '4.7.0',
    last: '4.7.4',
    firstDate: '2026-08-20',
    lastDate: '2026-10-29',
    schema: '20260812154114',
    inferred: true,
  },
]

/** Schema versions of pre-releases and of the main branch, beside those in RELEASES. */
export const PRE_RELEASE_SCHEMAS: Readonly<Record<string, readonly string[]>> = {
  '20230907150100': ['4.3.0-alpha.0'],
  '20240111033014': ['4.3.0-alpha.2', '4.3.0-alpha.3'],
  '20240916190140': ['4.3.0-rc.1', '4.4.0-alpha.1'],
  '20250108111200': ['4.4.0-alpha.2'],
  '20250627132728': ['4.5.0-alpha.1'],
  '20251023210145': ['4.6.0-alpha.1'],
  '20260505155103': ['4.6.0-beta.1'],
  '20260611150940': ['4.7.0-alpha.1'],
  '20260812154114': ['4.8.0-alpha.1'],
}

export interface PostMigrationCount {
  release: string
  count: number
}

/** The releases that add post-deployment migrations. No other patch release does. */
export const POST_MIGRATIONS: readonly PostMigrationCount[] = [
  { release: '2.5.0', count: 1 },
  { release: '2.7.0', count: 1 },
  { release: '2.8.3', count: 1 },
  { release: '2.9.0', count: 1 },
  { release: '3.0.0', count: 4 },
  { release: '3.3.0', count: 3 },
  { release: '3.4.0', count: 3 },
  { release: '3.4.1', count: 1 },
  { release: '3.5.0', count: 26 },
  { release: '3.5.2', count: 2 },
  { release: '4.0.0', count: 8 },
  { release: '4.1.0', count: 1 },
  { release: '4.2.0', count: 5 },
  { release: '4.3.0', count: 10 },
  { release: '4.4.0', count: 5 },
  { release: '4.7.0', count: 8 },
]

export interface Runtime {
  since: string
  ruby: string
  recommendedRuby: string
  /** Absent where package.json names none. */
  node?: string
  rails: string
}

/** Source: Gemfile, .ruby-version, package.json and Gemfile.lock of the first release of each series. */
export const RUNTIMES: readonly Runtime[] = [
  { since: '1.3.0', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.1', rails: '5.0.2' },
  { since: '1.4.1', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.1', rails: '5.0.3' },
  { since: '1.5.0', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.1', rails: '5.1.2' },
  { since: '1.6.0', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.1', rails: '5.1.3' },
  { since: '2.0.0', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.2', rails: '5.1.4' },
  { since: '2.1.0', ruby: '>= 2.3.0, < 2.5.0', recommendedRuby: '2.4.2', rails: '5.1.4' },
  { since: '2.2.0', ruby: '>= 2.3.0, < 2.6.0', recommendedRuby: '2.5.0', node: '>=6', rails: '5.1.4' },
  { since: '2.3.0', ruby: '>= 2.3.0, < 2.6.0', recommendedRuby: '2.5.0', node: '>=6', rails: '5.1.4' },
  { since: '2.4.0', ruby: '>= 2.3.0, < 2.6.0', recommendedRuby: '2.5.1', node: '>=6', rails: '5.2.0' },
  { since: '2.5.0', ruby: '>= 2.3.0, < 2.6.0', recommendedRuby: '2.5.1', node: '>=8', rails: '5.2.1' },
  { since: '2.6.0', ruby: '>= 2.3.0, < 2.6.0', recommendedRuby: '2.5.3', node: '>=8 <11', rails: '5.2.1' },
  { since: '2.7.0', ruby: '>= 2.4.0, < 2.7.0', recommendedRuby: '2.6.0', node: '>=8 <11', rails: '5.2.2' },
  { since: '2.8.0', ruby: '>= 2.4.0, < 2.7.0', recommendedRuby: '2.6.1', node: '>=8 <11', rails: '5.2.3' },
  { since: '2.9.0', ruby: '>= 2.4.0, < 2.7.0', recommendedRuby: '2.6.1', node: '>=8.12 <12', rails: '5.2.3' },
  { since: '3.0.0', ruby: '>= 2.4.0, < 2.7.0', recommendedRuby: '2.6.5', node: '>=8.12 <13', rails: '5.2.3' },
  { since: '3.1.0', ruby: '>= 2.4.0, < 3.0.0', recommendedRuby: '2.6.5', node: '>=10.13 <13', rails: '5.2.4.1' },
  { since: '3.2.0', ruby: '>= 2.5.0, < 3.0.0', recommendedRuby: '2.6.6', node: '>=10.13', rails: '5.2.4.3' },
  { since: '3.3.0', ruby: '>= 2.5.0, < 3.0.0', recommendedRuby: '2.7.2', node: '>=10.13', rails: '5.2.4.4' },
  { since: '3.4.0', ruby: '>= 2.5.0, < 3.1.0', recommendedRuby: '2.7.2', node: '>=12', rails: '6.1.3.2' },
  { since: '3.5.0', ruby: '>= 2.5.0, < 3.1.0', recommendedRuby: '3.0.3', node: '>=12', rails: '6.1.5' },
  { since: '4.0.0', ruby: '>= 2.6.0, < 3.1.0', recommendedRuby: '3.0.4', node: '>=14', rails: '6.1.7' },
  { since: '4.1.0', ruby: '>= 2.7.0, < 3.1.0', recommendedRuby: '3.0.4', node: '>=14', rails: '6.1.7.2' },
  { since: '4.2.0', ruby: '>= 3.0.0', recommendedRuby: '3.2.2', node: '>=16', rails: '7.0.8' },
  { since: '4.3.0', ruby: '>= 3.1.0', recommendedRuby: '3.3.5', node: '>=18', rails: '7.1.4' },
  { since: '4.4.0', ruby: '>= 3.2.0, < 3.5.0', recommendedRuby: '3.4.4', node: '>=20', rails: '8.0.2' },
  { since: '4.5.0', ruby: '>= 3.2.0, < 3.5.0', recommendedRuby: '3.4.7', node: '>=20', rails: '8.0.3' },
  { since: '4.6.0', ruby: '>= 3.3.0, < 4.1.0', recommendedRuby: '4.0.5', node: '>=22', rails: '8.1.3' },
  { since: '4.7.0-beta.1', ruby: '>= 3.3.0, < 4.1.0', recommendedRuby: '4.0.6', node: '>=22', rails: '8.1.3.1' },
]

/** A minimum: as people write it, and as `server_version_num` of PostgreSQL compares. */
export interface PostgresMinimum {
  text: string
  number: number
}

export interface ServerNeeds extends VersionRange {
  /** As documented. Absent where the README is silent. */
  postgres?: PostgresMinimum
  redis?: string
  /** Optional for every release. */
  elasticsearch?: string
  notes: readonly string[]
  source: string
}

const postgres = (text: string, number: number): PostgresMinimum => ({ text, number })

/** Source: README.md of each series, and release notes where the notes say so. */
export const NEEDS: readonly ServerNeeds[] = [
  { since: '1.3.0', before: '2.3.0', notes: [], source: 'README.md is silent' },
  { since: '2.3.0', before: '2.6.0', elasticsearch: '6.x', notes: [], source: 'docker-compose.yml @v2.3.0' },
  {
    since: '2.6.0',
    before: '3.1.3',
    postgres: postgres('9.5', 90_500),
    elasticsearch: '6.x',
    notes: [],
    source: 'README.md @v2.6.0',
  },
  {
    since: '3.1.3',
    before: '4.2.0',
    postgres: postgres('9.5', 90_500),
    redis: '4',
    elasticsearch: '7.x',
    notes: ['ImageMagick 6.9.7-7 or newer from 3.5.9, 4.0.5 and 4.1.3 on'],
    source: 'README.md @v3.1.3',
  },
  {
    since: '4.2.0',
    before: '4.3.0',
    postgres: postgres('10', 100_000),
    redis: '4',
    elasticsearch: '7.x',
    notes: ['ImageMagick 6.9.7-7 or newer'],
    source: 'release notes of 4.2.0',
  },
  {
    since: '4.3.0',
    before: '4.4.0',
    postgres: postgres('12', 120_000),
    redis: '4',
    elasticsearch: '7.x',
    notes: ['PostgreSQL 14.0 to 14.3 are not supported', 'libvips 8.13 where MASTODON_USE_LIBVIPS=true'],
    source: 'README.md @v4.3.0',
  },
  {
    since: '4.4.0',
    before: '4.5.0',
    postgres: postgres('13', 130_000),
    redis: '6.2',
    elasticsearch: '7.x',
    notes: ['REDIS_NAMESPACE must not be set'],
    source: 'README.md @v4.4.0',
  },
  {
    since: '4.5.0',
    before: '4.6.0',
    postgres: postgres('14', 140_000),
    redis: '7.0',
    elasticsearch: '7.x',
    notes: ['Node.js 20.19 or newer'],
    source: 'README.md @v4.5.0',
  },
  {
    since: '4.6.0',
    postgres: postgres('14', 140_000),
    redis: '7.0',
    elasticsearch: '7.x or 8.x',
    notes: ['libvips in place of ImageMagick', 'FFmpeg 5.1 or newer'],
    source: 'README.md, CHANGELOG.md @v4.6.0',
  },
]

/** What `db:migrate` itself refuses: `db:pre_migration_check` in lib/tasks/db.rake. */
export const POSTGRES_CHECKED: readonly (VersionRange & { postgres: PostgresMinimum })[] = [
  { since: '3.4.0', before: '4.2.4', postgres: postgres('9.5', 90_500) },
  { since: '4.2.4', before: '4.3.0', postgres: postgres('10', 100_000) },
  { since: '4.3.0', before: '4.4.0', postgres: postgres('12', 120_000) },
  { since: '4.4.0', before: '4.5.0', postgres: postgres('13', 130_000) },
  { since: '4.5.0', postgres: postgres('14', 140_000) },
]

/** The oldest database on which post-deployment migrations may be left for later. */
export const PHASED_FROM: readonly (VersionRange & { release: string; schema: string })[] = [
  { since: '4.4.0', before: '4.7.0', release: '4.2.0', schema: '20230907150100' },
  { since: '4.7.0', release: '4.3.0', schema: '20241007071624' },
]

/** The newest release of each supported series, and the day on which its support ends, where it is known. */
export const NEWEST: readonly { series: string; release: string; supportEnds?: string }[] = [
  { series: '4.4', release: '4.4.27', supportEnds: '2026-12-17' },
  { series: '4.5', release: '4.5.20', supportEnds: '2027-02-20' },
  { series: '4.7', release: '4.7.4' },
]
