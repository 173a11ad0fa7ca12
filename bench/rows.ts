// Prints the server's time for the estimate of `rows` on a large instance, beside that of SELECT count(*).
// STATUSES=3000000 npx tsx bench/rows.ts
import { fillDatabase } from '../src/lib/backends/direct/sandbox/server/fill.js'
import { type RowCounts, rowCounts } from '../src/lib/postgres/rows.js'
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

async function measure(server: TestPostgres): Promise<number> {
  const db = await server.open('mastodon_production', { purpose: 'bench' })
  const times: number[] = []
  let counts: RowCounts | undefined
  for (let round = 0; round < rounds; round++) {
    times.push(
      await serverTime(server, async () => {
        counts = await rowCounts(db, { exact: false })
      }),
    )
  }
  const count = async () => (await db.query<{ n: number }>('SELECT count(*) AS n FROM statuses'))[0]?.n ?? 0
  await count() // The first one reads from the disk.
  let counted = 0
  const countTime = await serverTime(server, async () => {
    counted = await count()
  })
  const all = await serverTime(server, () => rowCounts(db, { exact: true }))
  const estimated = counts?.tables.find(table => table.table === 'statuses')?.rows ?? 0
  line(`estimate, first of ${rounds}`, times[0] ?? Number.NaN, estimated)
  line(`estimate, median of ${rounds}`, median(times), estimated)
  line('SELECT count(*) FROM statuses', countTime, counted)
  line('exact count of every table', all, counts?.rows ?? 0)
  await db.close()
  return Math.max(...times)
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
  const worst = await measure(server)
  console.log(`worst estimate ${worst.toFixed(1)} ms, at most ${most} ms wanted`)
  if (worst > most) process.exitCode = 1
} finally {
  await server.stop()
}
