import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../../support/cli.js'
import type { Stack } from './bed/bed.js'
import { finish, must } from './bed/process.js'

const PID_FILE = join(process.env.MSTDN_OPS_ENGINE_STATE ?? '/var/tmp/mstdn-ops-engine', 'dockerd.pid')

/**
 * Ends the tool, the engine, what it started and the stack's containers by force, all at once, and starts the engine
 * again, as after a loss of power. Other stacks of the engine go on or start again by their restart policy.
 */
export async function powerLost(stack: Stack, tool: number): Promise<void> {
  const engine = Number(readFileSync(PID_FILE, 'utf8'))
  const ids = (
    await must('docker', ['ps', '-q', '--filter', `label=com.docker.compose.project=${stack.projectName}`])
  ).split('\n')
  // One of them may go meanwhile, which counts as a failure: the others are told all the same.
  const { stdout: containers } = await finish('docker', ['inspect', '--format', '{{.State.Pid}}', ...ids])
  const { stdout: children } = await finish('pgrep', ['-P', String(engine)])
  const pids = `${children}\n${containers}`.split('\n').map(Number).filter(Boolean)
  for (const pid of [tool, engine, ...pids]) kill(pid)
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
