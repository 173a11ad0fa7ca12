import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { LockedError } from '../errors.js'
import type { LockHolder as SessionHolder } from '../postgres/lock.js'
import { printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'

/** Who holds the lock of an instance. */
export interface LockHolder {
  runId: string
  command: string
  host: string
  user: string
  pid: number
  /** When the process started, in clock ticks since boot: tells a re-used process id from the holder. */
  processStart: string
  since: string
  released: boolean
}

export interface Lock {
  release(): Promise<void>
}

/**
 * Takes the lock of the instance: a file for this machine, and a session lock in a database that is not the instance's,
 * for other machines. A lock whose holder is dead is taken over, said aloud.
 *
 * @throws LockedError naming the holder.
 */
export async function takeLock(toolbox: Toolbox, dir: string, run: { runId: string; command: string }): Promise<Lock> {
  const file = await takeFileLock(toolbox, dir, run)
  try {
    const session = await takeSessionLock(toolbox, run)
    return { release: async () => Promise.all([session?.release(), file.release()]).then(() => undefined) }
  } catch (error) {
    await file.release()
    throw error
  }
}

/**
 * Lock files are numbered and the highest counts. A dead or released one is followed by the next number, made by a
 * hard link: it appears whole, and for one of any number of contenders. Numbers never go back, so that nobody acts on
 * what they saw before.
 */
async function takeFileLock(toolbox: Toolbox, dir: string, run: { runId: string; command: string }): Promise<Lock> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const mine = await holderOf(run)
  for (;;) {
    const last = await lastGeneration(dir)
    const holder = last === 0 ? undefined : await readHolder(lockPath(dir, last))
    if (holder && !holder.released && (await isAlive(holder))) throw heldBy(holder)
    if (!(await createExclusively(lockPath(dir, last + 1), mine))) continue
    if ((await lastGeneration(dir)) > last + 1) {
      await rm(lockPath(dir, last + 1), { force: true })
      continue
    }
    if (holder && !holder.released) {
      toolbox.output.warn(`Took over the lock of run ${holder.runId}: its process ${holder.pid} is gone.`)
    }
    await rm(lockPath(dir, last), { force: true })
    return { release: () => markReleased(lockPath(dir, last + 1), mine) }
  }
}

async function holderOf(run: { runId: string; command: string }): Promise<LockHolder> {
  return {
    ...run,
    host: hostname(),
    user: userInfo().username,
    pid: process.pid,
    processStart: await processStart(process.pid),
    since: new Date().toISOString(),
    released: false,
  }
}

function lockPath(dir: string, generation: number): string {
  return join(dir, `lock.${generation}`)
}

async function lastGeneration(dir: string): Promise<number> {
  const names = await readdir(dir)
  return Math.max(0, ...names.map(name => Number(/^lock\.(\d+)$/.exec(name)?.[1] ?? 0)))
}

async function createExclusively(path: string, holder: LockHolder): Promise<boolean> {
  const draft = `${path}.draft-${holder.pid}`
  await writeFile(draft, JSON.stringify(holder), { mode: 0o600 })
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function markReleased(path: string, mine: LockHolder): Promise<void> {
  const draft = `${path}.draft-${mine.pid}`
  await writeFile(draft, JSON.stringify({ ...mine, released: true }), { mode: 0o600 })
  await rename(draft, path)
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as LockHolder)
}

async function isAlive(holder: LockHolder): Promise<boolean> {
  if (holder.host !== hostname()) return true
  return (await processStart(holder.pid)) === holder.processStart
}

/** Returns what tells this process from a later one of the same id; `gone` when there is none. Linux: /proc/PID/stat field 22. */
async function processStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
  return existsBySignal(pid) ? 'unknown' : 'gone'
}

function existsBySignal(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Locks the instance for other machines as well. The key is the database's name, which is the same from everywhere;
 * the name of an instance is each machine's own.
 */
async function takeSessionLock(toolbox: Toolbox, run: { runId: string }): Promise<Lock | undefined> {
  const connector = toolbox.backend.postgres
  if (connector === undefined) return undefined
  const { openLockSession } = await import('../postgres/lock.js')
  const applicationName = `mstdn-ops ${run.runId} ${userInfo().username}@${hostname()}`
  const { database } = await connector.target()
  const attempt = await openLockSession(connector, { key: database, applicationName })
  if (attempt === undefined) return undefined
  if (attempt.held) return { release: () => attempt.session.close() }
  throw heldElsewhere(attempt.holder)
}

function heldElsewhere(holder: SessionHolder | undefined): LockedError {
  const who = holder === undefined ? 'somebody' : printableLine(holder.applicationName.replace(/^mstdn-ops /, 'run '))
  const from = holder?.client === undefined ? '' : ` (from ${holder.client})`
  const since = holder?.since === undefined ? '' : `, since ${holder.since.toISOString()}`
  return new LockedError({
    code: 'locked',
    message: `Another run is under way: ${who}${from}${since}.`,
    cause: 'It holds the lock in the database server, from this or another machine.',
    next: 'Wait until it has ended, then run the command again.',
  })
}

function heldBy(holder: LockHolder): LockedError {
  const who = `run ${holder.runId} (${holder.command}) by ${holder.user} on ${holder.host}, process ${holder.pid}, since ${holder.since}`
  return new LockedError({
    code: 'locked',
    message: `Another run is under way: ${who}.`,
    next: 'Wait until it has ended, then run the command again. `mstdn-ops runs` lists the runs.',
  })
}
