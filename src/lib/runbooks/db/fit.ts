import { RefusedError } from '../../errors.js'
import { type Fit, fitOf } from '../../mastodon/fit.js'
import { appliedMigrations, type Migration, migrationFiles } from '../../mastodon/migrations.js'
import type { Toolbox } from '../../toolbox.js'

/**
 * Refuses a state that the installed release could not serve, and names the release that could.
 *
 * @returns how it fits: some migrations may have to be run on it
 */
export async function refuseUnfit(toolbox: Toolbox, versions: readonly string[]): Promise<Fit> {
  const fit = fitOf(versions, { version: await toolbox.app.version(), migrations: await knownMigrations(toolbox) })
  if (fit.restorable) return fit
  throw new RefusedError({
    code: 'schema-does-not-fit',
    message: 'The installed release of Mastodon cannot serve this state.',
    cause: fit.sentence,
    ...(fit.next === null ? {} : { next: fit.next }),
  })
}

/** Where the app's files cannot be read, what the live database has had is all that is known of the release. */
async function knownMigrations(toolbox: Toolbox): Promise<Migration[]> {
  if (toolbox.backend.oneOff !== undefined) return migrationFiles(toolbox, { fresh: true })
  return [...(await appliedMigrations(toolbox))].map(id => ({ id, phase: 'pre' }))
}
