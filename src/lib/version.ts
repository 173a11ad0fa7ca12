import { readFileSync } from 'node:fs'

let version: string | undefined

/** Returns the version of mstdn-ops itself, from its package.json. */
export function toolVersion(): string {
  if (version === undefined) version = readVersion()
  return version
}

/** The file stands two folders up from `src/lib` and, in the built package, from `dist/…` likewise. */
function readVersion(): string {
  for (const up of ['../../package.json', '../package.json', '../../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string
        version?: string
      }
      if (parsed.name === 'mstdn-ops' && parsed.version) return parsed.version
    } catch {
      // Not at this height.
    }
  }
  return '0.0.0'
}
