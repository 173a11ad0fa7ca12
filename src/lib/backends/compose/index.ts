import type { Instance } from '../../instance.js'
import type { Backend } from '../backend.js'
import { DockerWords, findClient, readOrRefuse } from './client.js'
import { ComposeConfig } from './config.js'
import { ComposeOneOff } from './one-off.js'
import type { ComposeOptions, ComposeParts } from './options.js'
import { ComposePostgres } from './postgres.js'
import { findProject } from './project.js'
import { ComposeRedis } from './redis.js'
import { Stack } from './stack.js'

export { detectCompose } from './detect.js'
export type { ComposeOptions, ComposeParts } from './options.js'

/** Returns the compose backend of a configured instance. */
export function openCompose(instance: Instance, parts: ComposeParts): Promise<Backend> {
  const { dockerContext: context, ...options } = instance
  return composeBackend({ ...options, ...(context === undefined ? {} : { context }) }, parts)
}

/**
 * Returns the backend of a Mastodon on docker compose.
 *
 * @throws RefusedError when the client is missing or version 1, the engine is away, or the project is not found.
 */
export async function composeBackend(options: ComposeOptions, parts: ComposeParts): Promise<Backend> {
  const words = new DockerWords(options, await findClient(parts.runner))
  const stack = new Stack(await findProject(options, words, parts.runner), parts, options.roles)
  const environment = () => config.running()
  const postgres = new ComposePostgres(stack, environment)
  const redis = new ComposeRedis(stack, environment)
  const config = new ComposeConfig(stack, () => {
    stack.configuration.forget()
    postgres.forget()
    redis.forget()
  })
  const service = await learn(stack, [postgres, redis])
  return {
    kind: 'compose',
    title: `compose project ${stack.project.name} in ${stack.project.identity.dir}`,
    name: stack.project.name,
    preflight: () => preflight(stack),
    oneOff: new ComposeOneOff(stack, service),
    config,
    postgres,
    redis,
    close: async () => undefined,
  }
}

/** Learns the names that are shown to the operator; what cannot be learnt is refused where it is needed. */
async function learn(stack: Stack, places: readonly { locate(): Promise<unknown> }[]): Promise<string | undefined> {
  const service = await stack.appService().catch(() => undefined)
  if (service !== undefined) for (const place of places) await place.locate().catch(() => undefined)
  return service
}

async function preflight(stack: Stack): Promise<void> {
  const { project, parts } = stack
  await readOrRefuse(
    parts.runner,
    project.docker(['version', '--format', '{{.Server.Version}}'], { timeoutMs: 20_000 }),
    'Asking the engine',
  )
  await stack.appService()
}
