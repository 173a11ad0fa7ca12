import type { Instance } from '../../instance.js'
import type { Backend } from '../backend.js'
import { ComposeApart } from './apart.js'
import { DockerWords, findClient } from './client.js'
import { ComposeConfig } from './config.js'
import type { Container } from './containers.js'
import { ComposeFiles } from './files.js'
import { ComposeLogs } from './logs.js'
import { ComposeFounding } from './new-project/founding.js'
import { ComposeOneOff } from './one-off.js'
import type { ComposeOptions, ComposeParts } from './options.js'
import { ComposePostgres } from './postgres.js'
import { ComposeProcesses } from './processes.js'
import { type ComposeProject, findOrNewProject, findProject } from './project.js'
import type { AppEnvironment } from './reach.js'
import { ComposeRedis } from './redis.js'
import { ComposeReleaseChange } from './release-change.js'
import { ComposeReleases } from './releases.js'
import { Stack } from './stack.js'
import { ComposeStorage } from './storage.js'

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
  return backendOf(await findProject(options, words, parts.runner), options, parts)
}

/**
 * Returns the backend of a project that may not be there yet.
 *
 * @throws RefusedError when the client is missing or version 1, the engine is away, or what is there cannot be read.
 */
export async function openNewCompose(instance: Instance, parts: ComposeParts): Promise<Backend> {
  const { dockerContext: context, ...rest } = instance
  const options: ComposeOptions = { ...rest, ...(context === undefined ? {} : { context }) }
  const words = new DockerWords(options, await findClient(parts.runner))
  const project = await findOrNewProject(options, words, parts.runner)
  const backend = await backendOf(project, options, parts)
  // Before the files are written there is no server that could be asked for a lock.
  const get = () => (project.isWritten ? backend.postgres : undefined)
  return Object.defineProperty({ ...backend, preflight: async () => undefined }, 'postgres', { get, enumerable: true })
}

async function backendOf(project: ComposeProject, options: ComposeOptions, parts: ComposeParts): Promise<Backend> {
  const stack = new Stack(project, parts, options.roles)
  const environment: AppEnvironment = known => config.running(known)
  const postgres = new ComposePostgres(stack, environment)
  const redis = new ComposeRedis(stack, environment)
  const changed = () => {
    stack.configuration.forget()
    postgres.forget()
    redis.forget()
  }
  const config = new ComposeConfig(stack, changed)
  const processes = new ComposeProcesses(stack, changed)
  const change = new ComposeReleaseChange(stack, processes, changed)
  const { service, problem } = await learn(stack, [postgres, redis])
  return {
    kind: 'compose',
    title: `compose project ${stack.project.name} in ${stack.project.identity.dir}`,
    name: stack.project.name,
    preflight: async () => {
      if (problem !== undefined) throw problem
    },
    oneOff: new ComposeOneOff(stack, service, change),
    processes,
    releases: new ComposeReleases(stack, change),
    config,
    logs: new ComposeLogs(stack),
    files: new ComposeFiles(stack),
    storage: new ComposeStorage(stack),
    postgres,
    redis,
    apart: new ComposeApart(stack, environment, change),
    founding: new ComposeFounding(stack, changed),
    close: async () => undefined,
  }
}

interface Place {
  locate(known: readonly Container[]): Promise<unknown>
}

/**
 * Lists the containers, which shows that the engine answers, and learns the names that are shown to the operator. What
 * is wrong with the project is kept for the preflight; what cannot be located is refused where it is needed.
 */
async function learn(stack: Stack, places: readonly Place[]): Promise<{ service?: string; problem?: unknown }> {
  const containers = await stack.containers()
  try {
    const service = await stack.appService(containers)
    for (const place of places) await place.locate(containers).catch(() => undefined)
    return { service }
  } catch (problem) {
    return { problem }
  }
}
