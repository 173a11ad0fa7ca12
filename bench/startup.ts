// Prints how long the tool takes to answer, as a ratio to a bare start of Node, measured side by side in one run.
import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const rounds = Number(process.env.ROUNDS ?? 15)
const home = mkdtempSync(join(tmpdir(), 'mstdn-ops-bench-'))
const env = {
  ...process.env,
  XDG_STATE_HOME: home,
  XDG_CONFIG_HOME: home,
  MSTDN_OPS_BACKEND: 'direct',
  MSTDN_OPS_DATABASE_URL: 'postgres://u@127.0.0.1:1/x',
  NODE_ENV: 'production',
}
// Node 20 reads this file at every start, which would make every ratio look better than it is.
delete (env as NodeJS.ProcessEnv).NODE_EXTRA_CA_CERTS

const contestants = [
  { name: 'node -e 0', args: ['-e', '0'], most: 1 },
  { name: '--version', args: [bin, '--version'], most: 6 },
  { name: '--help', args: [bin, '--help'], most: 6 },
  { name: 'runs (trivial command)', args: [bin, 'runs'], most: 6.5 },
  { name: 'rows --help', args: [bin, 'rows', '--help'], most: 6.5 },
]

function milliseconds(args: readonly string[]): number {
  const started = process.hrtime.bigint()
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'ignore' })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`)
  return Number(process.hrtime.bigint() - started) / 1e6
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

const times = contestants.map(() => [] as number[])
for (let round = 0; round < rounds; round += 1) {
  for (const [at, contestant] of contestants.entries()) times[at]?.push(milliseconds(contestant.args))
}
const bare = median(times[0] ?? [])
let missed = 0
for (const [at, { name, most }] of contestants.entries()) {
  const ratio = median(times[at] ?? []) / bare
  if (ratio > most) missed += 1
  console.log(
    `${name.padEnd(26)} ${ratio.toFixed(2).padStart(6)} x   (at most ${most})${ratio > most ? '  MISSED' : ''}`,
  )
}
console.log(`node -e 0: ${bare.toFixed(1)} ms median of ${rounds}, Node ${process.version}, NODE_EXTRA_CA_CERTS unset`)
process.exitCode = missed > 0 ? 1 : 0
