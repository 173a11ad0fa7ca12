import { UsageError } from '../errors.js'
import type { FilePart } from './manifest.js'

/** What can come with the database. */
export const PARTS = ['media', 'redis', 'secrets'] as const satisfies readonly FilePart[]

/**
 * Reads a list like `media,secrets`; none for undefined.
 *
 * @throws UsageError naming every word that is no part.
 */
export function partsOf(text: string | undefined): FilePart[] {
  const words = (text ?? '').split(',').map(word => word.trim())
  const named = [...new Set(words.filter(word => word !== ''))]
  const unknown = named.filter(word => !PARTS.includes(word as (typeof PARTS)[number]))
  if (unknown.length === 0) return named as FilePart[]
  throw new UsageError({
    code: 'unknown-part',
    message: `--with names ${unknown.join(', ')}, which is no part of a backup.`,
    next: `Name some of ${PARTS.join(', ')}; the database is always in it.`,
  })
}
