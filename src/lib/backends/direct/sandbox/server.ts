import { chmod, mkdir, readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RefusedError } from '../../../errors.js'
import type { Runner } from '../../../runner.js'
import type { Clock } from '../../../toolbox.js'
import type { Size } from './seed.js'
import { databaseName, fillDatabase } from './server/fill.js'
import { createCluster, owner, postgresRuns, startPostgres, stopPostgres } from './server/postgres.js'
import { password, places, readRecord, type SandboxRecord, writeRecord } from './server/record.js'
import { findRedis, redisRuns, startRedis, stopRedis } from './server/redis.js'
import { inTurn } from './server/turn.js'

/** The release that a new sandbox is shaped as. */
const defaultRelease = '4.5.3'

export interface SandboxOptions {
  /** Holds everything of the sandbox; made where it is missing. */
  dir: string
  runner: Runner
  /** PostgreSQL's port on 127.0.0.1, if it is free; without it the last one, or any. */
  port?: number
  /** The Mastodon release to be shaped as, like `4.2.9`. Only a new sandbox can choose. */
  release?: string
  /** How much demo data a new sandbox gets. */
  size?: Partial<Size>
  clock?: Clock
}

export interface Sandbox {
  dir: string
  release: string
  /** With the password in it: a secret. */
  databaseUrl: string
  /** With the password in it; absent where no Redis server was found on PATH or it did not start. */
  redisUrl?: string
  /** Why there is no Redis. */
  redisAbsent?: string
  /** Of PostgreSQL. */
  pid: number
  stop(): Promise<void>
}

export type SandboxState =
  | { state: 'absent' }
  | { state: 'stopped'; release: string }
  | { state: 'running'; release: string; pid: number; port: number; redis: boolean }

/**
 * Starts the sandbox in the folder, or finds it running. Its servers go on when this process ends.
 *
 * @throws RefusedError when it cannot be started, or holds another release than the one asked for
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const dir = resolve(options.dir)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  return inTurn(dir, async () => {
    const found = await readRecord(dir)
    if (found) refuseOtherRelease(dir, found, options.release)
    const record = found ?? (await create(dir, options))
    await ensurePostgres(dir, record, options)
    const redisAbsent = await ensureRedis(dir, record, options)
    return describe(dir, record, redisAbsent)
  })
}

/** Stops both servers; the data stays. Returns false when none ran. */
export async function stopSandbox({ dir }: { dir: string }): Promise<boolean> {
  const place = resolve(dir)
  if (!(await readRecord(place))) return false
  return inTurn(place, async () => {
    const record = await readRecord(place)
    const ran = (await postgresRuns(place, record?.postgres)) || (await redisRuns(place, record?.redis))
    await Promise.all([stopPostgres(place, record?.postgres), stopRedis(place, record?.redis)])
    return ran
  })
}

/** Looks, and changes nothing. */
export async function sandboxState({ dir }: { dir: string }): Promise<SandboxState> {
  const place = resolve(dir)
  const record = await readRecord(place)
  if (!record) return { state: 'absent' }
  const { release, postgres, redis } = record
  if (!postgres || !(await postgresRuns(place, postgres))) return { state: 'stopped', release }
  return { state: 'running', release, ...postgres, redis: await redisRuns(place, redis) }
}

/** The record comes first: it tells that the folder is the sandbox's own, before anything in it is removed. */
async function create(dir: string, options: SandboxOptions): Promise<SandboxRecord> {
  await refuseForeignFolder(dir)
  await chmod(dir, 0o700)
  const createdAt = (options.clock?.now() ?? new Date()).toISOString()
  const record = { release: options.release ?? defaultRelease, createdAt }
  await writeRecord(dir, record)
  return record
}

async function ensurePostgres(dir: string, record: SandboxRecord, options: SandboxOptions): Promise<void> {
  const secret = await password(dir)
  record.account ??= (await createCluster(dir, options.runner)).title
  if (!(await postgresRuns(dir, record.postgres))) {
    const wanted = options.port ?? record.postgres?.port
    record.postgres = await startPostgres(dir, record.account, options.runner, wanted)
    await writeRecord(dir, record)
  }
  if (record.filled) return
  await fillDatabase({ port: record.postgres?.port ?? 0, password: secret }, record.release, options.size)
  record.filled = true
  await writeRecord(dir, record)
}

/** Returns why there is none. */
async function ensureRedis(dir: string, record: SandboxRecord, options: SandboxOptions): Promise<string | undefined> {
  if (await redisRuns(dir, record.redis)) return undefined
  const program = await findRedis()
  if (!program) return 'No redis-server was found on PATH.'
  record.redis = await startRedis(dir, program, options.runner, record.redis?.port)
  await writeRecord(dir, record)
  return record.redis ? undefined : `${program} did not start: see ${places(dir).redisLog}.`
}

async function describe(dir: string, record: SandboxRecord, redisAbsent: string | undefined): Promise<Sandbox> {
  const secret = await password(dir)
  const { postgres, redis, release } = record
  return {
    dir,
    release,
    databaseUrl: `postgresql://${owner}:${secret}@127.0.0.1:${postgres?.port}/${databaseName}`,
    ...(redisAbsent === undefined ? { redisUrl: `redis://:${secret}@127.0.0.1:${redis?.port}/0` } : { redisAbsent }),
    pid: postgres?.pid ?? 0,
    stop: async () => void (await stopSandbox({ dir })),
  }
}

/** The folder is given to another user and things in it are removed, so it must not be anybody else's. */
async function refuseForeignFolder(dir: string): Promise<void> {
  const names = await readdir(dir)
  if (names.length === 0) return
  throw new RefusedError({
    code: 'sandbox-folder-not-empty',
    message: `${dir} holds other things (${names.slice(0, 3).join(', ')}), so no sandbox is made in it.`,
    next: 'Choose an empty or a new folder.',
  })
}

function refuseOtherRelease(dir: string, record: SandboxRecord, release: string | undefined): void {
  if (release === undefined || release === record.release) return
  throw new RefusedError({
    code: 'sandbox-of-another-release',
    message: `The sandbox in ${dir} is shaped as Mastodon ${record.release}, not ${release}.`,
    next: `Choose another folder, or stop it and remove ${dir}.`,
  })
}
