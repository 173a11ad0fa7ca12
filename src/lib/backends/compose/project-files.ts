import { existsSync, readFileSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { variablesIn } from './env-variables.js'
import type { Identity } from './project.js'

/** Names that compose finds by itself, in its order of preference. */
export const DEFAULT_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']
export const OVERRIDE_FILES = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

/** Returns the compose files that compose reads for the project, in its order. */
export function composeFilesOf({ dir, files, envFiles }: Pick<Identity, 'dir' | 'files' | 'envFiles'>): string[] {
  if (files.length > 0) return [...files]
  const named = filesInEnv(envFilesOf({ dir, envFiles }))
  if (named.length > 0) return named.map(file => resolve(dir, file))
  const first = (names: readonly string[]) => names.map(name => resolve(dir, name)).find(file => existsSync(file))
  return [first(DEFAULT_FILES), first(OVERRIDE_FILES)].filter(file => file !== undefined)
}

/** Returns the env files for compose's own variables, the strongest last. */
export function envFilesOf({ dir, envFiles }: Pick<Identity, 'dir' | 'envFiles'>): string[] {
  return envFiles.length > 0 ? envFiles.map(file => resolve(dir, file)) : [resolve(dir, '.env')]
}

function filesInEnv(envFiles: readonly string[]): string[] {
  const texts = envFiles.filter(file => existsSync(file)).map(file => readFileSync(file, 'utf8'))
  const variables = new Map(texts.flatMap(text => [...variablesIn(text)]))
  const separator = variables.get('COMPOSE_PATH_SEPARATOR') || delimiter
  return (variables.get('COMPOSE_FILE') ?? '').split(separator).filter(Boolean)
}
