import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Makes an empty folder for XDG_STATE_HOME; it is yours to remove. */
export function stateFolder(): string {
  return mkdtempSync(join(tmpdir(), 'mstdn-ops-state-'))
}

/** Returns everything that the tool wrote down there: journals, logs, locks. */
export function writtenDown(state: string): string {
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return files.map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n')
}
