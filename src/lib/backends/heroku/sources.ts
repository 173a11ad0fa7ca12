import type { Sources, SourcesWanted } from '../release-build.js'
import { named, ownCommits } from './own-commits.js'
import { contains, type Known, knownOf, made, type Origins, refuseForeign } from './sources-known.js'
import { combined } from './sources-merged.js'
import { sourcesOfRef } from './sources-of-ref.js'
import { rebased } from './sources-rebased.js'

/** Mastodon's own repository. */
export const UPSTREAM = 'https://github.com/mastodon/mastodon.git'

/**
 * Makes the sources of a release ready in a checkout of this tool's own: the app's code with what lies between the two
 * releases, as one commit on top of what the app's repository holds, so that nothing has to be forced.
 *
 * Told by the releases' own trees: two stable branches have changed the same lines, which a plain merge would call
 * conflicts.
 */
export async function preparedSources(origins: Origins, wanted: SourcesWanted): Promise<Sources> {
  const known = await knownOf(origins, wanted)
  if (wanted.ref !== undefined) return sourcesOfRef(known, wanted.ref)
  if (wanted.rebase) return rebased(known)
  if (wanted.discard) return discarding(known)
  await refuseForeign(known)
  const own = await ownCommits(known.git, known.base)
  const commit = await combined(known, own)
  return { commit, head: known.head ?? null, branch: known.branch, own: named(own), discards: false, forced: false }
}

/** The release as it is, on top of nothing; a commit more where that is what the app's repository holds already. */
async function discarding(known: Known): Promise<Sources> {
  const { git, head, branch, base, target } = known
  const onTop = head !== undefined && (await contains(git, head, target))
  const commit = onTop ? await made(known, `${target}^{tree}`, [head]) : target
  const forced = head !== undefined && !(await contains(git, commit, head))
  const own = named(await ownCommits(git, base))
  return { commit, head: head ?? null, branch, own, discards: true, forced }
}
