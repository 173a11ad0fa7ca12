import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AppCommand } from '../../../../src/lib/backends/backend.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { type Database, openDatabase } from '../../../../src/lib/postgres/access.js'
import { dropLeftoversRunbook } from '../../../../src/lib/runbooks/db/drop-leftovers.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

/** As migrations of many years are written; the first one alone counts as done. */
const FILES: Readonly<Record<string, string>> = {
  'db/migrate/20160220174730_create_accounts.rb':
    'create_table :accounts do |t|\n  t.string :username\nend\nadd_index :accounts, [:username], unique: true',
  'db/migrate/20170330163835_create_conversations.rb': 'create_table :conversations, options do |t|\n  t.string :uri',
  'db/migrate/20170330164118_add_uri_index.rb': 'add_index "accounts", ["uri"]',
  'db/migrate/20170330164119_forget_lists.rb':
    'def up\n  # create_table :lists\n  drop_table :lists\nend\n\ndef down\n  create_table :lists do |t|\n  end\nend',
  'db/post_migrate/20170424003227_create_mutes.rb': 'create_table("conversation_mutes", force: :cascade) do',
}

let server: TestPostgres
let database: Database
const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-migrations-'))

beforeAll(async () => {
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  server = await startPostgres()
  await server.createDatabase('mastodon')
  database = await openDatabase(server.connector({ database: 'mastodon' }), { ledger: new Ledger(), dryRun: false })
  await database.write(`CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
    INSERT INTO schema_migrations VALUES ('20160220174730');
    CREATE TABLE accounts (id bigint PRIMARY KEY, username text, uri text);
    CREATE UNIQUE INDEX index_accounts_on_username ON accounts (username);
    CREATE INDEX index_accounts_on_uri ON accounts (uri);
    CREATE TABLE lists (id bigint);
    CREATE TABLE conversations (id bigint PRIMARY KEY, uri text);
    CREATE TABLE conversation_mutes (id bigint PRIMARY KEY, conversation_id bigint REFERENCES conversations);
    CREATE TABLE mine (id bigint)`)
})
afterAll(async () => {
  await database?.close()
  await server?.stop()
  rmSync(folder, { recursive: true })
})

/** The app's files, read by the real programs. */
function run({ argv: [file = '', ...args] }: AppCommand) {
  return new Promise<{ stdout: string; stderr: string; exitCode: number; planned: boolean }>(resolve => {
    execFile(file, args, { cwd: folder }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, exitCode: Number(error?.code ?? 0), planned: false })
    })
  })
}

const toolbox = () => toolboxOf({ database, oneOff: { run } })
const refusal = (...names: string[]) =>
  dropLeftoversRunbook.check?.(toolbox(), { names }).then(
    () => undefined,
    error => error.code,
  )

test.each([
  ['accounts', 'leftover-in-use'],
  ['mine', 'leftover-in-use'],
  ['index_accounts_on_username', 'leftover-in-use'],
  ['lists', 'leftover-in-use'],
  ['accounts_pkey', 'leftover-is-constraint'],
  ['nowhere', 'no-such-leftover'],
])('%s is refused: %s', async (name, code) => {
  expect(await refusal(name)).toBe(code)
})

test('a table that holds rows is refused, also where a row came in since', async () => {
  await database.write('INSERT INTO conversations VALUES (1)')
  expect(await refusal('conversations')).toBe('leftover-holds-rows')
  const names = ['conversations', 'conversation_mutes', 'index_accounts_on_uri']
  const [, drop] = await dropLeftoversRunbook.steps(toolbox(), { names })
  await expect(drop?.run(stepContext(toolbox()))).rejects.toMatchObject({ code: 'leftover-holds-rows' })
  const rows = await database.query('SELECT FROM pg_class WHERE relname = ANY($1)', [names])
  expect(rows.length, 'all or none').toBe(3)
  await database.write('DELETE FROM conversations')
})

test('tables that refer to each other and an index go, and the definition of the index is told', async () => {
  const names = ['conversations', 'conversation_mutes', 'index_accounts_on_uri']
  const [, drop] = await dropLeftoversRunbook.steps(toolbox(), { names })
  const context = stepContext(toolbox())
  expect(await drop?.done?.(context)).toBe(false)
  await drop?.run(context)
  expect(await drop?.done?.(context)).toBe(true)
  const { definitions } = await dropLeftoversRunbook.result(toolbox(), { names }, key => context.noted(key))
  expect(definitions).toEqual(['CREATE INDEX index_accounts_on_uri ON public.accounts USING btree (uri)'])
  expect(await database.query("SELECT FROM pg_class WHERE relname = 'accounts'")).toHaveLength(1)
})
