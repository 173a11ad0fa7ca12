import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRows, rowsIn, writeRows } from '../../../src/lib/backups/row-files.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { copyTables } from '../../../src/lib/postgres/copy-rows.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

const SCHEMA = `CREATE TABLE statuses (id bigint);
  CREATE TABLE invites (id bigint PRIMARY KEY, user_id bigint);
  CREATE TABLE users (id bigint PRIMARY KEY, name text, invite_id bigint REFERENCES invites ON DELETE SET NULL,
    parent_id bigint REFERENCES users ON DELETE SET NULL, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
  ALTER TABLE invites ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE SET NULL`
const ROWS = `INSERT INTO users SELECT i, CASE i WHEN 1 THEN NULL WHEN 2 THEN E'a\\n"b"\\\\n\\r' WHEN 3 THEN U&'\\2028 \\0085'
    ELSE repeat('x', 200) END, NULL, 12001 - i FROM generate_series(1, 12000) i;
  INSERT INTO invites VALUES (7, 11999), (8, NULL); UPDATE users SET invite_id = 7 WHERE id % 3 = 0`
const COPIES = [{ table: 'invites' }, { table: 'users', where: 'id < 12000' }, { table: 'absent' }]
const NOTE = { name: 'note', write: (path: string) => writeFile(path, 'beside') }

let server: TestPostgres
let dir: string
let from: Database
let to: Database

beforeAll(async () => {
  server = await startPostgres()
  dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-rows-'))
  from = await server.open(await server.createDatabase('old'))
  await from.write(SCHEMA)
  await from.write(ROWS)
  to = await server.open(await server.createDatabase('fresh'))
  await to.write(SCHEMA)
})

afterAll(async () => {
  for (const database of [from, to]) await database?.close()
  await server?.stop()
  if (dir) await rm(dir, { recursive: true, force: true })
})

const written = (name: string) =>
  writeRows(from, join(dir, name), { tables: ['invites', 'users', 'statuses'], copies: COPIES, beside: NOTE })

test('rows come back out of files as they were, with what points to later ones', async () => {
  const path = join(dir, 'kept')
  await written('kept')
  const index = await openRows(path, await written('kept'))
  expect(index.files.map(({ copy, rows }) => [copy.table, rows])).toEqual([
    ['invites', 2],
    ['users', 11_999],
  ])
  const copies = index.files.map(({ copy }) => copy)
  const copied = await copyTables(rowsIn(path, index), to, copies, { mustBeEmpty: 'statuses' })
  expect(copied).toMatchObject([
    { rows: 2, left: 0 },
    { rows: 11_999, left: 0 },
  ])
  const sum = (invite: string) => `SELECT md5(string_agg(u::text, ',' ORDER BY u.id)) AS users,
    (SELECT array_agg(i::text ORDER BY i.id) FROM invites i) AS invites FROM (SELECT id, name, invite_id, ${invite}
    AS parent_id, twice FROM users WHERE id < 12000) u`
  // The one that stayed behind is no parent any more.
  expect(await to.query(sum('parent_id'))).toEqual(await from.query(sum('nullif(parent_id, 12000)')))
})

test('they are for their owner alone', async () => {
  await written('mine')
  const modes = async (path: string) => (await stat(path)).mode & 0o077
  expect(await modes(join(dir, 'mine'))).toBe(0)
  for (const name of (await readdir(join(dir, 'mine'))).filter(name => name !== NOTE.name))
    expect(await modes(join(dir, 'mine', name)), name).toBe(0)
})

test('a file that is missing, or not what was written, is refused', async () => {
  const sum = await written('flipped')
  for (const name of await readdir(join(dir, 'flipped'))) {
    const path = join(dir, 'flipped', name)
    const bytes = await readFile(path)
    const flipped = Buffer.from(bytes)
    flipped[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await writeFile(path, flipped)
    await expect(openRows(join(dir, 'flipped'), sum), name).rejects.toMatchObject({ code: 'kept-rows-bad' })
    await rm(path)
    await expect(openRows(join(dir, 'flipped'), sum), name).rejects.toMatchObject({ code: 'kept-rows-bad' })
    await writeFile(path, bytes)
  }
  expect(await openRows(join(dir, 'flipped'), sum)).toMatchObject({ database: 'old' })
})
