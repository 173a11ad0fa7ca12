import { access, constants, mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Runner } from '../../../../runner.js'
import { endProcess, freePort, isAlive, poll, worksIn } from './process.js'
import { password, places, type Started } from './record.js'

const START_LIMIT = 10_000
const STOP_LIMIT = 10_000

/** Returns the path of a Redis server on PATH, or undefined: npm has no package with one. */
export async function findRedis(path = process.env.PATH ?? ''): Promise<string | undefined> {
  const names = ['redis-server', 'valkey-server']
  const candidates = path.split(delimiter).flatMap(folder => names.map(name => join(folder, name)))
  for (const candidate of candidates) {
    if (await isExecutable(candidate)) return candidate
  }
  return undefined
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Starts Redis, detached, on loopback with the sandbox's password; undefined when it did not come up. */
export async function startRedis(
  dir: string,
  program: string,
  runner: Runner,
  wanted?: number,
): Promise<Started | undefined> {
  const { redis, redisConfig, redisLog } = places(dir)
  const port = await freePort(wanted)
  await mkdir(redis, { recursive: true, mode: 0o700 })
  await writeFile(redisConfig, await configuration(dir, port), { mode: 0o600 })
  const { pid } = await runner.daemon(
    { file: program, args: [redisConfig], cwd: '/', effect: 'read' },
    { logFile: redisLog },
  )
  const outcome = await poll(START_LIMIT, async () => {
    if (await accepts(port)) return 'ready'
    return (await isAlive(pid)) ? undefined : 'ended'
  })
  return outcome === 'ready' ? { pid, port } : undefined
}

/** In a file and not in the arguments, for those are seen by every user of the machine. */
async function configuration(dir: string, port: number): Promise<string> {
  const settings = {
    bind: '127.0.0.1',
    port: `${port}`,
    requirepass: await password(dir),
    dir: JSON.stringify(places(dir).redis),
    daemonize: 'no',
    appendonly: 'no',
    save: '3600 1',
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('')
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Whether this very server still runs. */
export async function redisRuns(dir: string, started: Started | undefined): Promise<boolean> {
  return started !== undefined && (await worksIn(started.pid, places(dir).redis))
}

/** Saves its data and ends; harmless when it does not run. */
export async function stopRedis(dir: string, started: Started | undefined): Promise<void> {
  if (started && (await redisRuns(dir, started))) await endProcess(started.pid, 'SIGTERM', STOP_LIMIT)
}
