// Prints for each command on Heroku how often it calls the Heroku CLI and its API, and how long it takes beside the same
// by hand with the real CLI. The platform is the emulator of the tests, on this machine: no network is in the figures.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHerokuApp } from '../test/e2e/heroku/bed.js'

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const rounds = Number(process.env.ROUNDS ?? 3)
const app = await startHerokuApp({ version: '4.5.3', client: 'real' })
const state = mkdtempSync(join(tmpdir(), 'mstdn-ops-bench-'))
const env = { ...app.env, HEROKU_APP: app.app, XDG_STATE_HOME: state, XDG_CACHE_HOME: state }

interface Contest {
  words: readonly string[]
  /** Another input each time, so that there is something to change. */
  stdin?: () => string
  /** What an operator would type to learn or do the same. */
  byHand: readonly (readonly string[])[]
  /** Puts back what the command needs again. */
  prepare?: () => Promise<unknown>
}

const contests: readonly Contest[] = [
  { words: ['rows'], byHand: [['pg:info']] },
  { words: ['status'], byHand: [['ps'], ['pg:info'], ['releases', '-n', '1']] },
  { words: ['logs', '-n', '20'], byHand: [['logs', '-n', '20']] },
  { words: ['config:get', 'LOCAL_DOMAIN'], byHand: [['config:get', 'LOCAL_DOMAIN']] },
  {
    words: ['config:set', 'SMTP_LOGIN'],
    stdin: () => `name ${Date.now()}\n`,
    byHand: [['config:set', 'SMTP_LOGIN=name']],
  },
  { words: ['restart', '--role', 'sidekiq'], byHand: [['ps:restart', '--process-type', 'worker']] },
  {
    words: ['accounts:disable-2fa', 'alice'],
    byHand: [['run', '--exit-code', '--', 'tootctl accounts modify alice --disable-2fa']],
    prepare: () => app.psql("UPDATE users SET otp_required_for_login = true WHERE email LIKE 'alice@%'"),
  },
  {
    words: ['accounts:make-admin', 'bob'],
    byHand: [['run', '--exit-code', '--', 'tootctl accounts modify bob --role Owner']],
    prepare: () => app.psql("UPDATE users SET role_id = NULL WHERE email LIKE 'bob@%'"),
  },
  { words: ['run', '--', 'true'], byHand: [['run', '--exit-code', '--', 'true']] },
]

function milliseconds(file: string, args: readonly string[], stdin = ''): Promise<number> {
  const started = process.hrtime.bigint()
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, { env }, (error, _stdout, stderr) => {
      if (error) reject(new Error(`${args.join(' ')}: ${stderr}`))
      else resolve(Number(process.hrtime.bigint() - started) / 1e6)
    })
    child.stdin?.end(stdin)
  })
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

async function byHandOnce({ byHand, prepare }: Contest): Promise<number> {
  await prepare?.()
  let sum = 0
  for (const words of byHand) {
    const [command = '', ...rest] = words
    sum += await milliseconds('heroku', [command, '--app', app.app, ...rest])
  }
  return sum
}

async function oursOnce(contest: Contest): Promise<{ ms: number; calls: number; requests: number }> {
  await contest.prepare?.()
  const [calls, requests] = [(await app.cliCalls()).length, app.requests.length]
  const ms = await milliseconds(process.execPath, [bin, ...contest.words], contest.stdin?.())
  return { ms, calls: (await app.cliCalls()).length - calls, requests: app.requests.length - requests }
}

try {
  console.log('command                      CLI calls  API requests      ours   by hand  ratio')
  for (const contest of contests) {
    const ours: Awaited<ReturnType<typeof oursOnce>>[] = []
    const hand: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await oursOnce(contest))
      hand.push(await byHandOnce(contest))
    }
    const last = ours.at(-1)
    const [mine, theirs] = [median(ours.map(({ ms }) => ms)), median(hand)]
    const cells = [String(last?.calls).padStart(9), String(last?.requests).padStart(13)]
    const times = [mine, theirs].map(ms => `${(ms / 1000).toFixed(2)} s`.padStart(9))
    console.log(contest.words.join(' ').padEnd(28), ...cells, ...times, ` ${(mine / theirs).toFixed(2)}`)
  }
  console.log(`medians of ${rounds} interleaved rounds, Node ${process.version}`)
} finally {
  await app.stop()
  rmSync(state, { recursive: true, force: true })
}
