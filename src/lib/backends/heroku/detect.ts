import type { Instance } from '../../instance.js'
import { programIsMissing, type Runner } from '../../runner.js'

/**
 * Returns the app that the shell or the folder means: HEROKU_APP, else the git remote `heroku`, as the CLI itself has
 * it, but the remote first in a folder that was asked for; undefined where neither says.
 */
export async function detectApp(instance: Instance, runner: Runner): Promise<string | undefined> {
  const { ambient, projectDir, projectDirGiven } = instance
  if (ambient.herokuApp !== undefined && !projectDirGiven) return ambient.herokuApp
  return (await appOfRemote(projectDir, runner)) ?? ambient.herokuApp
}

/** Returns the app of the folder's git remote `heroku`; undefined where there is none, or no git. */
export async function appOfRemote(folder: string, runner: Runner): Promise<string | undefined> {
  const args = ['-C', folder, 'config', '--get', 'remote.heroku.url']
  const outcome = await runner.run({ file: 'git', args, effect: 'read', timeoutMs: 10_000 }).catch((error: unknown) => {
    if (programIsMissing(error)) return undefined
    throw error
  })
  return outcome === undefined ? undefined : appOfUrl(outcome.stdout.trim())
}

/** Returns the app of `https://git.heroku.com/APP.git` or `git@heroku.com:APP.git`. */
export function appOfUrl(url: string): string | undefined {
  return /^(?:https:\/\/git\.heroku\.com\/|(?:ssh:\/\/)?git@heroku\.com[:/])([a-z][a-z0-9-]*)(?:\.git)?\/?$/.exec(
    url,
  )?.[1]
}
