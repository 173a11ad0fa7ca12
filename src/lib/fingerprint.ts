import { scryptSync } from 'node:crypto'
import type { ConfigChanges } from './backends/backend.js'

/**
 * Returns a salted fingerprint of what the variables hold: equal for equal values, and safe to write down.
 *
 * Slow on purpose (scrypt, about 50 ms): a value may be a short password, and the journal holds salt and fingerprint.
 */
export function fingerprint(salt: string, values: ConfigChanges): string {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
  return scryptSync(JSON.stringify(sorted), salt, 16, { N: 16_384, r: 8, p: 1 }).toString('hex')
}

/** Returns what the environment holds for these variables; null where one is not set. */
export function pick(environment: ReadonlyMap<string, string>, keys: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(keys.map(key => [key, environment.get(key) ?? null]))
}

/** Whether both environments hold the same for these variables. */
export function agree(
  a: ReadonlyMap<string, string>,
  b: ReadonlyMap<string, string>,
  keys: readonly string[],
): boolean {
  return keys.every(key => a.get(key) === b.get(key))
}
