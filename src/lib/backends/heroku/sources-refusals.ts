import { RefusedError } from '../../errors.js'
import { plural, printableLine, shellLine } from '../../text.js'
import type { OwnCommit, SourcesWanted } from '../release-build.js'
import type { Git } from './git.js'
import type { Known } from './sources-known.js'

export function noSources({ url }: Git): RefusedError {
  return new RefusedError({
    code: 'sources-unknown',
    message: 'What the app runs cannot be told: its git repository is empty.',
    cause: `${url} holds nothing: the app is deployed from elsewhere, like GitHub or a pipeline.`,
    next: 'Name a checkout of what is deployed: mstdn-ops upgrade --checkout DIR; or deploy the release from there.',
  })
}

export function notUpstream(upstream: string, version: string): RefusedError {
  return new RefusedError({
    code: 'release-not-upstream',
    message: `There is no tag v${version} in ${upstream}.`,
    next: 'Name the repository that has it: upstream: in mstdn-ops.yaml, or MSTDN_OPS_UPSTREAM.',
  })
}

export function checkoutBehind({ git, branch, wanted }: Known, running: string): RefusedError {
  const pull = shellLine(['git', '-C', wanted.checkout ?? '.', 'pull', git.url, branch])
  return new RefusedError({
    code: 'checkout-behind',
    message: `The checkout lacks what the app runs: ${running.slice(0, 12)}.`,
    cause: 'Deployed from it, commits of the app would be gone.',
    next: `${pull}, then run the command again.`,
  })
}

export function foreignHistory({ from, to }: SourcesWanted): RefusedError {
  return new RefusedError({
    code: 'foreign-history',
    message: `The code of the app does not come from Mastodon's v${from}.`,
    cause: `Its history does not hold that release, so that what is your own in it cannot be told.`,
    next: `Bring v${to} into it by hand and name it by --checkout DIR; or take the release as it is: --discard-local-commits`,
  })
}

export function conflict(
  { git, branch, upstream, wanted: { from, to, checkout } }: Known,
  own: readonly OwnCommit[],
  files: string,
): RefusedError {
  const dir = checkout ?? 'mastodon'
  const at = ['git', '-C', dir]
  return new RefusedError({
    code: 'commits-conflict',
    message: `${plural(own.length, 'commit')} of your own and v${to} change the same lines. Nothing was changed.`,
    cause: [...files.split('\n').map(file => `  ${printableLine(file)}`), 'Your own commits:', listed(own)].join('\n'),
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

/** What stops a rebase. */
interface Stopped {
  commit: OwnCommit
  /** All that were to be rebased, oldest first. */
  all: readonly OwnCommit[]
  files: string
}

export function rebaseConflict(known: Known, { commit, all, files }: Stopped): RefusedError {
  const { git, branch, upstream, wanted } = known
  const { to, checkout } = wanted
  const dir = checkout ?? 'mastodon'
  const at = ['git', '-C', dir]
  return new RefusedError({
    code: 'rebase-conflict',
    message: `${named(commit)} cannot be put on top of v${to}: both change the same lines. Nothing was changed.`,
    cause: files
      .split('\n')
      .map(file => `  ${printableLine(file)}`)
      .join('\n'),
    next: [
      ...(checkout === undefined ? [shellLine(['git', 'clone', git.url, '--branch', branch, dir])] : []),
      shellLine([...at, 'fetch', upstream, 'tag', `v${to}`]),
      shellLine([...at, 'checkout', '-b', `rebased-on-v${to}`, `v${to}`]),
      shellLine([...at, 'cherry-pick', '--keep-redundant-commits', ...all.map(({ id }) => id)]),
      `Mend the conflicts in ${dir}, add the files, then: ${shellLine([...at, 'cherry-pick', '--continue'])}; until it has come to its end`,
      shellLine(['mstdn-ops', 'upgrade', '--to', `v${to}`, '--rebase', '--checkout', dir]),
      'Or merge them: without --rebase. Or take the release without them: --discard-local-commits alone',
    ].join('\n'),
  })
}

export function copiesMissing({ wanted }: Known, missing: readonly OwnCommit[]): RefusedError {
  const { to, checkout = '.' } = wanted
  const pick = ['git', '-C', checkout, 'cherry-pick', '--keep-redundant-commits']
  return new RefusedError({
    code: 'checkout-behind',
    message: `The checkout is on top of v${to}, and lacks ${plural(missing.length, 'commit')} of your own that the app runs.`,
    cause: listed(missing),
    next: `${shellLine([...pick, ...oldestFirst(missing)])}, then run the command again.`,
  })
}

export function refLacks({ wanted }: Known, ref: string, lost: readonly OwnCommit[]): RefusedError {
  const { checkout = '.' } = wanted
  const at = ['git', '-C', checkout]
  const branch = 'with-own-commits'
  return new RefusedError({
    code: 'ref-lacks-commits',
    message: `${printableLine(ref)} lacks ${plural(lost.length, 'commit')} of your own that the app runs.`,
    cause: listed(lost),
    next: [
      shellLine([...at, 'checkout', '-b', branch, ref]),
      shellLine([...at, 'cherry-pick', '--keep-redundant-commits', ...oldestFirst(lost)]),
      shellLine(['mstdn-ops', 'upgrade', '--to', branch, '--checkout', checkout]),
      'Or leave them out: --discard-local-commits, confirmed by the domain',
    ].join('\n'),
  })
}

/** So many of the files are shown. */
const MOST_FILES = 6

export function refMigrations(
  { wanted: { to } }: Known,
  ref: string,
  { more, less }: { more: readonly string[]; less: readonly string[] },
): RefusedError {
  const all = [...more.map(file => `  more: ${file}`), ...less.map(file => `  not there: ${file}`)].map(printableLine)
  const others = all.length > MOST_FILES ? [`  and ${all.length - MOST_FILES} others`] : []
  return new RefusedError({
    code: 'ref-other-migrations',
    message: `${printableLine(ref)} calls itself ${to}, and has other migrations than that release.`,
    cause: [...all.slice(0, MOST_FILES), ...others].join('\n'),
    next: `What they do to the database is not known here. Name a release (mstdn-ops upgrade --to v${to}), or upgrade by the notes of whoever made it; mstdn-ops db:backup before it.`,
  })
}

function listed(commits: readonly OwnCommit[]): string {
  return commits.map(commit => `  ${named(commit)}`).join('\n')
}

function named({ id, subject }: OwnCommit): string {
  return `${id.slice(0, 12)} ${subject}`
}

function oldestFirst(commits: readonly OwnCommit[]): string[] {
  return commits.map(({ id }) => id).reverse()
}
