import { RefusedError, UsageError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Toolbox } from '../../toolbox.js'
import { isKept, readAppFiles } from '../assets/mounts.js'

export interface Copy {
  direction: 'in' | 'out'
  local: string
  remote: { place: string; path: string }
}

export interface CopyResult {
  source: string
  target: string
  dryRun: boolean
  /** Whether what was copied in stays when the container is made anew; null when that is not known, or does not matter. */
  kept: boolean | null
  byHand: string[]
}

/** A service or role and an absolute path in it. A path here that looks so is written with `./` in front. */
const REMOTE = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(\/.*)$/

/** Returns the copy that two words mean. @throws UsageError unless one of them, and only one, is a path inside. */
export function parseCopy(source: string, target: string): Copy {
  const from = remoteOf(source)
  const to = remoteOf(target)
  if (from && !to) return { direction: 'out', local: target, remote: from }
  if (to && !from) return { direction: 'in', local: source, remote: to }
  throw new UsageError({
    code: 'bad-copy',
    message: from ? 'Both paths are inside of a container.' : 'None of the two paths is inside of a container.',
    cause: 'One must be inside, like web:/opt/mastodon/public, and the other on this machine.',
    next: 'mstdn-ops cp web:/opt/mastodon/public/robots.txt ./robots.txt',
  })
}

function remoteOf(word: string): Copy['remote'] | undefined {
  const [, place, path] = REMOTE.exec(word) ?? []
  return place === undefined || path === undefined ? undefined : { place, path }
}

/**
 * Copies a file or a folder.
 *
 * @throws RefusedError when this backend cannot, or when there is nothing to copy.
 */
export async function copy(toolbox: Toolbox, { direction, local, remote }: Copy): Promise<CopyResult> {
  const { files } = toolbox.backend
  if (files === undefined)
    throw lacks(toolbox.backend, 'files', 'files to copy', 'Copy them with the tools of that machine.')
  if (direction === 'in') await mustExist(local)
  const kept = direction === 'in' ? await staysThere(toolbox, remote) : null
  await files.copy(direction, local, remote)
  const there = `${remote.place}:${remote.path}`
  const [source, target] = direction === 'in' ? [local, there] : [there, local]
  return { source, target, dryRun: toolbox.dryRun, kept, byHand: toolbox.ledger.byHand() }
}

async function mustExist(local: string): Promise<void> {
  const { access } = await import('node:fs/promises')
  await access(local).catch(error => {
    throw new RefusedError({
      code: 'nothing-to-copy',
      message: `${local} cannot be read.`,
      cause: (error as Error).message,
    })
  })
}

/** Known for the processes of the app; the mounts of others cannot be read from here. */
async function staysThere(toolbox: Toolbox, { place, path }: Copy['remote']): Promise<boolean | null> {
  if (toolbox.backend.oneOff?.losesFiles !== undefined) return false
  const processes = (await toolbox.backend.processes?.list()) ?? []
  if (!processes.some(({ role, name }) => role === 'web' && (role === place || name === place))) return null
  return isKept(path.replace(/\/+$/, ''), (await readAppFiles(toolbox)).mounts)
}
