import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../errors.js'
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
export async function standingIn(dir: string): Promise<Standing> {
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
