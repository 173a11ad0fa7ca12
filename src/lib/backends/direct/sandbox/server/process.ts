import { readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds between two looks at a server that starts or stops. */
const POLL = 10

/** Asks again and again until the answer is defined, and returns it; undefined when the time is up. */
export async function poll<T>(milliseconds: number, ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const end = performance.now() + milliseconds
  for (;;) {
    const answer = await ask()
    if (answer !== undefined || performance.now() > end) return answer
    await sleep(POLL)
  }
}

/** Whether the process runs; one that has ended and that nobody has waited for does not. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat !== undefined && !/\) [ZX] /.test(stat)
}

/**
 * Whether the process with that id is still the one that works in the folder: process ids are used again, and both
 * servers make their data folder their working directory.
 */
export async function worksIn(pid: number, folder: string): Promise<boolean> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
  return cwd === folder && (await isAlive(pid))
}

/** Sends the signal and waits for the end; kills when the time is up. Returns whether it had to be killed. */
export async function endProcess(pid: number, signal: NodeJS.Signals, milliseconds: number): Promise<boolean> {
  if (!send(pid, signal)) return false
  if (await poll(milliseconds, () => endedOrUndefined(pid))) return false
  send(pid, 'SIGKILL')
  await poll(milliseconds, () => endedOrUndefined(pid))
  return true
}

async function endedOrUndefined(pid: number): Promise<true | undefined> {
  return (await isAlive(pid)) ? undefined : true
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Returns the wanted port of the loopback interface, or another one where that is 0 or taken. */
export async function freePort(wanted = 0): Promise<number> {
  return (await probePort(wanted)) ?? (await probePort(0)) ?? 0
}

function probePort(wanted: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(undefined))
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
