import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import type { PostgresConnector } from '../backends/backend.js'
import { LockedError, messageOf, RefusedError } from '../errors.js'
import { runsDir } from '../paths.js'
import type { LockSession, LockHolder as SessionHolder } from '../postgres/lock.js'
import { type RunRecord, recordStatement } from '../postgres/record.js'
import { printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { findRun, isUnfinished, makeFolder, stateProblem } from './journal.js'

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

/** The lock of an instance, whose database may be another one by and by. */
export interface InstanceLock extends Lock {
  /**
   * Takes it again, in the database that is the instance's now: a reset has ended the session that held it, or another
   * database was promoted. What is held already stays held.
   *
   * @throws LockedError when somebody else has it there.
   */
  again(): Promise<void>
}

/**
 * Takes the lock of the instance: a file for this machine, and a session lock in a database that is not the instance's,
 * for other machines. A lock whose holder is dead is taken over, said aloud.
 *
 * @throws LockedError naming the holder.
 */
export async function takeLock(
  toolbox: Toolbox,
  dir: string,
  run: { runId: string; command: string },
): Promise<InstanceLock> {
  const file = await takeFileLock(toolbox, dir, run).catch(error => {
    throw error instanceof LockedError ? error : stateProblem(`The lock in ${dir} cannot be taken.`, error)
  })
  const held: (Lock | undefined)[] = [file]
  const again = async () => void held.push(await takeSessionLock(toolbox, run))
  await again().catch(async error => {
    await file.release()
    throw error
  })
  const release = () => Promise.all(held.map(lock => lock?.release()))
  // A lock that cannot be given back is one of a dead process soon, and taken over then.
  return {
    again,
    release: () =>
      release().then(
        noted => void noted,
        error => toolbox.output.debug(messageOf(error)),
      ),
  }
}

/**
 * Lock files are numbered and the highest counts. A dead or released one is followed by the next number, made by a
 * hard link: it appears whole, and for one of any number of contenders. Numbers never go back, so that nobody acts on
 * what they saw before.
 */
async function takeFileLock(toolbox: Toolbox, dir: string, run: { runId: string; command: string }): Promise<Lock> {
  await makeFolder(dir)
  const mine = await holderOf(run)
  for (;;) {
    const last = await lastGeneration(dir)
    const holder = last === 0 ? undefined : await readHolder(lockPath(dir, last))
    if (holder && !holder.released && (await isAlive(holder))) throw heldBy(holder, lockPath(dir, last))
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
  try {
    await writeFile(draft, JSON.stringify({ ...mine, released: true }), { mode: 0o600 })
    await rename(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
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
  if (stat === undefined) return existsBySignal(pid) ? 'unknown' : 'gone'
  const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended; nobody has asked for its exit code yet.
  return 'ZX'.includes(state) ? 'gone' : (fields[18] ?? 'unknown')
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
  const applicationName = `mstdn-ops ${run.runId} ${userInfo().username}@${hostname()}`
  const attempt = await lockInServer(toolbox, connector, applicationName)
  if (attempt === undefined) return undefined
  if (attempt.held) {
    await refuseUnended(toolbox, run, attempt.session, connector).catch(async error => {
      await attempt.session.close()
      throw error
    })
    return { release: () => attempt.session.close() }
  }
  if (attempt.holder?.applicationName.startsWith(`mstdn-ops ${run.runId} `)) return undefined
  throw heldElsewhere(attempt.holder)
}

/** A run whose journal is here is gone on with from here; the record of one that was abandoned here goes. */
async function refuseUnended(
  { instance }: Toolbox,
  run: { runId: string },
  session: LockSession,
  connector: PostgresConnector,
): Promise<void> {
  const record = await session.record()
  if (record === undefined || record.runId === run.runId) return
  const known = await findRun(runsDir(instance.name), record.runId)
  if (known === undefined) {
    const forgetting = recordStatement(session.database, undefined)
    throw unendedElsewhere(record, connector.byHand(session.database, forgetting))
  }
  if (!isUnfinished(known)) await session.forget()
}

function unendedElsewhere({ runId, by, since }: RunRecord, byHand: string): LockedError {
  return new LockedError({
    code: 'unended-elsewhere',
    message: `Run ${printableLine(runId)} by ${printableLine(by)}, since ${printableLine(since)}, has not ended.`,
    cause: 'It has emptied the database, and what is in there now may be half of a backup.',
    next: `mstdn-ops resume there. Where that machine is no more: ${byHand}; then restore a backup.`,
  })
}

/** A server that cannot be reached locks nobody out: the restart that is to bring it back must go on. */
async function lockInServer(toolbox: Toolbox, connector: PostgresConnector, applicationName: string) {
  const { openLockSession } = await import('../postgres/lock.js')
  try {
    const { database } = await connector.target()
    return await openLockSession(connector, { key: database, applicationName })
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    toolbox.output.info(`The lock holds on this machine only, for the database cannot be reached: ${error.message}.`)
    return undefined
  }
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

function heldBy(holder: LockHolder, path: string): LockedError {
  const who = `run ${holder.runId} (${holder.command}) by ${holder.user} on ${holder.host}, process ${holder.pid}, since ${holder.since}`
  const elsewhere = holder.host === hostname() ? '' : ` If ${holder.host} is no more, remove ${path}.`
  return new LockedError({
    code: 'locked',
    message: `Another run is under way: ${who}.`,
    next: `Wait until it has ended, then run the command again. \`mstdn-ops runs\` lists the runs.${elsewhere}`,
  })
}
