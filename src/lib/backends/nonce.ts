import { randomBytes } from 'node:crypto'

/** Returns 16 hexadecimal digits that nobody can guess: what marks the output of a one-off process. */
export function randomNonce(): string {
  return randomBytes(8).toString('hex')
}
