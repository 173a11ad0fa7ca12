import { describe, expect, test } from 'vitest'
import { contentProblem } from '../../../src/lib/backups/verify.js'
import { RefusedError } from '../../../src/lib/errors.js'

function failed(cause: string, code = 'program-failed'): RefusedError {
  return new RefusedError({ code, message: 'pg_restore failed (code 1).', cause })
}

describe('what a program complains of while it reads a backup', () => {
  test.each([
    'pg_restore: error: could not read from input file: end of file',
    'pg_restore: error: could not uncompress data: (null)',
    'zstd: /*stdin*\\: Decoding error (36): Data corruption detected',
  ])('is the content: %s', cause => {
    expect(contentProblem(failed(cause))).toBe(`pg_restore failed (code 1). ${cause}`)
  })

  test.each([
    'pg_restore: error: could not execute query: ERROR: could not extend file: No space left on device',
    'pg_restore: error: connection to server at "127.0.0.1", port 5432 failed: Connection refused',
    'pg_restore: error: could not execute query: server closed the connection unexpectedly',
    'pg_restore: error: unsupported version (1.16) in file header',
    'tool: 1: zstd: not found',
  ])('is not the content, which stays proven: %s', cause => {
    const error = failed(cause)
    expect(() => contentProblem(error)).toThrow(error)
  })

  test('is the content where the dump or its encryption ends too early', () => {
    expect(contentProblem(failed('It is cut off.', 'dump-not-whole'))).toContain('It is cut off.')
    const other = failed('Its container is gone.', 'end-not-seen')
    expect(() => contentProblem(other)).toThrow(other)
  })
})
