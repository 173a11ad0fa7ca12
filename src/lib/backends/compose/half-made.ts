import { setTimeout as sleep } from 'node:timers/promises'
import type { Container } from './containers.js'
import type { Stack } from './stack.js'

const REMOVAL_LIMIT_MS = 30_000
const PAUSE_MS = 250

/**
 * Removes what a `compose up` that was killed in the middle of recreating leaves: beside a container its successor,
 * made but never started, under the name `<id of the former>_<name>`. Compose counts both as the service's and trips
 * over their names (2.26). A successor whose former is gone stays: `up` goes on from it, with the former's volumes.
 */
export async function clearHalfMade(stack: Stack): Promise<void> {
  if (stack.parts.runner.dryRun) return
  const halfMade = halfMadeAmong(await afterRemovals(stack))
  if (halfMade.length === 0) return
  const names = halfMade.map(container => container.name)
  const byHand = `docker rm ${names.join(' ')}`
  await stack.parts.runner.run(stack.project.docker(['rm', '-f', ...names], { effect: 'write', byHand }))
}

/** Returns the containers once none is about to be removed any more; after 30 s as they are. */
async function afterRemovals(stack: Stack): Promise<Container[]> {
  const deadline = Date.now() + REMOVAL_LIMIT_MS
  for (;;) {
    const containers = await stack.containers()
    if (Date.now() > deadline || !containers.some(container => container.status === 'removing')) return containers
    await sleep(PAUSE_MS)
  }
}

/** Returns the successors that were made and never started, while the containers they were to replace still exist. */
export function halfMadeAmong(containers: readonly Container[]): Container[] {
  const successors = new Set(containers.map(({ id, name }) => `${id.slice(0, 12)}_${name}`))
  return containers.filter(({ name, status }) => status === 'created' && successors.has(name))
}
