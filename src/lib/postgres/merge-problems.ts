import { RefusedError } from '../errors.js'

export function lacksColumns(database: string, columns: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'other-schema',
    message: `the database ${database} lacks ${columns.join(', ')}`,
    cause: 'it was made by another release',
    next: 'nothing was copied: take a backup that the present release has made',
  })
}
