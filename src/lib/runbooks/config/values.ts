import { isSecretName } from '../../mastodon/secrets.js'
import type { Toolbox } from '../../toolbox.js'
import { configOf } from './change.js'

/** One variable of the app's environment, as it may be shown. */
export interface Variable {
  name: string
  /** As the next start sees it; null when it is not set. */
  stored: string | null
  /** As the running web process sees it; null when it is not set. */
  running: string | null
  differs: boolean
  /** Whether the values are masked unless they were asked for. */
  secret: boolean
}

/** Returns the variables of these names, or all of them by name, with their values in clear. */
export async function variablesOf(toolbox: Toolbox, names: readonly string[]): Promise<Variable[]> {
  const config = configOf(toolbox)
  const [stored, running] = [await config.stored(), await config.running()]
  const wanted = names.length > 0 ? names : [...new Set([...stored.keys(), ...running.keys()])].sort()
  return wanted.map(name => {
    const values = { stored: stored.get(name) ?? null, running: running.get(name) ?? null }
    return { name, ...values, differs: values.stored !== values.running, secret: isSecretName(name) }
  })
}

/** Returns the variable with its values masked when it is a secret. */
export function masked(variable: Variable): Variable {
  if (!variable.secret) return variable
  return { ...variable, stored: mask(variable.stored), running: mask(variable.running) }
}

function mask(value: string | null): string | null {
  return value === null || value === '' ? value : `(secret, ${value.length} characters)`
}
