import type { Ref } from '../../backends/release-build.js'
import { RefusedError } from '../../errors.js'
import { MastodonVersion, parseVersionRb } from '../../mastodon/version.js'
import { printableLine, shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { folderOf, LONGEST_SHOWN } from './deploy-options.js'

/** A name of git that is no release, and the release that its code calls itself. */
export interface NamedRef extends Ref {
  version: string
}

/**
 * Returns what `--to` names in the operator's checkout, where a platform builds releases; undefined for a release, and
 * for what looks like one and is not known.
 *
 * @throws RefusedError for what is neither, and for code that cannot be told or is of the installed release
 */
export async function refNamed(
  toolbox: Toolbox,
  to: string | undefined,
  given: string | undefined,
): Promise<NamedRef | undefined> {
  const version = to === undefined ? undefined : MastodonVersion.parse(to)
  if (to === undefined || (version && isRelease(version))) return undefined
  const { build } = toolbox.backend.releases ?? {}
  const checkout = build && given !== undefined ? await folderOf(given) : undefined
  const found = await build?.find(to, checkout)
  if (found) return ofRelease(toolbox, found)
  if (version) return undefined
  throw noSuchRef(toolbox, to)
}

/** As its project names it: a fork's tag and a pre-release are names of git. */
function isRelease({ prerelease, metadata }: MastodonVersion): boolean {
  return prerelease === undefined && metadata === undefined
}

async function ofRelease(
  toolbox: Toolbox,
  { name, commit, versionFile }: Ref & { versionFile: string },
): Promise<NamedRef> {
  const version = parseVersionRb(versionFile)
  if (version === undefined) throw noVersion(name)
  if (version.equals(await toolbox.app.version())) throw isInstalled(name, version)
  return { name, commit, version: version.toString() }
}

function shown(name: string): string {
  return `"${printableLine(name.slice(0, LONGEST_SHOWN))}"`
}

const CHECK = 'mstdn-ops upgrade --check'

function noSuchRef({ backend: { releases } }: Toolbox, name: string): RefusedError {
  const code = 'unknown-release'
  const message = `${shown(name)} is no release of Mastodon that is known here.`
  if (releases?.build) {
    return new RefusedError({
      code,
      message,
      cause: 'Nor is it a branch, a tag or a commit of a checkout.',
      next: `Name a checkout that has it: --checkout DIR; or see what there is: ${CHECK}`,
    })
  }
  if (releases?.change === undefined) return new RefusedError({ code, message, next: `See what there is: ${CHECK}` })
  return new RefusedError({
    code,
    message,
    cause: 'What runs here are images: a branch or a commit has none.',
    next: `See what there is: ${CHECK}\nWhere the images are built from a folder (build:), check it out there (${shellLine(['git', '-C', 'FOLDER', 'checkout', name])}), and name the version that its lib/mastodon/version.rb holds: mstdn-ops upgrade --to VERSION builds it.`,
  })
}

function noVersion(name: string): RefusedError {
  return new RefusedError({
    code: 'ref-without-version',
    message: `${shown(name)} does not say which release of Mastodon it is.`,
    cause: 'There is no lib/mastodon/version.rb in it that could be read.',
    next: `Name a commit of Mastodon or of a fork of it, or a release: ${CHECK}`,
  })
}

function isInstalled(name: string, version: MastodonVersion): RefusedError {
  return new RefusedError({
    code: 'ref-of-installed-release',
    message: `${shown(name)} is of the installed release, ${version}: there is nothing to upgrade.`,
    next: `To deploy it all the same, in its checkout: ${shellLine(['git', 'push', 'heroku', `${name}:main`])}`,
  })
}
