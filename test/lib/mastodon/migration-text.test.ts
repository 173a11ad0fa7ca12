import { expect, test } from 'vitest'
import { makesIndex, makesTable, textsOf } from '../../../src/lib/mastodon/migration-text.js'

const made = (text: string) => ({ id: '20170101000000', text })

test.each([
  ['add_index :accounts, :uri', 'index_accounts_on_uri'],
  ['add_index "accounts", ["username", "domain"], unique: true', 'index_accounts_on_username_and_domain'],
  ['add_index(:statuses, [:id, :account_id], name: :index_mine)', 'index_mine'],
  ["add_index :statuses, [\n  :id,\n  :uri\n], algorithm: :concurrently,\n  name: 'index_far'", 'index_far'],
  ['add_concurrent_index :mentions, :status_id', 'index_mentions_on_status_id'],
  ['add_reference :users, :role, foreign_key: true', 'index_users_on_role_id'],
  ["rename_index :tags, 'index_a', 'index_b'", 'index_b'],
  ['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "index_c" ON a (b)', 'index_c'],
])('%s makes %s', (text, name) => {
  expect(makesIndex(made(text), name)).toBe(true)
  expect(makesIndex(made(text), `${name}x`)).toBe(false)
})

test.each([
  ['remove_index :accounts, name: :index_accounts_on_uri', 'index_accounts_on_uri'],
  ['add_index :accounts, :uri, name: :other', 'index_accounts_on_uri'],
  ["rename_index :tags, 'index_a', 'index_b'", 'index_a'],
])('%s does not make %s', (text, name) => {
  expect(makesIndex(made(text), name)).toBe(false)
})

test('what a file does on the way back does not count, nor what is a comment', () => {
  const printed = [
    'db/migrate/20170330163835_a.rb:  # create_table :no',
    'db/migrate/20170330163835_a.rb:  def down',
    'db/migrate/20170330163835_a.rb:    create_table :old',
    'db/migrate/20170330163835_a.rb:  end',
    'db/migrate/20170330163835_a.rb:  def up',
    'db/migrate/20170330163835_a.rb:    create_table :conversations, options do |t|',
    'db/post_migrate/20180330163835_b.rb:CREATE TABLE lists (',
    '',
  ].join('\n')
  const [first, second] = textsOf(printed)
  expect([first?.id, second?.id]).toEqual(['20170330163835', '20180330163835'])
  const tables = ['no', 'old', 'conversations'].map(name => first && makesTable(first, name))
  expect(tables).toEqual([false, false, true])
  expect(second && makesTable(second, 'lists')).toBe(true)
})
