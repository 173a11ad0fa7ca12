import { inRange, type MastodonVersion, type VersionRange } from '../version.js'

/** The images of a release, with their tags. */
export interface ReleaseImages {
  /** Of the web and the Sidekiq processes, and of streaming too before 4.3.0. */
  app: string
  streaming: string
}

const APP = 'ghcr.io/mastodon/mastodon'
const STREAMING = 'ghcr.io/mastodon/mastodon-streaming'
const TOOTSUITE = 'tootsuite/mastodon'

/**
 * Where the images of a release are. Source: docker-compose.yml of each release; the tags before 2.3.0 were not looked
 * at, nor whether the registries still have them.
 */
const REPOSITORIES: readonly (VersionRange & { app: string; streaming: string })[] = [
  { since: '1.3.0', before: '2.3.0', app: 'gargron/mastodon', streaming: 'gargron/mastodon' },
  { since: '2.3.0', before: '3.5.7', app: TOOTSUITE, streaming: TOOTSUITE },
  { since: '3.5.7', before: '4.0.0', app: APP, streaming: APP },
  { since: '4.0.0', before: '4.0.3', app: TOOTSUITE, streaming: TOOTSUITE },
  { since: '4.0.3', before: '4.1.0', app: APP, streaming: APP },
  { since: '4.1.0', before: '4.1.1', app: TOOTSUITE, streaming: TOOTSUITE },
  { since: '4.1.1', before: '4.3.0', app: APP, streaming: APP },
  { since: '4.3.0', app: APP, streaming: STREAMING },
]

const OFFICIAL: ReadonlySet<string> = new Set(REPOSITORIES.flatMap(({ app, streaming }) => [app, streaming]))

/** Returns the images of a release; undefined before 1.3.0. */
export function imagesOf(version: MastodonVersion): ReleaseImages | undefined {
  const row = REPOSITORIES.find(candidate => inRange(version, candidate))
  return row && { app: `${row.app}:v${version.release}`, streaming: `${row.streaming}:v${version.release}` }
}

/** Of operators' own: a copy of the project's repositories, by its name. */
const NAMED_LIKE_IT = /(^|\/)mastodon(-streaming)?$/

/**
 * Returns the image of a release in place of this one: where Mastodon's project publishes it, or in the operator's own
 * repository, which has streaming's beside the app's where it is called as the project's are. A digest is left out.
 *
 * @returns undefined where the own repository does not tell where the image of streaming is
 */
export function imageOfRelease(image: string, version: MastodonVersion, isStreaming: boolean): string | undefined {
  const official = imagesOf(version)
  if (official === undefined) return undefined
  if (isOfficial(repositoryOf(image))) return isStreaming ? official.streaming : official.app
  const own = repositoryOf(image)
  const isApart = isStreaming && official.streaming !== official.app
  if (!isNamedLikeIt(image)) return isApart ? undefined : `${own}:v${version.release}`
  return `${own.replace(/-streaming$/, '')}${isApart ? '-streaming' : ''}:v${version.release}`
}

/** Whether the repository is the project's, or called as the project's are. */
export function isNamedLikeIt(image: string): boolean {
  return NAMED_LIKE_IT.test(repositoryOf(image))
}

/** Returns the repository of an image reference, without registry `docker.io`, tag and digest. */
export function repositoryOf(reference: string): string {
  const named = reference.split('@', 1)[0] ?? ''
  return named.replace(/:[^:/]*$/, '').replace(/^(?:index\.)?docker\.io\//, '')
}

/** Whether Mastodon's own project publishes, or published, images in the repository. */
export function isOfficial(repository: string): boolean {
  return OFFICIAL.has(repository)
}
