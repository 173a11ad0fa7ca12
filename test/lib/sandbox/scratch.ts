import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { startSandbox, stopSandbox } from '../../../src/lib/backends/direct/sandbox/server.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { Output } from '../../../src/lib/output.js'
import { Runner } from '../../../src/lib/runner.js'

/** The releases that the sandbox and the test bed serve, with max(schema_migrations.version) of each. */
export const served: readonly (readonly [release: string, schema: string])[] = [
  ['1.3.0', '20170425202925'],
  ['1.5.1', '20170720000000'],
  ['2.4.5', '20180814171349'],
  ['2.5.2', '20180820232245'],
  ['2.6.0', '20181026034033'],
  ['2.8.0', '20190409054914'],
  ['2.9.4', '20190529143559'],
  ['3.0.0', '20191001213028'],
  ['3.3.0', '20201218054746'],
  ['3.5.13', '20220429101850'],
  ['4.0.0', '20221104133904'],
  ['4.2.9', '20230907150100'],
  ['4.3.8', '20241007071624'],
  ['4.4.0', '20250627132728'],
  ['4.5.3', '20251023210145'],
  ['4.6.0', '20260611150940'],
  ['4.7.2', '20260812154114'],
]

export const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })

/** A folder that goes away with whatever runs in it. */
export async function scratchFolder(): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-sandbox-'))
  const remove = async () => {
    await stopSandbox({ dir })
    await rm(dir, { recursive: true, force: true })
  }
  return { dir, remove }
}

/** A small sandbox whose server also takes databases of other releases. */
export async function scratchServer() {
  const folder = await scratchFolder()
  const sandbox = await startSandbox({ dir: folder.dir, runner, size: { statuses: 20, remoteAccounts: 8 } })
  let made = 0
  const emptyDatabase = async () => {
    made += 1
    await withClient(sandbox.databaseUrl, client => client.query(`CREATE DATABASE scratch_${made}`))
    const url = new URL(sandbox.databaseUrl)
    url.pathname = `/scratch_${made}`
    return url.href
  }
  return { sandbox, emptyDatabase, remove: folder.remove }
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Runs the SQL, each piece in a transaction of its own, and says which one failed. */
export async function apply(client: pg.Client, pieces: readonly { title: string; sql: string }[]): Promise<void> {
  for (const { title, sql } of pieces) {
    await client.query(`BEGIN;\n${sql}\n;COMMIT`).catch(error => {
      throw new Error(`${title}: ${error.message}`)
    })
  }
}

export function migrate(client: pg.Client, migrations: ReturnType<typeof migrationsUpTo>): Promise<void> {
  const pieces = migrations.map(({ id, name, sql }) => ({
    title: `${id} ${name}`,
    sql: `${sql};\nINSERT INTO schema_migrations (version) VALUES ('${id}')`,
  }))
  return apply(client, pieces)
}

export async function schemaVersion(client: pg.Client): Promise<string> {
  const { rows } = await client.query('SELECT max(version) AS version FROM schema_migrations')
  return rows[0].version
}

/** The names of the table's columns. */
export async function columnsOf(client: pg.Client, table: string): Promise<string[]> {
  const sql = 'SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1'
  return (await client.query(sql, [table])).rows.map(row => row.name)
}

export async function tablesOf(client: pg.Client): Promise<string[]> {
  return (
    await client.query("SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace")
  ).rows.map(row => row.name)
}
