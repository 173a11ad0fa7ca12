import { printableLine } from '../../text.js'
import { FORKS } from '../releases/forks.js'
import { newestRelease, releaseOf } from '../releases.js'
import { MastodonVersion } from '../version.js'
import type { SchemaFound } from './surroundings.js'

/** Why an upgrade is not begun. */
export interface Refusal {
  /** For scripts, like `downgrade`. */
  code: string
  message: string
  /** What to do instead. */
  next: string
}

const CHECK = 'mstdn-ops upgrade --check'
/** Characters of what is no release. */
const LONGEST_SHOWN = 60

/** Returns why there can be no path between two releases, or undefined. */
export function pathRefusal(
  from: MastodonVersion,
  to: MastodonVersion,
  schema: SchemaFound | null,
): Refusal | undefined {
  if (isFork(from) || (from.metadata !== undefined && schema === null)) return fork(from)
  if (to.metadata !== undefined) return fork(to)
  if (releaseOf(from) === undefined && from.prerelease === undefined) return unknownInstalled(from)
  if (to.prerelease !== undefined) return prerelease(to)
  if (to.isOlderThan(from)) return downgrade(from, to)
  return releaseOf(to) === undefined ? unknownTarget(to.toString()) : undefined
}

function isFork({ metadata = '' }: MastodonVersion): boolean {
  const names = FORKS.map(({ name }) => name.toLowerCase().split('-')[0] ?? name)
  return names.some(name => metadata.toLowerCase().includes(name))
}

function fork(version: MastodonVersion): Refusal {
  return {
    code: 'fork',
    message: `${version} is of a fork or a build of its own: its migrations are not known here.`,
    next: "Upgrade with the fork's own release and its notes; mstdn-ops db:backup before it.",
  }
}

function prerelease(version: MastodonVersion): Refusal {
  const known = newestRelease(version.series) ?? newestRelease()
  return {
    code: 'pre-release',
    message: `${version} is a pre-release: what it needs, and the way back from it, are not known here.`,
    next: `Name a release: mstdn-ops upgrade --to ${known} --dry-run`,
  }
}

function downgrade(from: MastodonVersion, to: MastodonVersion): Refusal {
  return {
    code: 'downgrade',
    message: `${to} is older than the installed ${from}: Mastodon cannot migrate a database back.`,
    next: 'To go back, restore a backup that the older release made: mstdn-ops db:backups lists them.',
  }
}

/** For what is no version too. */
export function unknownTarget(name: string): Refusal {
  const newest = newestRelease()
  const version = MastodonVersion.parse(name)
  const isNewer = newest !== undefined && version?.isNewerThan(newest) === true
  return {
    code: 'unknown-release',
    message: isNewer
      ? `Mastodon ${name} is newer than every release that this mstdn-ops knows (${newest}).`
      : `"${printableLine(name.slice(0, LONGEST_SHOWN))}" is no release of Mastodon that is known here.`,
    next: isNewer ? 'Install a newer mstdn-ops, then run the command again.' : `See what there is: ${CHECK}`,
  }
}

function unknownInstalled(from: MastodonVersion): Refusal {
  return {
    code: 'unknown-release',
    message: `The installed release, ${from}, is not among those that are known here (1.3.0 to ${newestRelease()}).`,
    next: 'Install a newer mstdn-ops, or write the right mastodon_version in mstdn-ops.yaml.',
  }
}
