import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { root } from '../../support/cli.js'
import type { Stack } from './bed/bed.js'
import { finish, must } from './bed/process.js'

const PID_FILE = join(process.env.MSTDN_OPS_ENGINE_STATE ?? '/var/tmp/mstdn-ops-engine', 'dockerd.pid')

/** What the engine knows of running containers, which a boot begins without (20.10 trips over it). */
const GONE_AT_BOOT = ['/run/docker/containerd', '/run/docker/runtime-runc']

/**
 * Ends the tool, the engine, what it started and the stack's containers by force, all at once, and starts the engine
 * again, as after a loss of power. Only for an engine of one's own: other stacks of it would go on without it.
 */
export async function powerLost(stack: Stack, tool: number): Promise<void> {
  const engine = Number(readFileSync(PID_FILE, 'utf8'))
  const ids = (
    await must('docker', ['ps', '-q', '--filter', `label=com.docker.compose.project=${stack.projectName}`])
  ).split('\n')
  // One of them may go meanwhile, which counts as a failure: the others are told all the same.
  const { stdout: containers } = await finish('docker', ['inspect', '--format', '{{.State.Pid}}', ...ids])
  const { stdout: children } = await finish('pgrep', ['-P', String(engine)])
  const pidsIn = (text: string) => text.split('\n').map(Number).filter(Boolean)
  const shims = pidsIn(containers).map(parentOf)
  for (const pid of [tool, engine, ...pidsIn(children), ...shims, ...pidsIn(containers)]) kill(pid)
  while (isAlive(engine)) await sleep(50)
  for (const folder of GONE_AT_BOOT) rmSync(folder, { recursive: true, force: true })
  await must(join(root, 'scripts/engine'), ['up'])
}

/** One that has gone already is what was wanted. */
function kill(pid: number): void {
  if (pid <= 1) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {}
}

/** Returns the process that holds a container for the engine; 0 where both have gone. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'dockerd'
  } catch {
    return false
  }
}
