import { RefusedError } from '../errors.js'

export function lacksColumns(database: string, columns: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'other-schema',
    message: `The database ${database} lacks ${columns.join(', ')}.`,
    cause: 'Its backup was made by another release of Mastodon.',
    next: 'Nothing was copied. Choose a backup that the installed release has made: mstdn-ops db:backups',
  })
}
