import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { OperatorError } from '../../errors.js'
import { DockerWords, findClient } from './client.js'
import { Configuration } from './configuration.js'
import type { ComposeOptions, ComposeParts } from './options.js'
import { chooseLabelled, findProject, labelledProjects, realFolder } from './project.js'
import { isMastodonImage, rolesOf, type ServiceShape } from './roles.js'

/**
 * Returns how to open the compose project of a Mastodon that belongs to the folder: by the labels of its containers,
 * else by its configuration; undefined where there is none.
 *
 * @throws RefusedError when there is a compose file, and Docker or compose is missing, too old or away.
 */
export async function detectCompose(dir: string, parts: ComposeParts): Promise<ComposeOptions | undefined> {
  if (!existsSync(dir)) return undefined
  try {
    const words = new DockerWords({}, await findClient(parts.runner))
    return (await detectRunning(dir, words, parts)) ?? (await detectConfigured(dir, words, parts))
  } catch (error) {
    if (error instanceof OperatorError && !hasComposeFile(dir)) return undefined
    throw error
  }
}

/** With a compose file at hand the reason why it could not be asked is the answer, not that there is no Mastodon. */
function hasComposeFile(dir: string): boolean {
  const names = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']
  return process.env.COMPOSE_FILE !== undefined || names.some(name => existsSync(join(dir, name)))
}

async function detectRunning(
  dir: string,
  words: DockerWords,
  parts: ComposeParts,
): Promise<ComposeOptions | undefined> {
  const projects = await labelledProjects(words, parts.runner).catch(() => [])
  const project = chooseLabelled(projects, realFolder(dir))
  return project?.hasMastodon ? { projectDir: dir, projectName: project.name } : undefined
}

async function detectConfigured(
  dir: string,
  words: DockerWords,
  parts: ComposeParts,
): Promise<ComposeOptions | undefined> {
  const project = await findProject({ projectDir: dir }, words, parts.runner, [])
  const services = await new Configuration(project, parts.runner).services()
  return isMastodon(services) ? { projectDir: dir } : undefined
}

/** An image of the operator's own build shows by its processes: both web and Sidekiq. */
function isMastodon(services: readonly ServiceShape[]): boolean {
  const roles = rolesOf(services)
  return services.some(service => isMastodonImage(service.image)) || (roles.web.length > 0 && roles.sidekiq.length > 0)
}
