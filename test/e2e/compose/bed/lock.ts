import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** Runs `work` while no other process of this machine is inside the lock of the same name. A dead holder's lock is taken over. */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = join(tmpdir(), `${name}.lock`)
  while (!(await take(file))) await pause(300)
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

async function take(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    if (!(await holderLives(file))) await rm(file, { force: true })
    return false
  }
}

async function holderLives(file: string): Promise<boolean> {
  const pid = Number(await readFile(file, 'utf8').catch(() => ''))
  // 0 is a lock that was made this moment and not yet written.
  return pid === 0 || isAlive(pid)
}

/** True while a process of this number runs on this machine. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
