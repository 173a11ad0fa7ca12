import type { AppProcess, Role } from '../backends/backend.js'
import type { Toolbox } from '../toolbox.js'
import { bad, type Finding } from './check.js'

/** Several checks look at the same moment: one list serves them. */
const lists = new WeakMap<Toolbox, Promise<AppProcess[]>>()

/** Returns the processes of a role; undefined where the backend cannot list any. */
export async function processesOf(toolbox: Toolbox, role: Role): Promise<AppProcess[] | undefined> {
  const { processes } = toolbox.backend
  if (processes === undefined) return undefined
  const list = lists.get(toolbox) ?? processes.list()
  lists.set(toolbox, list)
  return (await list).filter(process => process.role === role)
}

/** Returns what is wrong with the processes of a role, if none runs or one is unhealthy. */
export function processProblem(role: Role, processes: readonly AppProcess[]): Finding | undefined {
  const fix = `mstdn-ops logs --role ${role}, then mstdn-ops restart --role ${role}`
  const ill = processes.filter(process => process.health === 'unhealthy' || process.state === 'restarting')
  const names = ill.map(process => process.name).join(', ')
  if (ill.some(process => process.state === 'restarting')) return bad(`${names}: restarts again and again.`, fix)
  if (!processes.some(process => process.state === 'running')) return bad(`No ${role} process runs.`, fix)
  return ill.length === 0 ? undefined : bad(`${names}: unhealthy.`, fix)
}
