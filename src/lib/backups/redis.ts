import { posix } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isExcuse, type ScriptPlace, type ToolRun } from '../backends/backend.js'
import { messageOf, OperatorError, RefusedError } from '../errors.js'
import { lacks } from '../open-toolbox.js'
import type { RedisDatabase } from '../redis/access.js'
import { redisServers } from '../redis/servers.js'
import { humanDuration, printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import type { BackupFile, Manifest } from './manifest.js'
import { type PartOptions, writePart } from './part-file.js'
import { rdbWatch } from './rdb.js'

const NAME = 'redis.rdb'
/** Milliseconds: many times what a save of the largest instances takes. */
const LONGEST_SAVE = 15 * 60_000
const LOOK_EVERY = 200

/** Returns the place beside the files of Redis. @throws RefusedError where there is none. */
export async function redisPlace({ backend }: Toolbox): Promise<ScriptPlace> {
  const found = await backend.storage?.redis?.()
  if (found === undefined) throw lacks(backend, 'storage', 'way to the files of Redis')
  if (isExcuse(found))
    throw new RefusedError({ code: 'no-redis-files', message: 'The files of Redis are out of reach.', ...found })
  return found
}

/**
 * Lets Redis save, and writes its dump into the backup; the dump's own checksum is looked at on the way.
 *
 * @throws RefusedError when the save failed or took too long, the dump cannot be read, or it is not whole.
 */
export async function keepRedis(
  toolbox: Toolbox,
  options: PartOptions,
): Promise<{ file: BackupFile; redis: Manifest['redis'] }> {
  const place = await redisPlace(toolbox)
  const redis = await toolbox.redis()
  const path = await dumpPath(redis)
  const onProgress = (text: string) => {
    options.stop?.throwIfAborted()
    options.onProgress?.(text)
  }
  await save(redis, { onProgress })
  const run = await place.open({ what: 'cat', script: 'cat "$1"', args: [path], effect: 'read' })
  const source = { part: 'redis', name: NAME, run, ended: catEnded(run, path, place), watch: rdbWatch() } as const
  const file = await writePart(source, options)
  return { file, redis: { kept: true, why: await noteOn(toolbox, redis) } }
}

/** Returns where the server writes its dump. @throws RefusedError when it does not tell. */
export async function dumpPath(redis: RedisDatabase): Promise<string> {
  const [dir, name] = [await setting(redis, 'dir'), await setting(redis, 'dbfilename')]
  return posix.join(dir, name)
}

async function setting(redis: RedisDatabase, name: string): Promise<string> {
  const reply = await redis.read('CONFIG', 'GET', name).catch(error => {
    throw error instanceof OperatorError && error.code === 'redis-lost' ? error : pathUnknown(redis, error)
  })
  const value = Array.isArray(reply) ? reply[1] : undefined
  if (typeof value === 'string' && value !== '') return value
  throw pathUnknown(redis, new Error(`it answered nothing for ${name}`))
}

/** What the server tells of its saves. Source: Redis 2.6 to 7.2, INFO persistence. */
interface Persistence {
  isBusy: boolean
  /** Seconds since 1970. */
  lastSave: number
  lastWasGood: boolean
  appendOnly: boolean
}

async function persistence(redis: RedisDatabase): Promise<Persistence> {
  const text = String(await redis.read('INFO', 'persistence'))
  const of = (name: string) => new RegExp(`^${name}:(\\S*)`, 'm').exec(text)?.[1]
  return {
    isBusy: of('rdb_bgsave_in_progress') === '1' || of('aof_rewrite_in_progress') === '1',
    lastSave: Number(of('rdb_last_save_time')),
    lastWasGood: of('rdb_last_bgsave_status') === 'ok',
    appendOnly: of('aof_enabled') === '1',
  }
}

/**
 * Has the server write a new dump, and returns when it stands. A save that is under way already began too early: it is
 * waited for, and another follows.
 *
 * @throws RefusedError when the save failed or takes longer than `limitMs`.
 */
export async function save(
  redis: RedisDatabase,
  { limitMs = LONGEST_SAVE, onProgress }: { limitMs?: number; onProgress?: ((text: string) => void) | undefined } = {},
): Promise<void> {
  const until = Date.now() + limitMs
  const before = await serverTime(redis)
  do await idle(redis, until, limitMs, onProgress)
  while (!(await begun(redis)))
  const after = await idle(redis, until, limitMs, onProgress)
  if (!after.lastWasGood || after.lastSave < before)
    throw saveFailed(redis, 'See its log: its disk may be full, or there was no memory to fork.')
}

async function idle(
  redis: RedisDatabase,
  until: number,
  limitMs: number,
  onProgress?: (text: string) => void,
): Promise<Persistence> {
  for (;;) {
    const found = await persistence(redis)
    if (!found.isBusy) return found
    if (Date.now() > until) throw saveFailed(redis, `It has not ended within ${humanDuration(limitMs / 1000)}.`)
    onProgress?.('Redis saves')
    await sleep(LOOK_EVERY)
  }
}

/** Returns whether a save began: false where one is under way that somebody else began. */
async function begun(redis: RedisDatabase): Promise<boolean> {
  try {
    await redis.read('BGSAVE')
    return true
  } catch (error) {
    const why = error instanceof OperatorError ? (error.why ?? error.message) : messageOf(error)
    if (/in progress/i.test(why)) return false
    throw error instanceof OperatorError && error.code === 'redis-lost' ? error : saveFailed(redis, why)
  }
}

async function serverTime(redis: RedisDatabase): Promise<number> {
  const reply = await redis.read('TIME')
  return Number(Array.isArray(reply) ? reply[0] : Number.NaN)
}

/** What somebody who puts the dump back must know; null where there is nothing. */
async function noteOn({ app, backend }: Toolbox, redis: RedisDatabase): Promise<string | null> {
  const { appendOnly } = await persistence(redis)
  const [, ...others] = backend.redis ? await redisServers(backend.redis, await app.version()) : []
  const missing = others.map(({ roles, connector }) => `Not in it: ${connector.where} (${roles.join(', ')}).`)
  return [...(appendOnly ? [APPEND_ONLY] : []), ...missing].join(' ') || null
}

const APPEND_ONLY =
  'Redis keeps an append-only file besides and reads that one when it starts: put the dump back with appendonly no.'

async function catEnded(run: ToolRun, path: string, { where }: ScriptPlace): Promise<void> {
  const { exitCode, stderr } = await run.ended
  if (exitCode === 0 && stderr.trim() === '') return
  throw new RefusedError({
    code: 'redis-dump-not-read',
    message: `The dump of Redis cannot be read: ${printableLine(path)} of ${where}.`,
    cause: printableLine(stderr.trim()).slice(0, 400) || `cat ended with code ${exitCode}.`,
  })
}

function saveFailed({ where }: RedisDatabase, cause: string): RefusedError {
  return new RefusedError({
    code: 'redis-save-failed',
    message: `${where} has not saved its data.`,
    cause,
    next: 'Correct that, or make the backup without redis: after a restore its feeds are made anew.',
  })
}

function pathUnknown({ where }: RedisDatabase, error: unknown): RefusedError {
  return new RefusedError({
    code: 'redis-path-unknown',
    message: `${where} does not tell where it keeps its dump.`,
    cause: `CONFIG GET was refused: ${error instanceof OperatorError ? (error.why ?? error.message) : messageOf(error)}.`,
    next: 'Let its user run CONFIG GET (acl, rename-command), or make the backup without redis.',
  })
}
