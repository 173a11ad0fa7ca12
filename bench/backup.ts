// Prints how long db:backup and db:restore take beside pg_dump and pg_restore by hand, on a real PostgreSQL in a
// container, with and without zstd in it; and the memory of our own process. Of a restore each long step is told, for
// pg_restore by hand neither proves, compares nor analyzes; Sidekiq gets a second to drain. Usage: bench/backup.ts [MEGABYTES]
import { execFile, spawn } from 'node:child_process'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Stack, startStack } from '../test/e2e/compose/bed/bed.js'

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const megabytes = Number(process.argv[2] ?? process.env.MEGABYTES ?? 1000)
const rounds = Number(process.env.ROUNDS ?? 1)
const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-bench-'))
const places = { XDG_STATE_HOME: join(folder, 'state'), XDG_DATA_HOME: join(folder, 'data') }

interface Timed {
  seconds: number
  /** The most memory that our process held, in MB. */
  rss: number
  stdout: string
}

/** Runs our tool, and looks ten times a second how much memory it holds. */
function ours(stack: Stack, words: readonly string[]): Promise<Timed> {
  const started = process.hrtime.bigint()
  return new Promise((resolve, reject) => {
    const env = { ...stack.env, ...places }
    const options = { cwd: stack.projectDir, env, maxBuffer: 1 << 26 }
    let rss = 0
    const child = execFile(process.execPath, [bin, ...words, '--json'], options, (error, stdout, stderr) => {
      clearInterval(timer)
      if (error) reject(new Error(`${words.join(' ')}: ${stderr}${stdout}`))
      else resolve({ seconds: Number(process.hrtime.bigint() - started) / 1e9, rss, stdout })
    })
    const timer = setInterval(() => {
      rss = Math.max(rss, peakOf(child.pid))
    }, 100)
  })
}

function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000
  } catch {
    return 0
  }
}

function byHand(stack: Stack, words: readonly string[], files: { from?: string; to?: string }): Promise<number> {
  const started = process.hrtime.bigint()
  return new Promise((resolve, reject) => {
    const args = ['compose', ...stack.composeFlags, 'exec', '-T', 'db', ...words]
    const stdio = [files.from === undefined ? 'ignore' : 'pipe', files.to === undefined ? 'ignore' : 'pipe', 'inherit']
    const child = spawn('docker', args, { cwd: stack.projectDir, env: stack.env, stdio: stdio as 'pipe'[] })
    if (files.to !== undefined) child.stdout?.pipe(createWriteStream(files.to))
    if (files.from !== undefined) createReadStream(files.from).pipe(child.stdin as NodeJS.WritableStream)
    child.once('close', code => {
      if (code === 0) resolve(Number(process.hrtime.bigint() - started) / 1e9)
      else reject(new Error(`${words.join(' ')}: code ${code}`))
    })
  })
}

/** About half a kilobyte a post, as text that compresses like text. */
async function fill(stack: Stack, size: number): Promise<void> {
  const rows = Math.round(size * 1900)
  await stack.psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local, uri)
    SELECT (SELECT string_agg(md5((n * 7 + k)::text) || ' ', '') FROM generate_series(1, 5) k), a.id, now(), now(), false,
      'https://remote.example/statuses/' || n
    FROM generate_series(1, ${rows}) n, (SELECT id FROM accounts WHERE id > 0 ORDER BY id LIMIT 1) a`)
  await stack.psql('VACUUM ANALYZE statuses')
}

function line(what: string, mine: number, theirs: number, rest = ''): void {
  console.log(
    `${what.padEnd(34)} ${mine.toFixed(1).padStart(7)} s ${theirs.toFixed(1).padStart(7)} s  ${(mine / theirs).toFixed(2)}  ${rest}`,
  )
}

interface JournalLine {
  event: string
  step?: string
  state?: string
  at: string
}

/** Returns the seconds of each step of a run, by its journal. */
function stepsOf(instance: string, runId: string): Map<string, number> {
  const file = join(places.XDG_STATE_HOME, 'mstdn-ops', instance, 'runs', `${runId}.jsonl`)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const events = lines.map(text => JSON.parse(text) as JournalLine).filter(({ event }) => event === 'step')
  const at = (step: string, state: string) => events.find(event => event.step === step && event.state === state)?.at
  const taken = [...new Set(events.map(({ step = '' }) => step))].map((step): [string, number] => {
    return [step, (Date.parse(at(step, 'done') ?? '') - Date.parse(at(step, 'started') ?? '')) / 1000]
  })
  return new Map(taken)
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

async function contest(variant: 'full' | 'lean'): Promise<void> {
  const stack = await startStack({ version: '4.5.3', variant })
  try {
    // The images of the test bed have no LLVM, which larger queries would be compiled with.
    await stack.psql('ALTER SYSTEM SET jit = off')
    await stack.psql('SELECT pg_reload_conf()')
    await fill(stack, megabytes)
    const size = Number(await stack.psql('SELECT pg_database_size(current_database())')) / 1e6
    console.log(`\n${variant} images, database of ${Math.round(size)} MB`)
    const dump = join(folder, 'by-hand.dump')
    const [backups, dumps] = [[] as Timed[], [] as number[]]
    for (let round = 0; round < rounds; round += 1) {
      dumps.push(await byHand(stack, ['pg_dump', '-U', 'postgres', '-Fc', stack.database], { to: dump }))
      backups.push(await ours(stack, ['db:backup']))
    }
    const { result } = JSON.parse(backups.at(-1)?.stdout ?? '{}') as { result: { bytes: number; took: object } }
    const told = `${Math.round(result.bytes / 1e6)} MB against ${Math.round(statSync(dump).size / 1e6)}, ${Math.round(backups.at(-1)?.rss ?? 0)} MB of memory`
    line('db:backup / pg_dump -Fc', median(backups.map(({ seconds }) => seconds)), median(dumps), told)
    await stack.psql('CREATE DATABASE by_hand TEMPLATE template0')
    const hand = await byHand(stack, ['pg_restore', '-U', 'postgres', '-d', 'by_hand'], { from: dump })
    await stack.psql('DROP DATABASE by_hand')
    const restored = await ours(stack, ['db:restore', 'latest', '--drain', '1s', '--confirm', stack.domain])
    const report = JSON.parse(restored.stdout) as { runId: string; result: { stoppedFor: number } }
    const steps = stepsOf(stack.projectName, report.runId)
    line('its step `restore` / pg_restore', steps.get('restore') ?? Number.NaN, hand)
    line('db:restore / pg_restore', restored.seconds, hand, `${Math.round(restored.rss)} MB of memory`)
    const long = [...steps]
      .filter(([, seconds]) => seconds >= 0.5)
      .map(([step, seconds]) => `${step} ${seconds.toFixed(1)}`)
    console.log(`  stood still for ${(report.result.stoppedFor / 1000).toFixed(1)} s; ${long.join(', ')} s`)
  } finally {
    await stack.stop()
  }
}

try {
  for (const variant of ['full', 'lean'] as const) await contest(variant)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
