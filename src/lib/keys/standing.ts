import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError, UsageError } from '../errors.js'
import { resolveInstance } from '../instance.js'
import type { Standing } from '../mastodon/new-secrets.js'
import { secretsOf } from '../mastodon/secrets.js'
import { MastodonVersion } from '../mastodon/version.js'
import { configOf } from '../runbooks/config/change.js'
import type { Toolbox } from '../toolbox.js'

/** The file that Mastodon's own set-up writes, beside the code. */
const ENV_FILE = '.env.production'

/** Returns what the instance has, as it is stored and as what runs sees it. */
export async function standingOf(toolbox: Toolbox): Promise<Standing> {
  const config = configOf(toolbox)
  return { stored: await config.stored(), running: await config.running() }
}

/** Returns what the env file of a folder without an instance holds: nothing in it may be set a second time. */
async function standingIn(dir: string): Promise<Standing> {
  const { variablesIn } = await import('../backends/compose/env-variables.js')
  const text = await readFile(join(dir, ENV_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw new UsageError({
      code: 'env-file-unreadable',
      message: `${join(dir, ENV_FILE)} cannot be read.`,
      cause: `${error.message}. What it sets must not be set a second time.`,
      next: 'Run the command as a user who may read it, or in another folder.',
    })
  })
  return { stored: variablesIn(text), running: new Map() }
}

/** Returns the release that is meant. @throws UsageError for what is none, or is older than 1.3.0. */
export function releaseNamed(text: string): MastodonVersion {
  const version = MastodonVersion.parse(text)
  if (version !== undefined && secretsOf(version).length > 0) return version
  throw new UsageError({
    code: 'bad-version',
    message: `"${text}" is no release of Mastodon from 1.3.0 on.`,
    next: 'Give one like 4.5.3. Newer releases: mstdn-ops upgrade --check',
  })
}

/** What the secrets are for, and what stands already. */
export interface Found {
  version: MastodonVersion
  standing: Standing
  /** Whether there is an instance. */
  instance: boolean
}

/**
 * Returns what the instance has; where there is none and none was named, what the env file of this folder holds.
 *
 * @throws UsageError where no instance tells the release, and none was named.
 */
export async function lookFor(
  open: () => Promise<Toolbox>,
  named: MastodonVersion | undefined,
  dir: string | undefined,
): Promise<Found> {
  try {
    const toolbox = await open()
    const standing = await standingOf(toolbox)
    return { version: named ?? (await toolbox.app.version()), standing, instance: true }
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== 'no-instance-found') throw error
    const { projectDirGiven, projectDir } = await resolveInstance(dir === undefined ? {} : { projectDir: dir })
    // Whoever names one means one: all secrets anew would take the place of those that it has.
    if (projectDirGiven) throw error
    if (named === undefined) throw versionMissing(error)
    return { version: named, standing: await standingIn(projectDir), instance: false }
  }
}

function versionMissing(error: OperatorError): UsageError {
  return new UsageError({
    code: 'version-missing',
    message: 'Missing: --for VERSION, the release that needs the secrets.',
    cause: `${error.message} So no release can be asked.`,
    next: 'mstdn-ops keys:secrets --for 4.5.3',
  })
}
