import { secretsOf } from '../mastodon/secrets.js'
import type { Toolbox } from '../toolbox.js'
import { findingOfBackups } from './backed-up.js'
import type { KeyFinding } from './finding.js'
import { findingsOfSealed } from './opens.js'
import { standingOf } from './standing.js'
import { findingsOfValues } from './values.js'

export interface KeysCheck {
  version: string
  state: 'ok' | 'warn' | 'bad'
  findings: KeyFinding[]
}

/** Looks at every secret that the installed release knows, as the next start will see it. Reads only. */
export async function checkKeys(toolbox: Toolbox): Promise<KeysCheck> {
  const version = await toolbox.app.version()
  const secrets = secretsOf(version)
  const standing = await standingOf(toolbox)
  const names = secrets.map(({ name }) => name)
  const findings = [
    ...findingsOfValues(secrets, standing),
    ...(await findingsOfSealed(toolbox, standing.stored)),
    await findingOfBackups(toolbox, names, standing.stored),
  ]
  const has = (state: KeyFinding['state']) => findings.some(finding => finding.state === state)
  return { version: version.toString(), state: has('bad') ? 'bad' : has('warn') ? 'warn' : 'ok', findings }
}
