import { expect, test } from 'vitest'
import { tellProgress } from '../../../../src/lib/runbooks/db/migrate.js'

test('which migration is under way, how far it is, and how long it took', () => {
  const told: string[] = []
  const line = tellProgress({ progress: text => told.push(text) }, 2)
  line('== 20180528141303 FixAccountsUniqueIndex: migrating ===')
  line('== 20180528141303 FixAccountsUniqueIndex: migrated (0.0400s) ===')
  line('== 20180831171112 CreateBookmarks: migrating ===')
  line('-- Migrating statuses.local (~800 rows)')
  line('   -> Migrated 100 rows (~12.50%, 3:07 remaining, safe to interrupt)')
  line('   -> Migrated 800 rows')
  expect(told).toEqual([
    '1 of 2: FixAccountsUniqueIndex',
    'FixAccountsUniqueIndex took 0.0 s',
    '2 of 2: CreateBookmarks',
    '2 of 2: CreateBookmarks: 100 rows, about 12.5 %, 3:07 left',
    '2 of 2: CreateBookmarks: 800 rows',
  ])
})
