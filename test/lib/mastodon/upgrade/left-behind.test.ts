import { afterAll, beforeAll, expect, test } from 'vitest'
import { accountsLeftBehind } from '../../../../src/lib/mastodon/upgrade/left-behind.js'
import { MastodonVersion } from '../../../../src/lib/mastodon/version.js'
import type { Database } from '../../../../src/lib/postgres/access.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'

let server: TestPostgres
let database: Database

beforeAll(async () => {
  server = await startPostgres()
  database = await server.open()
  await database.write(`CREATE TABLE accounts (id int, domain text, private_key text);
    CREATE TABLE keypairs (account_id int);
    INSERT INTO accounts VALUES (1, NULL, 'key'), (2, NULL, NULL), (3, NULL, ''), (4, 'far.example', NULL), (5, NULL, NULL);
    INSERT INTO keypairs VALUES (1), (2), (2), (3), (4)`)
})
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

test.each([
  ['4.6.3', '4.7.2', 2],
  ['4.7.0', '4.7.2', 0],
  ['4.5.3', '4.6.3', 0],
])('of %s and %s: local accounts with keys in keypairs alone', async (older, newer, count) => {
  const versions = { older: MastodonVersion.of(older), newer: MastodonVersion.of(newer) }
  expect(await accountsLeftBehind(database, versions)).toBe(count)
})
