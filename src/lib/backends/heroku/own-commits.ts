import { printableLine } from '../../text.js'
import type { OwnCommit } from '../release-build.js'
import type { Git } from './git.js'

/** Who this tool is as an author: its commits bring others together, and are neither the operator's nor a release's. */
export const TOOL = 'mstdn-ops'
/** In the subject of its commits whose second parent holds the operator's commits rebased. */
export const REBASED = ', rebased'
/** Commits of the operator's own that a plan names. */
export const MOST_NAMED = 200

/** A commit of the operator's own. */
interface Found extends OwnCommit {
  /** What stays the same when it is copied: author, date and subject. */
  mark: string
}

/**
 * Returns the commits that no release has, newest first, merges left out, and those of which there are rebased copies.
 *
 * @param without commits whose history is left out, too
 */
export async function ownCommits(git: Git, tip: string, without: readonly string[] = []): Promise<Found[]> {
  const not = ['--not', '--glob=refs/upstream/v*', ...without]
  const shown = ['--topo-order', '--no-merges', '--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%s']
  const text = await git.must(['log', ...shown, tip, ...not, ...(await replacedIn(git, tip, not))])
  return text
    .split('\n')
    .filter(Boolean)
    .map(found)
    .filter(({ author }) => author !== TOOL)
}

/** Returns what the app's repository held before commits were rebased. */
async function replacedIn(git: Git, tip: string, not: readonly string[]): Promise<string[]> {
  const chosen = ['--merges', '--fixed-strings', `--author=${TOOL}`, `--grep=${REBASED}`]
  const text = await git.must(['log', ...chosen, '--format=%P', tip, ...not])
  return text
    .split('\n')
    .flatMap(line => line.split(' ').slice(0, 1))
    .filter(Boolean)
}

/** Returns the operator's own commits of `former` that `tip` has not, neither as they are nor copied. */
export async function lackingIn(git: Git, tip: string, former: string): Promise<OwnCommit[]> {
  const gone = await ownCommits(git, former, [tip])
  if (gone.length === 0) return []
  const copies = new Set((await ownCommits(git, tip, [former])).map(({ mark }) => mark))
  return gone.filter(({ mark }) => !copies.has(mark))
}

/** Returns the first of them, as a plan names them. */
export function named(commits: readonly OwnCommit[]): OwnCommit[] {
  return commits.slice(0, MOST_NAMED).map(({ id, author, subject }) => ({ id, author, subject }))
}

function found(line: string): Found {
  const [id = '', author = '', mail = '', date = '', ...rest] = line.split('\x1f')
  const subject = rest.join(' ')
  return { id, author: printableLine(author), subject: printableLine(subject), mark: [mail, date, subject].join('\n') }
}
