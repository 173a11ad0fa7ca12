import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeSynced } from '../../atomic-file.js'
import type { Effect } from '../../runner.js'
import type { ReleasePart } from '../backend.js'
import { randomNonce } from '../nonce.js'
import type { ComposeProject } from './project.js'
import type { Stack } from './stack.js'

/**
 * Stands in the project's folder while a process of another release is started: compose may read nowhere else. Each use
 * has a file of its own, for a dry run takes no lock.
 */
const NAME = /^\.mstdn-ops-release-[\w-]+\.yml$/

/**
 * Calls `use` with the project as it would be with other images: a file that overrides them stands beside the others
 * meanwhile. What `use` starts keeps its image when the file is gone.
 */
export async function withImages<T>(
  stack: Stack,
  { parts, effect }: { parts: readonly ReleasePart[]; effect: Effect },
  use: (project: ComposeProject) => Promise<T>,
): Promise<T> {
  if (parts.length === 0) return use(stack.project)
  const services = Object.fromEntries(parts.map(({ name, to }) => [name, { image: to }]))
  return withServices(stack, { services, effect }, use)
}

/** Does the same with whatever the services are to say. */
export async function withServices<T>(
  stack: Stack,
  { services, effect }: { services: Readonly<Record<string, object>>; effect: Effect },
  use: (project: ComposeProject) => Promise<T>,
): Promise<T> {
  const path = overridePath(stack)
  const project = stack.project.withOverride(path)
  if (stack.parts.runner.dryRun && effect === 'write') return use(project)
  // JSON is YAML.
  await writeSynced(path, `${JSON.stringify({ services })}\n`)
  try {
    return await use(project)
  } finally {
    await rm(path, { force: true })
  }
}

/** Removes what runs that were killed have left; under the lock. */
export async function clearOverride(stack: Stack): Promise<void> {
  if (stack.parts.runner.dryRun) return
  const { dir } = stack.project.identity
  const left = (await readdir(dir).catch(() => [])).filter(name => NAME.test(name))
  for (const name of left) await rm(join(dir, name), { force: true })
}

function overridePath({ project, parts }: Stack): string {
  return join(project.identity.dir, `.mstdn-ops-release-${(parts.nonce ?? randomNonce)()}.yml`)
}
