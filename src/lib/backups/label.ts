import { UsageError } from '../errors.js'

/**
 * Returns the label of a backup: up to 64 letters, digits, dots and dashes.
 *
 * @throws UsageError naming the flag for anything else.
 */
export function labelOf(flag: string, text: string): string {
  if (/^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u.test(text)) return text
  throw new UsageError({
    code: 'bad-label',
    message: `${flag} is "${text}", which is no label.`,
    next: 'Write it with up to 64 letters, digits, dots and dashes, like before-the-move.',
  })
}
