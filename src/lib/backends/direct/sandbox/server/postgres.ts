import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RefusedError } from '../../../../errors.js'
import type { Runner } from '../../../../runner.js'
import { type Account, accounts, own } from './account.js'
import { endProcess, freePort, isAlive, poll, worksIn } from './process.js'
import { places, type Started } from './record.js'

/** The superuser of the sandbox's server, and the owner of its database. */
export const owner = 'mastodon'

/** Milliseconds: a slow disk makes a first start slow, never this slow. */
const START_LIMIT = 30_000
const STOP_LIMIT = 10_000
/** After a kill, children of the dead server hold its shared memory for a moment, and a new one refuses to start. */
const ATTEMPTS = 8
const BETWEEN_ATTEMPTS = 250

/**
 * Makes the data folder, trying each way to run PostgreSQL in turn, and returns the one that worked. Whatever an earlier
 * try left behind goes first.
 *
 * @throws RefusedError that tells why each way failed
 */
export async function createCluster(dir: string, runner: Runner, ways = accounts()): Promise<Account> {
  const failures: string[] = []
  for (const account of ways) {
    const failure = await tryAccount(dir, account, runner)
    if (failure === undefined) return account
    failures.push(`${account.title}: ${failure}`)
  }
  throw new RefusedError({
    code: 'sandbox-not-created',
    message: `The embedded PostgreSQL could not make its data folder in ${dir}.`,
    cause: failures.join('\n'),
    next: 'Choose a folder that every user may enter, like one below /tmp, or run it as a user other than root.',
  })
}

/** Returns why it failed. */
async function tryAccount(dir: string, account: Account, runner: Runner): Promise<string | undefined> {
  try {
    for (const left of [places(dir).dataDraft, places(dir).data]) await rm(left, { recursive: true, force: true })
    await own(account, dir, places(dir).password)
    return await initialise(dir, account, runner)
  } catch (error) {
    return error instanceof RefusedError ? [error.message, error.why].filter(Boolean).join(' ') : messageOf(error)
  }
}

async function initialise(dir: string, account: Account, runner: Runner): Promise<string | undefined> {
  const { data, dataDraft, password } = places(dir)
  const { initdb } = await account.programs(dir)
  const options = ['-D', dataDraft, '-U', owner, '-A', 'scram-sha-256', '--pwfile', password]
  const result = await runner.run({
    ...prefixed(account, initdb, [...options, '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions']),
    cwd: '/',
    timeoutMs: 60_000,
    // The sandbox belongs to this tool, not to an instance: a dry run may start it, and no ledger tells of it.
    effect: 'read',
  })
  if (result.exitCode !== 0) return lastLine(result.stderr) || `exit code ${result.exitCode}`
  await rename(dataDraft, data)
  return undefined
}

function prefixed(account: Account, file: string, args: readonly string[]) {
  const [first = file, ...rest] = [...account.prefix, file, ...args]
  return { file: first, args: rest }
}

/**
 * Nothing here need outlive a crash of the machine, so nothing waits for the disk; synchronous_commit stays on, for what
 * was committed outlives a killed server. Reached over loopback with a password.
 */
function serverOptions(port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
    shared_buffers: '32MB',
    max_connections: '60',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Starts the server, detached, and returns when it takes connections.
 *
 * @param wanted the port to use if it is free
 * @throws RefusedError with the end of its log
 */
export async function startPostgres(dir: string, title: string, runner: Runner, wanted?: number): Promise<Started> {
  const account = accounts().find(candidate => candidate.title === title)
  if (!account) throw otherUser(dir, title)
  for (let remaining = ATTEMPTS; remaining > 0; remaining -= 1) {
    const started = await attempt(dir, account, runner, await freePort(wanted))
    if (started) return started
    await sleep(BETWEEN_ATTEMPTS)
  }
  throw new RefusedError({
    code: 'sandbox-not-started',
    message: `The embedded PostgreSQL in ${dir} did not start.`,
    cause: lastLine(await readFile(places(dir).postgresLog, 'utf8').catch(() => '')),
    next: `Read ${places(dir).postgresLog}, or remove ${dir} and start again.`,
  })
}

async function attempt(dir: string, account: Account, runner: Runner, port: number): Promise<Started | undefined> {
  const { data, postgresLog } = places(dir)
  await forgetDeadServer(data)
  const { postgres } = await account.programs(dir)
  const invocation = prefixed(account, postgres, ['-D', data, ...serverOptions(port)])
  const { pid } = await runner.daemon({ ...invocation, cwd: '/', effect: 'read' }, { logFile: postgresLog })
  const outcome = await poll(START_LIMIT, async () => {
    if (await isReady(data, pid)) return 'ready'
    return (await isAlive(pid)) ? undefined : 'ended'
  })
  return outcome === 'ready' ? { pid, port } : undefined
}

/** PostgreSQL takes any living process with the id in the file for the dead server, and refuses to start. */
async function forgetDeadServer(data: string): Promise<void> {
  const pid = Number((await pidFile(data))[0])
  if (pid > 0 && !(await worksIn(pid, data))) await rm(join(data, 'postmaster.pid'), { force: true })
}

/** Line 1 of postmaster.pid is the process, line 8 the status. */
async function isReady(data: string, pid: number): Promise<boolean> {
  const lines = await pidFile(data)
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

async function pidFile(data: string): Promise<string[]> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  return text.split('\n')
}

/** Whether this very server still runs. */
export async function postgresRuns(dir: string, started: Started | undefined): Promise<boolean> {
  return started !== undefined && (await worksIn(started.pid, places(dir).data))
}

/** Ends its sessions and waits for it; harmless when it does not run. */
export async function stopPostgres(dir: string, started: Started | undefined): Promise<void> {
  // SIGINT is PostgreSQL's fast shutdown.
  if (started && (await postgresRuns(dir, started))) await endProcess(started.pid, 'SIGINT', STOP_LIMIT)
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

function otherUser(dir: string, title: string): RefusedError {
  return new RefusedError({
    code: 'sandbox-of-another-user',
    message: `The sandbox in ${dir} was made by another user.`,
    cause: `Its PostgreSQL runs ${title}.`,
    next: 'Run the command as that user, or choose another folder.',
  })
}
