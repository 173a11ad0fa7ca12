import { RefusedError } from '../../errors.js'
import { plural } from '../../text.js'
import type { OwnCommit, Sources } from '../release-build.js'
import type { Git } from './git.js'
import { lackingIn, named, ownCommits, REBASED } from './own-commits.js'
import { commitOf, contains, type Known, made, refuseForeign } from './sources-known.js'
import { mergedTree } from './sources-merged.js'
import { copiesMissing, rebaseConflict } from './sources-refusals.js'

/**
 * The operator's commits, one by one, on top of the release. What the app's repository holds is no part of that history:
 * one more commit with the same files joins both, so that nothing has to be forced. Where the former history is to go
 * (`discard`), there is none.
 */
export async function rebased(known: Known): Promise<Sources> {
  const { git, head, branch, base, target, wanted } = known
  const tip = (await contains(git, base, target)) ? await byHand(known) : await replayed(known)
  const own = named(await ownCommits(git, tip))
  const follows = head === undefined || (await contains(git, tip, head))
  const commit = follows || wanted.discard ? tip : await made(known, `${tip}^{tree}`, [head, tip], REBASED)
  return { commit, head: head ?? null, branch, own, discards: false, forced: !follows && wanted.discard }
}

/** The operator has rebased them: every one of them has to be there, for what runs lies in another history. */
async function byHand(known: Known): Promise<string> {
  const { git, base, deployed, head } = known
  const running = (await commitOf(git, deployed)) ?? head
  const missing = running === undefined ? [] : await lackingIn(git, base, running)
  if (missing.length > 0) throw copiesMissing(known, missing)
  return base
}

/** @throws RefusedError where one of them conflicts with the release or with those before it. */
async function replayed(known: Known): Promise<string> {
  const { git, base, target, onProgress } = known
  await refuseForeign(known)
  const own = (await ownCommits(git, base)).reverse()
  onProgress(`${plural(own.length, 'commit')} of your own on top of the release`)
  await git.run(['cherry-pick', '--quit'])
  await git.must(['checkout', '--quiet', '--force', '--detach', target])
  await git.must(['clean', '--quiet', '-ffdx'])
  for (const commit of own) await copy(known, commit, own)
  const tip = await git.must(['rev-parse', '--verify', 'HEAD'])
  await tellDifference(known, own, tip)
  return tip
}

/** The author and his date stay; the date of the copy is the release's, so that the same sources give the same commit. */
async function copy(known: Known, commit: OwnCommit, all: readonly OwnCommit[]): Promise<void> {
  const { git, target } = known
  const picked = await git.run(['cherry-pick', '--no-commit', commit.id])
  if (picked.exitCode !== 0) {
    const files = await git.must(['diff', '--name-only', '--diff-filter=U'])
    await git.must(['reset', '--quiet', '--hard', target])
    throw rebaseConflict(known, { commit, all, files })
  }
  if (await git.succeeds(['diff', '--cached', '--quiet'])) return
  const date = await git.must(['show', '--no-patch', '--format=%cI', target])
  const words = ['commit', '--quiet', '--no-verify', '--allow-empty-message', '--reuse-message', commit.id]
  await git.must(words, { env: { GIT_COMMITTER_DATE: date } })
}

/** What was done in merges alone is no commit that could be rebased. */
async function tellDifference(known: Known, own: readonly OwnCommit[], tip: string): Promise<void> {
  const { git, onProgress } = known
  const merged = await mergedTree({ ...known, onProgress: () => undefined }, own).catch(orConflict)
  if (merged === undefined) return
  const files = await differing(git, merged, tip)
  if (files.length === 0) return
  onProgress(`A merge would give other lines in these files, as of what was done in merges alone: ${files.join(', ')}`)
}

function orConflict(error: unknown): undefined {
  if (error instanceof RefusedError && error.code === 'commits-conflict') return undefined
  throw error
}

async function differing(git: Git, merged: string, tip: string): Promise<string[]> {
  return (await git.must(['diff', '--name-only', merged, `${tip}^{tree}`])).split('\n').filter(Boolean)
}
