import { isRecord } from '../../backends/json.js'
import { RefusedError } from '../../errors.js'

export const FORMAT = 1
/** The first file of the archive, which says all that is in it. */
export const ABOUT = 'about.json'

/** A file of the configuration, as it lies in the archive. */
export interface KeptFile {
  /** Where it was. */
  path: string
  /** Inside of the archive. */
  name: string
  bytes: number
  sha256: string
}

/** A configuration that was kept. With the secrets in it: never shown. */
export interface KeptConfiguration {
  format: typeof FORMAT
  /** The version of mstdn-ops that made it. */
  tool: string
  /** ISO 8601. */
  madeAt: string
  instance: { name: string; title: string; domain: string }
  /** The version of Mastodon. */
  mastodon: string
  /** Where the variables were kept, for people. */
  where: string
  /** The operator's own, by name. */
  variables: Record<string, string>
  files: KeptFile[]
}

/** Returns what the text says. @throws RefusedError for what is none, or of a newer version of the tool. */
export function aboutIn(text: string, path: string): KeptConfiguration {
  const value = parsed(text)
  if (!isRecord(value) || typeof value.format !== 'number') throw noConfiguration(path, 'It does not say what it is.')
  if (value.format > FORMAT) throw tooNew(path)
  const { variables, files, instance } = value
  const isWhole = isRecord(variables) && Object.entries(variables).every(isVariable)
  if (!isWhole || !Array.isArray(files) || !isRecord(instance)) throw noConfiguration(path, 'It is not whole.')
  return value as unknown as KeptConfiguration
}

/** Anybody can encrypt to a recipient: names come into sentences. */
function isVariable([name, value]: [string, unknown]): boolean {
  return /^[\w.-]+$/.test(name) && typeof value === 'string'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function noConfiguration(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'no-configuration',
    message: `${path} is no backup of a configuration.`,
    cause,
    next: 'Name a file that mstdn-ops config:backup has written.',
  })
}

function tooNew(path: string): RefusedError {
  return new RefusedError({
    code: 'configuration-too-new',
    message: `${path} was made by a newer mstdn-ops.`,
    next: 'Update mstdn-ops, then run the command again.',
  })
}
