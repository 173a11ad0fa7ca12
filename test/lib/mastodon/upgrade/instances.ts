import { RELEASES } from '../../../../src/lib/mastodon/releases/data.js'
import { releaseOf } from '../../../../src/lib/mastodon/releases.js'
import { mandatorySecrets } from '../../../../src/lib/mastodon/secrets.js'
import type {
  SchemaFound,
  ServiceFound,
  UpgradeSurroundings,
} from '../../../../src/lib/mastodon/upgrade/surroundings.js'
import { MastodonVersion } from '../../../../src/lib/mastodon/version.js'

/** An instance on images, as Mastodon's own compose file makes it, unless something is said to be otherwise. */
export function onImages(installed: string, other: Partial<UpgradeSurroundings> = {}): UpgradeSurroundings {
  return {
    installed,
    schema: null,
    servers: { postgres: 150_008, redis: '7.4.1' },
    runtimes: 'shipped',
    variables: set(...mandatorySecrets(MastodonVersion.of(installed))),
    services: null,
    queues: null,
    can: { images: true, beside: true, appliesAtOnce: false },
    ...other,
  }
}

/** An instance on a platform that builds releases from source, as Heroku does. */
export function built(installed: string, other: Partial<UpgradeSurroundings> = {}): UpgradeSurroundings {
  return onImages(installed, { can: { images: false, beside: false, appliesAtOnce: true }, ...other })
}

export function set(...names: string[]): { set: string[]; unusable: string[] } {
  return { set: names, unusable: [] }
}

export function service(role: ServiceFound['role'], image: string, other: Partial<ServiceFound> = {}): ServiceFound {
  return { name: role, role, image, command: null, healthCommand: null, ...other }
}

/** As many made-up versions as a fully migrated database of the release has, the highest being the right one. */
export function migrated(release: string): SchemaFound {
  const row = releaseOf(MastodonVersion.of(release)) ?? RELEASES[0]
  const count = (row?.migrations ?? 1) + (row?.postMigrations ?? 0)
  const ids = Array.from({ length: count - 1 }, (_, at) => String(20_160_101_000_000 + at))
  return { applied: [...ids, row?.schema ?? ''], files: null }
}
