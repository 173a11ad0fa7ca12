import type { RefusedError } from '../../errors.js'
import { cut, damaged, unfit } from './problems.js'

/** What a scan met that cannot be restored. */
export class DumpProblem extends Error {
  constructor(
    readonly kind: 'cut' | 'damaged' | 'command' | 'strange',
    message: string,
  ) {
    super(message)
  }
}

/** Returns what is told to the operator: where it stands, never what stands there. */
export function problemOf(path: string, line: number, { kind, message }: DumpProblem): RefusedError {
  const cause = `Line ${line}: ${message}`
  if (kind === 'cut') return cut(path, cause)
  if (kind === 'damaged') return damaged(path, cause)
  if (kind === 'command')
    return unfit(path, {
      code: 'dump-commands-psql',
      is: 'commands psql to do other things than restore',
      cause: `${cause} No pg_dump writes this, and a shell may be behind it.`,
      next: 'Do not restore it, and find out who wrote it.',
    })
  return unfit(path, { code: 'dump-strange', is: 'holds what this tool does not restore', cause })
}
