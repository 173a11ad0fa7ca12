// Prints the server's time for the estimate of `rows` on a large instance, beside that of SELECT count(*).
// STATUSES=3000000 npx tsx bench/rows.ts
import { fillDatabase } from '../src/lib/backends/direct/sandbox/server/fill.js'
import type { Database } from '../src/lib/postgres/access.js'
import { rowCounts } from '../src/lib/postgres/rows.js'
import { startPostgres, type TestPostgres } from '../test/support/postgres.js'

const statuses = Number(process.env.STATUSES ?? 3_000_000)
const rounds = 7
/** Milliseconds. */
const most = 100

/** The server writes the time of each statement into its log; this adds up those of one session. */
async function serverTime(server: TestPostgres, work: () => Promise<unknown>): Promise<number> {
  let log = ''
  const listen = (chunk: Buffer) => {
    log += chunk
  }
  server.server.stderr?.on('data', listen)
  await work()
  await new Promise(resolve => setTimeout(resolve, 100))
  server.server.stderr?.off('data', listen)
  const durations = [...log.matchAll(/mstdn-ops bench .*duration: ([\d.]+) ms/g)].map(match => Number(match[1]))
  return durations.reduce((sum, duration) => sum + duration, 0)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function line(what: string, milliseconds: number, rows: number): void {
  console.log(`${what.padEnd(36)}${milliseconds.toFixed(1).padStart(10)} ms  ${rows.toLocaleString('en-US')} rows`)
}

/** Each in a session of its own, as a command has one: the first statement of a session reads the catalogs anew. */
async function inSession<T>(
  server: TestPostgres,
  work: (db: Database) => Promise<T>,
): Promise<{ ms: number; result: T }> {
  const db = await server.open('mastodon_production', { purpose: 'bench' })
  try {
    let result: T | undefined
    const ms = await serverTime(server, async () => {
      result = await work(db)
    })
    return { ms, result: result as T }
  } finally {
    await db.close()
  }
}

/** Returns the median of the estimate. */
async function measure(server: TestPostgres): Promise<number> {
  const estimates = []
  for (let round = 0; round < rounds; round++)
    estimates.push(await inSession(server, db => rowCounts(db, { exact: false })))
  const times = estimates.map(({ ms }) => ms)
  const counts = estimates[0]?.result
  const count = (db: Database) => db.query<{ n: number }>('SELECT count(*) AS n FROM statuses')
  await inSession(server, count) // The first one reads from the disk.
  const counted = await inSession(server, count)
  const all = await inSession(server, db => rowCounts(db, { exact: true }))
  const statusRows = counts?.tables.find(table => table.table === 'statuses')?.rows ?? 0
  line(`estimate, median of ${rounds} sessions`, median(times), statusRows)
  line(`estimate, worst of ${rounds} sessions`, Math.max(...times), statusRows)
  line('SELECT count(*) FROM statuses', counted.ms, counted.result[0]?.n ?? 0)
  line('exact count of every table', all.ms, all.result.rows)
  return median(times)
}

/** The sandbox's own data, and as many posts more as are wanted. */
async function load(server: TestPostgres): Promise<void> {
  await fillDatabase({ port: server.port, password: server.password }, '4.5.3')
  const db = await server.open('mastodon_production')
  await db.write(
    `INSERT INTO statuses (account_id, uri, text, created_at, updated_at)
     SELECT (SELECT min(id) FROM accounts), 'https://bench.example/' || n, repeat('a word ', 20), now(), now()
     FROM generate_series(1, $1) n`,
    [statuses],
  )
  await db.write('VACUUM (ANALYZE) statuses')
  await db.close()
}

const settings = ['log_min_duration_statement=0', 'log_line_prefix=%a ', 'max_wal_size=8GB', 'shared_buffers=256MB']
const server = await startPostgres({ settings })
try {
  console.log(`loading ${statuses.toLocaleString('en-US')} statuses …`)
  await load(server)
  const estimate = await measure(server)
  console.log(`${estimate.toFixed(1)} ms for the estimate, at most ${most} ms wanted`)
  if (estimate > most) process.exitCode = 1
} finally {
  await server.stop()
}
