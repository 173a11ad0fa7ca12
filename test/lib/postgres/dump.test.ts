import { expect, test } from 'vitest'
import { decodedTables, toStdout } from '../../../src/lib/postgres/dump.js'

test.each([
  ['3\tpublic.accounts (id, username)', 'public', 'accounts'],
  ['3\t"my own"."a ""b"" (c)" (id)', 'my own', 'a "b" (c)'],
  // By programs of before March 2018.
  ['3\taccounts (id, username)', 'public', 'accounts'],
  ['3\t"a.b" (id)', 'public', 'a.b'],
])('%j is a table with its schema', (line, schema, table) => {
  expect(decodedTables(`${line}\nwhole\n`)).toEqual([{ schema, table, rows: 3 }])
})

test('what does not end whole tells nothing', () => {
  expect(decodedTables('3\tpublic.accounts (id)\ncut\n')).toBeUndefined()
})

test('a pg_restore of before 12 is not told to write to a file called -', () => {
  expect([90_624, 110_000, 120_000, 150_018].map(version => toStdout({ version }))).toEqual([
    [],
    [],
    ['-f', '-'],
    ['-f', '-'],
  ])
})
