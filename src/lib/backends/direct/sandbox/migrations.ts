import { MastodonVersion } from '../../../mastodon/version.js'
import { era1 } from './migrations/era-1.js'
import { era2 } from './migrations/era-2.js'
import { era3 } from './migrations/era-3.js'
import { era4 } from './migrations/era-4.js'
import type { Migration } from './migrations/migration.js'

export type { Migration } from './migrations/migration.js'

/**
 * A Mastodon-shaped database from 1.3.0 to 4.7, in the order in which Rails applies it (by id).
 *
 * Not every migration of Mastodon stands here, only the tables and columns that an operator's tool touches. The newest
 * id of each release is Mastodon's own, so max(schema_migrations.version) is right for every release. Names and
 * columns are facts of db/migrate and db/post_migrate at the release named; the SQL is written for this project.
 */
export const migrations: readonly Migration[] = [...era1, ...era2, ...era3, ...era4].sort((a, b) =>
  a.id < b.id ? -1 : 1,
)

/**
 * What a database holds that was always fully migrated.
 * @param release like `4.2.9`, with or without a leading `v`; `4.2` means `4.2.0`. A pre-release counts as its release.
 * @returns the migrations in the order of their ids
 */
export function migrationsUpTo(release: string): readonly Migration[] {
  const version = MastodonVersion.of(/^v?\d+\.\d+$/.test(release) ? `${release}.0` : release)
  return migrations.filter(migration => version.atLeast(migration.release))
}
