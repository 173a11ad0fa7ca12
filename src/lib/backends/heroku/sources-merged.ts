import { plural } from '../../text.js'
import type { OwnCommit } from '../release-build.js'
import { contains, type Known, made } from './sources-known.js'
import { conflict } from './sources-refusals.js'

/** Returns the commit that holds both, on top of what the app's repository holds. */
export async function combined(known: Known, own: readonly OwnCommit[]): Promise<string> {
  const { git, base, head, target } = known
  const isMerged = await contains(git, base, target)
  const follows = head === undefined || (base !== head && (await contains(git, base, head)))
  if (isMerged && follows) return base
  const tree = isMerged ? `${base}^{tree}` : await mergedTree(known, own)
  const parents = [...(head === undefined ? [] : [head]), base, target]
  return made(known, tree, parents)
}

/** Takes what lies between the two releases over to the app's code. */
export async function mergedTree(known: Known, own: readonly OwnCommit[]): Promise<string> {
  const { git, base, former, target, onProgress } = known
  if (own.length === 0 && base === former) return `${target}^{tree}`
  onProgress(`${plural(own.length, 'commit')} of your own with the release`)
  await git.run(['cherry-pick', '--quit'])
  await git.must(['checkout', '--quiet', '--force', '--detach', base])
  await git.must(['clean', '--quiet', '-ffdx'])
  const step = await git.must(['commit-tree', `${target}^{tree}`, '-p', former, '-m', 'between'])
  const outcome = await git.run(['cherry-pick', '--no-commit', step])
  if (outcome.exitCode === 0) return git.must(['write-tree'])
  const files = await git.must(['diff', '--name-only', '--diff-filter=U'])
  await git.must(['reset', '--quiet', '--hard', base])
  throw conflict(known, own, files)
}
