import { RefusedError } from '../../errors.js'
import { plural, printableLine, shellLine } from '../../text.js'
import type { OwnCommit, Sources, SourcesWanted } from '../release-build.js'
import type { Git } from './git.js'

/** Mastodon's own repository. */
export const UPSTREAM = 'https://github.com/mastodon/mastodon.git'
/** Commits of the operator's own that a plan names. */
const MOST_OWN = 200

/** Where the sources come from. */
export interface Origins {
  git: Git
  upstream: string
  /** What the app was built from, where the platform knows. */
  deployed: string | undefined
  onProgress: (text: string) => void
}

/** What is known of the commits. */
interface Known extends Origins {
  wanted: SourcesWanted
  head: string | undefined
  branch: string
  /** The code that the operator's own commits are taken from. */
  base: string
  /** The commits of the two releases. */
  former: string
  target: string
}

/**
 * Makes the sources of a release ready in a checkout of this tool's own: the app's code with what lies between the two
 * releases, as one commit on top of what the app's repository holds, so that nothing has to be forced.
 *
 * Told by the releases' own trees: two stable branches have changed the same lines, which a plain merge would call
 * conflicts.
 */
export async function preparedSources(origins: Origins, wanted: SourcesWanted): Promise<Sources> {
  const known = await knownOf(origins, wanted)
  if (wanted.discard) return discarding(known)
  await refuseForeign(known)
  const own = await ownCommits(known)
  const commit = await combined(known, own)
  return { commit, head: known.head ?? null, branch: known.branch, own, discards: false, forced: false }
}

async function knownOf(origins: Origins, wanted: SourcesWanted): Promise<Known> {
  const { git, onProgress } = origins
  await git.init()
  onProgress('what the app holds')
  await git.must(['fetch', '--quiet', '--no-tags', '--prune', git.url, '+refs/heads/*:refs/heroku/*'], {
    asLogin: true,
  })
  const checkout = await fetchCheckout(git, wanted.checkout)
  const [former, target] = await releasesOf(origins, wanted)
  const main = await commitOf(git, 'refs/heroku/main')
  const head = main ?? (await commitOf(git, 'refs/heroku/master'))
  const branch = main === undefined && head !== undefined ? 'master' : 'main'
  const base = checkout ?? (await commitOf(git, origins.deployed)) ?? head
  if (base === undefined) throw noSources(git)
  return { ...origins, wanted, head, branch, base, former, target }
}

async function fetchCheckout(git: Git, checkout: string | undefined): Promise<string | undefined> {
  if (checkout === undefined) return undefined
  await git.must(['fetch', '--quiet', '--no-tags', checkout, '+HEAD:refs/mstdn-ops/checkout'])
  return commitOf(git, 'refs/mstdn-ops/checkout')
}

/** A tag that is here is not fetched again: releases do not change. All of them tell what is the operator's own. */
async function releasesOf(
  { git, upstream, onProgress }: Origins,
  { from, to }: SourcesWanted,
): Promise<[string, string]> {
  const look = () => Promise.all([from, to].map(version => commitOf(git, `refs/upstream/v${version}`)))
  const here = await look()
  if (here.includes(undefined)) {
    onProgress(`releases of ${upstream}; the first time this takes minutes`)
    await git.must(['fetch', '--quiet', '--no-tags', upstream, '+refs/tags/v*:refs/upstream/v*'])
  }
  const [former, target] = await look()
  if (former !== undefined && target !== undefined) return [former, target]
  throw notUpstream(upstream, former === undefined ? from : to)
}

async function commitOf(git: Git, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined
  const found = await git.run(['rev-parse', '--quiet', '--verify', `${name}^{commit}`])
  return found.exitCode === 0 ? found.stdout.trim() : undefined
}

/** The release as it is, on top of nothing; a commit more where that is what the app's repository holds already. */
async function discarding(known: Known): Promise<Sources> {
  const { git, head, branch, target } = known
  const onTop = head !== undefined && (await contains(git, head, target))
  const commit = onTop ? await made(known, `${target}^{tree}`, [head]) : target
  const forced = head !== undefined && !(await contains(git, commit, head))
  return { commit, head: head ?? null, branch, own: await ownCommits(known), discards: true, forced }
}

/** Whether the second is the first, or lies before it. */
function contains(git: Git, commit: string, earlier: string): Promise<boolean> {
  return git.succeeds(['merge-base', '--is-ancestor', earlier, commit])
}

async function refuseForeign(known: Known): Promise<void> {
  const { git, base, former, deployed, wanted } = known
  const running = await commitOf(git, deployed)
  if (running !== undefined && !(await contains(git, base, running))) throw checkoutBehind(known, running)
  if (!(await contains(git, base, former))) throw foreignHistory(wanted)
}

async function ownCommits({ git, base }: Known): Promise<OwnCommit[]> {
  const shown = ['--no-merges', `--max-count=${MOST_OWN}`, '--format=%H%x1f%an%x1f%s']
  const text = await git.must(['log', ...shown, base, '--not', '--glob=refs/upstream/v*'])
  const lines = text.split('\n').filter(Boolean)
  // Those that this tool made bring releases and the operator's own commits together, and are neither.
  return lines.map(ownCommit).filter(({ author }) => author !== 'mstdn-ops')
}

function ownCommit(line: string): OwnCommit {
  const [id = '', author = '', ...subject] = line.split('\x1f')
  return { id, author: printableLine(author), subject: printableLine(subject.join(' ')) }
}

/** Returns the commit that holds both, on top of what the app's repository holds. */
async function combined(known: Known, own: readonly OwnCommit[]): Promise<string> {
  const { git, base, head, target } = known
  const isMerged = await contains(git, base, target)
  const follows = head === undefined || (base !== head && (await contains(git, base, head)))
  if (isMerged && follows) return base
  const tree = isMerged ? `${base}^{tree}` : await mergedTree(known, own)
  const parents = [...(head === undefined ? [] : [head]), base, target]
  return made(known, tree, parents)
}

/** Takes what lies between the two releases over to the app's code. */
async function mergedTree(known: Known, own: readonly OwnCommit[]): Promise<string> {
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

/** The same sources give the same commit, whenever they are made ready. */
async function made({ git, target, wanted }: Known, tree: string, parents: readonly string[]): Promise<string> {
  const date = await git.must(['show', '--no-patch', '--format=%cI', target])
  const id = await git.must(['rev-parse', '--verify', tree])
  const needed: string[] = []
  for (const parent of parents) {
    const known = await Promise.all(needed.map(earlier => contains(git, earlier, parent)))
    if (!known.includes(true)) needed.push(parent)
  }
  const words = ['commit-tree', id, ...needed.flatMap(parent => ['-p', parent]), '-m', `Mastodon v${wanted.to}`]
  return git.must(words, { env: { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date } })
}

function noSources({ url }: Git): RefusedError {
  return new RefusedError({
    code: 'sources-unknown',
    message: 'What the app runs cannot be told: its git repository is empty.',
    cause: `${url} holds nothing: the app is deployed from elsewhere, like GitHub or a pipeline.`,
    next: 'Name a checkout of what is deployed: mstdn-ops upgrade --checkout DIR; or deploy the release from there.',
  })
}

function notUpstream(upstream: string, version: string): RefusedError {
  return new RefusedError({
    code: 'release-not-upstream',
    message: `There is no tag v${version} in ${upstream}.`,
    next: 'Name the repository that has it: upstream: in mstdn-ops.yaml, or MSTDN_OPS_UPSTREAM.',
  })
}

function checkoutBehind({ git, branch, wanted }: Known, running: string): RefusedError {
  const pull = shellLine(['git', '-C', wanted.checkout ?? '.', 'pull', git.url, branch])
  return new RefusedError({
    code: 'checkout-behind',
    message: `The checkout lacks what the app runs: ${running.slice(0, 12)}.`,
    cause: 'Deployed from it, commits of the app would be gone.',
    next: `${pull}, then run the command again.`,
  })
}

function foreignHistory({ from, to }: SourcesWanted): RefusedError {
  return new RefusedError({
    code: 'foreign-history',
    message: `The code of the app does not come from Mastodon's v${from}.`,
    cause: `Its history does not hold that release, so that what is your own in it cannot be told.`,
    next: `Bring v${to} into it by hand and name it by --checkout DIR; or take the release as it is: --discard-local-commits`,
  })
}

function conflict(
  { git, branch, upstream, wanted: { from, to, checkout } }: Known,
  own: readonly OwnCommit[],
  files: string,
): RefusedError {
  const dir = checkout ?? 'mastodon'
  const at = ['git', '-C', dir]
  return new RefusedError({
    code: 'commits-conflict',
    message: `${plural(own.length, 'commit')} of your own and v${to} change the same lines. Nothing was changed.`,
    cause: [
      ...files.split('\n').map(file => `  ${printableLine(file)}`),
      'Your own commits:',
      ...own.map(({ id, subject }) => `  ${id.slice(0, 12)} ${subject}`),
    ].join('\n'),
    next: [
      ...(checkout === undefined ? [shellLine(['git', 'clone', git.url, '--branch', branch, dir])] : []),
      shellLine([...at, 'fetch', upstream, 'tag', `v${from}`, 'tag', `v${to}`]),
      shellLine([...at, 'merge', '--strategy', 'ours', '--no-commit', `v${to}`]),
      `${shellLine([...at, 'diff', '--binary', `v${from}`, `v${to}`])} | ${shellLine([...at, 'apply', '--3way'])}`,
      `Mend the conflicts in ${dir}, then: ${shellLine([...at, 'commit', '--all'])}`,
      shellLine(['mstdn-ops', 'upgrade', '--to', `v${to}`, '--checkout', dir]),
      'Or take the release without them: --discard-local-commits',
    ].join('\n'),
  })
}
