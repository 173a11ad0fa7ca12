import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Invocation } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { OwnServer } from '../apart.js'
import type { DiskSpace, PostgresConnector, PostgresTarget, PostgresTools } from '../backend.js'
import { firstLine } from '../complaints.js'
import { type ApartEngine, LIMIT_MS, nameOf, notStarted } from './apart-engine.js'
import { DATABASE_ALIAS } from './apart-environment.js'
import type { Container } from './containers.js'
import { toolsIn } from './postgres.js'
import { Reach } from './reach.js'
import type { Stack } from './stack.js'
import { spaceIn } from './storage.js'

/** Where the place's own server keeps its data: on a volume that goes with the container. */
const FOLDER = '/tmp'
const DATA = `${FOLDER}/mstdn-ops-data`
export const OWN_PORT = 5432
const LOOPBACK = { host: '127.0.0.1', port: OWN_PORT }
/** The superuser of the own server, who has no password and gets in from inside of the container alone. */
const ADMIN = 'postgres'
/** To make a cluster takes seconds, on a busy machine more. */
const START_MS = 180_000
const PAUSE_MS = 250

/**
 * Makes a cluster and becomes its server. The image's own entry point is gone past: what it wants to be told differs from
 * image to image, and `initdb` and `postgres` are in all of them.
 */
const SERVE = `set -e
initdb -D ${DATA} -U ${ADMIN} --auth=trust --encoding=UTF8 --locale=C --no-sync
echo 'host all all all scram-sha-256' >> ${DATA}/pg_hba.conf
exec postgres -D ${DATA} -c listen_addresses='*' -c port=${OWN_PORT} -c unix_socket_directories=${FOLDER} "$@"`

/**
 * Starts a server of the same image as the live one's in the network of the place, and waits until it answers.
 *
 * @throws RefusedError with what it said where it does not.
 */
export async function startOwnServer(
  engine: ApartEngine,
  key: string,
  { like, settings }: { like: Container; settings: Readonly<Record<string, string>> },
): Promise<void> {
  const place = [...engine.labels(key), '--network', nameOf(key), '--network-alias', DATABASE_ALIAS]
  const made = ['--user', like.user || 'postgres', '--volume', FOLDER, ...(await sharedMemory(engine, like))]
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const words = ['run', '-d', '--pull', 'never', '--name', serverName(key), ...place, ...made, '--entrypoint', 'sh']
  await engine.must([...words, like.imageId, '-c', SERVE, 'serve', ...options])
  if (!engine.stack.parts.runner.dryRun) await untilReady(engine, serverName(key))
}

/** Returns the own server of an open place. */
export function ownServer(stack: Stack, key: string): OwnServer {
  const name = serverName(key)
  const disk = async (): Promise<DiskSpace[]> => {
    const space = await spaceIn(stack, name, DATA)
    return space ? [{ place: 'database', path: `the volume of ${name}`, ...space }] : []
  }
  return { postgres: new OwnPostgres(stack, name), disk }
}

/** Returns the room that the own server will find: its volume lies where the layers of the containers do. */
export async function roomForOwnServer(stack: Stack, like: Container): Promise<DiskSpace[]> {
  const space = await spaceIn(stack, like.name, '/')
  return space ? [{ place: 'database', path: 'the engine’s own folder', ...space }] : []
}

function serverName(key: string): string {
  return `${nameOf(key)}-postgres`
}

/** Indexes that are built by several processes need it (`shm_size` of the service). */
async function sharedMemory(engine: ApartEngine, { id }: Container): Promise<string[]> {
  const bytes = Number((await engine.ask(['inspect', '--format', '{{.HostConfig.ShmSize}}', id])).stdout)
  return bytes > 0 ? ['--shm-size', String(bytes)] : []
}

async function untilReady(engine: ApartEngine, name: string): Promise<void> {
  const deadline = Date.now() + START_MS
  for (;;) {
    const asked = await engine.ask(['exec', name, 'pg_isready', '-q', '-h', LOOPBACK.host, '-p', String(OWN_PORT)])
    if (asked.exitCode === 0) return
    const state = await engine.ask(['inspect', '--format', '{{.State.Status}}', name])
    if (state.stdout.trim() !== 'running' || Date.now() > deadline) throw await notReady(engine, name)
    await sleep(PAUSE_MS)
  }
}

async function notReady(engine: ApartEngine, name: string): Promise<Error> {
  const { stdout, stderr } = await engine.ask(['logs', '--tail', '20', name])
  return notStarted('a PostgreSQL of its own', firstLine({ stdout, stderr }))
}

/** PostgreSQL through the container that it runs in. */
class OwnPostgres implements PostgresConnector {
  readonly where = 'the PostgreSQL of the rehearsal'
  readonly #stack: Stack
  readonly #name: string
  readonly #reach: Reach

  constructor(stack: Stack, name: string) {
    this.#stack = stack
    this.#name = name
    this.#reach = new Reach(stack, this.where, { name })
  }

  async target(): Promise<PostgresTarget> {
    return { user: ADMIN, database: 'postgres', tls: 'none' }
  }

  openStream(): Promise<Duplex> {
    return this.#reach.open(LOOPBACK)
  }

  async tools(): Promise<PostgresTools> {
    const seat = { name: this.#name, where: this.where }
    return toolsIn(this.#stack, seat, { user: ADMIN, database: 'postgres', tls: 'none', reach: LOOPBACK })
  }

  async psql(database: string, args: readonly string[]): Promise<Invocation> {
    const words = ['exec', '-i', this.#name, ...this.#psql(database), ...args]
    return this.#stack.project.docker(words, { effect: 'write', timeoutMs: LIMIT_MS })
  }

  byHand(database: string, sql: string): string {
    const words = ['exec', this.#name, ...this.#psql(database), '-c', sql]
    const { file, args } = this.#stack.project.docker(words)
    return shellLine([file, ...args])
  }

  #psql(database: string): string[] {
    return ['psql', '-h', LOOPBACK.host, '-U', ADMIN, '-d', database]
  }
}
