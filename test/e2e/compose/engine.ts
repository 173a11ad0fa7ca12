import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../../support/cli.js'
import type { Stack } from './bed/bed.js'
import { finish, must } from './bed/process.js'

const PID_FILE = join(process.env.MSTDN_OPS_ENGINE_STATE ?? '/var/tmp/mstdn-ops-engine', 'dockerd.pid')

/**
 * Ends the engine, what it started and the stack's containers by force, all at once, and starts the engine again, as
 * after a loss of power. Other stacks of the engine go on or start again by their restart policy.
 */
export async function engineKilled(stack: Stack): Promise<void> {
  const engine = Number(readFileSync(PID_FILE, 'utf8'))
  const ids = (await stack.containers()).map(({ id }) => id)
  const format = '{{.State.Pid}}'
  const pids = (await must('docker', ['inspect', '--format', format, ...ids])).split('\n').map(Number).filter(Boolean)
  const { stdout: children } = await finish('pgrep', ['-P', String(engine)])
  for (const pid of [engine, ...children.split('\n').map(Number).filter(Boolean), ...pids]) kill(pid)
  while (isAlive(engine)) await sleep(50)
  await must(join(root, 'scripts/engine'), ['up'])
}

/** One that has gone already is what was wanted. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}

function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'dockerd'
  } catch {
    return false
  }
}
