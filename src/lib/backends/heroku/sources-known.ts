import type { SourcesWanted } from '../release-build.js'
import type { Git } from './git.js'
import { checkoutBehind, foreignHistory, noSources, notUpstream } from './sources-refusals.js'

/** Where the sources come from. */
export interface Origins {
  git: Git
  upstream: string
  /** What the app was built from, where the platform knows. */
  deployed: string | undefined
  onProgress: (text: string) => void
}

/** What is known of the commits. */
export interface Known extends Origins {
  wanted: SourcesWanted
  head: string | undefined
  branch: string
  /** The code that the operator's own commits are taken from. */
  base: string
  /** The commits of the two releases. */
  former: string
  target: string
}

/** Fetches what there is to know. @throws RefusedError where it is not known what the app is made of. */
export async function knownOf(origins: Origins, wanted: SourcesWanted): Promise<Known> {
  const { git, onProgress } = origins
  await git.init()
  onProgress('what the app holds')
  await git.must(['fetch', '--quiet', '--no-tags', '--prune', git.url, '+refs/heads/*:refs/heroku/*'], {
    asLogin: true,
  })
  const checkout = await fetchCheckout(git, wanted)
  const [former, target] = await releasesOf(origins, wanted)
  const main = await commitOf(git, 'refs/heroku/main')
  const head = main ?? (await commitOf(git, 'refs/heroku/master'))
  const branch = main === undefined && head !== undefined ? 'master' : 'main'
  const base = checkout ?? (await commitOf(git, origins.deployed)) ?? head
  if (base === undefined) throw noSources(git)
  return { ...origins, wanted, head, branch, base, former, target }
}

async function fetchCheckout(git: Git, { checkout, ref }: SourcesWanted): Promise<string | undefined> {
  if (checkout === undefined) return undefined
  await git.must(['fetch', '--quiet', '--no-tags', checkout, `+${ref?.commit ?? 'HEAD'}:refs/mstdn-ops/checkout`])
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

export async function commitOf(git: Git, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined
  const found = await git.run(['rev-parse', '--quiet', '--verify', `${name}^{commit}`])
  return found.exitCode === 0 ? found.stdout.trim() : undefined
}

/** Whether the second is the first, or lies before it. */
export function contains(git: Git, commit: string, earlier: string): Promise<boolean> {
  return git.succeeds(['merge-base', '--is-ancestor', earlier, commit])
}

/** Refuses code that lacks what runs, or that does not come from the installed release. */
export async function refuseForeign(known: Known): Promise<void> {
  const { git, base, former, deployed, wanted } = known
  const running = await commitOf(git, deployed)
  if (running !== undefined && !(await contains(git, base, running))) throw checkoutBehind(known, running)
  if (!(await contains(git, base, former))) throw foreignHistory(wanted)
}

/** The same sources give the same commit, whenever they are made ready. */
export async function made(
  { git, target, wanted }: Known,
  tree: string,
  parents: readonly string[],
  addition = '',
): Promise<string> {
  const date = await git.must(['show', '--no-patch', '--format=%cI', target])
  const id = await git.must(['rev-parse', '--verify', tree])
  const needed: string[] = []
  for (const parent of parents) {
    const known = await Promise.all(needed.map(earlier => contains(git, earlier, parent)))
    if (!known.includes(true)) needed.push(parent)
  }
  const words = [
    'commit-tree',
    id,
    ...needed.flatMap(parent => ['-p', parent]),
    '-m',
    `Mastodon v${wanted.to}${addition}`,
  ]
  return git.must(words, { env: { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date } })
}
