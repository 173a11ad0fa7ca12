import type { Toolbox } from '../../toolbox.js'

export interface Mount {
  path: string
  /** The file system: `tmpfs` is gone with the process. */
  type: string
}

/** What a process of the app sees of its own file system. */
export interface AppFiles {
  /** The root of the app, with symbolic links followed. */
  root: string
  mounts: readonly Mount[]
}

/**
 * Returns where the app stands and what is mounted there, read in a running process of it.
 *
 * @throws RefusedError without a one-off facet.
 */
export async function readAppFiles(toolbox: Toolbox): Promise<AppFiles> {
  const argv = ['sh', '-c', 'pwd -P; cat /proc/mounts']
  const { stdout } = await toolbox.app.oneOff().run({ argv, effect: 'read' })
  const [root = '/', ...lines] = stdout.split('\n')
  return { root, mounts: mountsIn(lines.join('\n')) }
}

/** Returns the mounts of /proc/mounts, whose paths write spaces and the like as octal numbers (proc(5)). */
export function mountsIn(table: string): Mount[] {
  const rows = table.split('\n').map(line => line.split(' '))
  return rows.flatMap(([, path, type]) =>
    path === undefined || type === undefined ? [] : [{ path: plain(path), type }],
  )
}

function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** Whether what is written to the path stays when the container is made anew. */
export function isKept(path: string, mounts: readonly Mount[]): boolean {
  const above = mounts.filter(mount => mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`))
  const nearest = above.sort((a, b) => b.path.length - a.path.length)[0]
  return nearest !== undefined && nearest.path !== '/' && nearest.type !== 'tmpfs'
}
