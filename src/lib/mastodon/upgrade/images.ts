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

/** Returns the repository of an image reference, without registry `docker.io`, tag and digest. */
export function repositoryOf(reference: string): string {
  const named = reference.split('@', 1)[0] ?? ''
  return named.replace(/:[^:/]*$/, '').replace(/^(?:index\.)?docker\.io\//, '')
}

/** Whether Mastodon's own project publishes, or published, images in the repository. */
export function isOfficial(repository: string): boolean {
  return OFFICIAL.has(repository)
}
