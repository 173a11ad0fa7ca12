import { homedir } from 'node:os'
import { join } from 'node:path'

/** Returns the folder that holds what this tool remembers: `$XDG_STATE_HOME/mstdn-ops`, or `~/.local/state/mstdn-ops`. */
export function stateDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'mstdn-ops')
}

/** Returns the folder of the user's configuration: `$XDG_CONFIG_HOME/mstdn-ops`, or `~/.config/mstdn-ops`. */
export function configDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'mstdn-ops')
}

/** Returns the folder of one instance's runs. */
export function runsDir(instance: string, env: NodeJS.ProcessEnv = process.env): string {
  return join(stateDir(env), folderName(instance), 'runs')
}

/** Returns the folder of an instance's backups: in `$XDG_DATA_HOME/mstdn-ops`, or in `~/.local/share/mstdn-ops`. */
export function backupsDir(instance: string, env: NodeJS.ProcessEnv = process.env): string {
  const data = env.XDG_DATA_HOME || join(homedir(), '.local', 'share')
  return join(data, 'mstdn-ops', folderName(instance), 'backups')
}

function folderName(instance: string): string {
  return instance.replaceAll(/[^A-Za-z0-9._-]/g, '_')
}

/** Returns the folder of what can be asked for again: `$XDG_CACHE_HOME/mstdn-ops`, or `~/.cache/mstdn-ops`. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mstdn-ops')
}
