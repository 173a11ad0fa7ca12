import { plural } from '../../text.js'
import { fitOf } from '../fit.js'
import { schemaOf } from '../releases.js'
import type { MastodonVersion } from '../version.js'
import type { Refusal } from './refusals.js'
import type { SchemaFound } from './surroundings.js'

/** Returns why a database is no start for an upgrade, or undefined: it must be as the installed release wants it. */
export function schemaRefusal(installed: MastodonVersion, schema: SchemaFound | null): Refusal | undefined {
  if (schema === null) return undefined
  const files = schema.files === null ? {} : { migrations: schema.files }
  const { verdict, pending, install, unknown } = fitOf(schema.applied, { version: installed, ...files })
  if (verdict === 'fits' || verdict === 'unknown') return undefined
  if (unknown.length === 0 && isAsHigh(installed, schema)) return undefined
  if (verdict === 'empty') return empty()
  if (verdict === 'fork') return fork(unknown)
  return verdict === 'newer' ? ahead(installed, install) : behind(installed, pending, onlyPosts(schema))
}

/** Without the release's own list the highest version alone tells: how many there are may have many reasons. */
function isAsHigh(installed: MastodonVersion, { applied, files }: SchemaFound): boolean {
  return files === null && applied.length > 0 && [...applied].sort().at(-1) === schemaOf(installed)
}

function empty(): Refusal {
  return {
    code: 'database-empty',
    message: 'The database has had no migration: it is empty, or not the one of this instance.',
    next: 'See where the data are: mstdn-ops doctor --only volumes --only database',
  }
}

function fork(unknown: readonly string[]): Refusal {
  const which = unknown.length > 0 ? ` (${unknown.join(', ')})` : ''
  return {
    code: 'fork',
    message: `The database has migrations that no release of Mastodon knows${which}: it is of a fork or a build of its own.`,
    next: "Upgrade with the fork's own release and its notes: Mastodon's migrations are not safe on it.",
  }
}

function ahead(installed: MastodonVersion, install: string | null): Refusal {
  const release = install === null ? 'the release that it was migrated to' : `Mastodon ${install}`
  return {
    code: 'database-ahead',
    message: `The database is newer than Mastodon ${installed}: an upgrade was begun and not ended, or was gone back from.`,
    next: `Put ${release} in force and end its migrations (mstdn-ops db:migrate), or restore the backup of before (mstdn-ops db:restore).`,
  }
}

function behind(installed: MastodonVersion, pending: number | null, posts: boolean): Refusal {
  const count = pending === null ? 'Migrations' : plural(pending, 'migration', 'migrations')
  const are = pending === 1 ? 'is' : 'are'
  return {
    code: 'half-migrated',
    message: `${count} of the installed ${installed} ${are} pending: the database is half migrated.`,
    next: `End its own migrations first: mstdn-ops db:migrate${posts ? ' --phase post' : ''}`,
  }
}

function onlyPosts({ applied, files }: SchemaFound): boolean {
  const ids = new Set(applied)
  const pending = files?.filter(({ id }) => !ids.has(id)) ?? []
  return pending.length > 0 && pending.every(({ phase }) => phase === 'post')
}
