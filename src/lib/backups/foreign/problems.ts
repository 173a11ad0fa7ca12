import { RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'

/** The program and its flags that make a dump which this tool restores. */
const MAKE_ANOTHER = 'Make the dump again, with no terminal in between: docker exec (without -t) … pg_dump -Fc DATABASE'

/** What a file is that cannot be restored, and why. */
export interface Unfit {
  /** A short stable identifier, like `dump-cut`. */
  code: string
  /** Goes on after the path: `is empty`. */
  is: string
  cause?: string
  next?: string
}

/** Returns the refusal of a file; nothing was changed. */
export function unfit(path: string, { code, is, cause, next }: Unfit): RefusedError {
  return new RefusedError({ code, message: `${printableLine(path)} ${is}.`, cause, next: next ?? MAKE_ANOTHER })
}

/** Returns the refusal of a dump of which a part is missing or changed. */
export function damaged(path: string, cause: string): RefusedError {
  return unfit(path, {
    code: 'dump-damaged',
    is: 'is damaged',
    cause,
    next: 'Use another backup, or make the dump again.',
  })
}

/** Returns the refusal of a dump that ends too early. */
export function cut(path: string, cause: string): RefusedError {
  return unfit(path, { code: 'dump-cut', is: 'is cut off', cause, next: 'Copy it again, or make the dump again.' })
}

/** Returns the refusal of a compressed dump that went through a terminal: what it did to the bytes cannot be undone. */
export function throughTerminal(path: string): RefusedError {
  return unfit(path, {
    code: 'dump-through-terminal',
    is: 'went through a terminal, which destroyed it',
    cause:
      'A carriage return stands before every line feed, as docker exec -t adds them; in this format it cannot be undone.',
  })
}
