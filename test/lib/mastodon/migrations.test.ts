import { expect, test } from 'vitest'
import { migrationProgress, migrationRows, migrationsIn } from '../../../src/lib/mastodon/migrations.js'

test('both folders are read, each in its phase, and ordered by id', () => {
  const listing = [
    'db/migrate:',
    '20160220174730_create_accounts.rb',
    '20180820232245_add_foreign_key.rb',
    '',
    'db/post_migrate:',
    '20180813113448_copy_status_stats_cleanup.rb',
    '',
  ].join('\n')
  expect(migrationsIn(listing)).toEqual([
    { id: '20160220174730', phase: 'pre' },
    { id: '20180813113448', phase: 'post' },
    { id: '20180820232245', phase: 'pre' },
  ])
})

test('releases before 2.5.0 have one folder', () => {
  expect(migrationsIn('db/migrate:\n20160220174730_create_accounts.rb\n')).toEqual([
    { id: '20160220174730', phase: 'pre' },
  ])
})

test('what is no migration is left out', () => {
  const listing = 'db/migrate:\n.keep\nREADME.md\n2016_x.rb\n20160220174730_x.rb.orig\n20160220174730\n'
  expect(migrationsIn(listing)).toEqual([])
  expect(migrationsIn('20160220174730_create_accounts.rb\n')).toEqual([])
})

test('progress is read from what Rails prints', () => {
  expect(migrationProgress('== 20180813113448 CopyStatusStatsCleanup: migrating ===========')).toEqual({
    ...{ id: '20180813113448', name: 'CopyStatusStatsCleanup' },
  })
  expect(migrationProgress('== 20180813113448 CopyStatusStatsCleanup: migrated (1.2345s) ====')).toEqual({
    ...{ id: '20180813113448', name: 'CopyStatusStatsCleanup', seconds: 1.2345 },
  })
  expect(migrationProgress('-- execute(SQL)')).toBeUndefined()
  expect(migrationProgress('   -> 0.0010s')).toBeUndefined()
})

test('rows and what is left are read where a migration counts them', () => {
  expect(migrationRows('   -> Migrated 123456 rows (~12.50%, 3:07 remaining, safe to interrupt)')).toEqual({
    ...{ rows: 123_456, percent: 12.5, left: '3:07' },
  })
  expect(migrationRows('   -> Migrated 7 rows')).toEqual({ rows: 7 })
  expect(migrationRows('   -> 7 rows')).toBeUndefined()
  expect(migrationRows('-- Migrating statuses.local (~7 rows)')).toBeUndefined()
})
