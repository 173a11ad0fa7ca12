import { ROLES } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import type { Consent, Runbook, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from './change.js'
import { whatBreaks } from './guarded.js'

/** What the journal may know: never the value. */
export interface SetOptions {
  key: string
  unset: boolean
  restart: boolean
}

export interface SetResult {
  key: string
  where: string
  change: 'set' | 'unset' | 'none'
  /** Whether the running process sees it. */
  inForce: boolean
  /** The copy of the former configuration, where a secret or a name was replaced. */
  keptAt: string | null
}

/**
 * Sets a variable of Mastodon's configuration (or removes it), and restarts so that it takes effect. The value lives in
 * this closure alone: options are written into the journal. A resume has no value, and the step says so.
 */
export function setRunbook(value?: string): Runbook<SetOptions, SetResult> {
  return {
    name: 'config:set',
    check: refuse,
    consent: (toolbox, options) => consentFor(toolbox, options, value),
    steps: async (toolbox, options) => configSteps(toolbox, changeOf(options, value)),
    result: describe,
  }
}

async function refuse(toolbox: Toolbox, { key, restart }: SetOptions): Promise<void> {
  const config = configOf(toolbox)
  if (config.appliesAtOnce && !restart) throw restartsAnyway(key, config.where)
  await config.writable()
}

function restartsAnyway(key: string, where: string): RefusedError {
  return new RefusedError({
    code: 'restarts-by-itself',
    message: `${key} cannot be changed without a restart: nothing was changed.`,
    cause: `Whenever ${where} changes, the platform restarts the app by itself.`,
    next: `mstdn-ops config:set ${key} (without --no-restart, when it suits)`,
  })
}

function changeOf(options: SetOptions, value: string | undefined): ConfigChange {
  const { key, unset } = options
  return {
    keys: [key],
    title: where => (unset ? `Take ${key} out of ${where}` : `Write ${key} to ${where}`),
    values: async () => ({ [key]: wantedValue(options, value) }),
    unneeded: async ({ toolbox }: StepContext) => {
      if (!unset && value === undefined) return undefined
      const stored = (await configOf(toolbox).stored()).get(key) ?? null
      return stored === wantedValue(options, value)
        ? unset
          ? 'it is not set'
          : 'it has this value already'
        : undefined
    },
    roles: ROLES,
    restart: options.restart,
  }
}

/** Returns what is to be stored; null for nothing. @throws RefusedError when the value died with an earlier process. */
function wantedValue({ key, unset }: SetOptions, value: string | undefined): string | null {
  if (unset) return null
  if (value !== undefined) return value
  throw new RefusedError({
    code: 'value-gone',
    message: `The value of ${key} is gone: it was never written down, and the process that knew it has died.`,
    next: `mstdn-ops config:set ${key}`,
  })
}

/**
 * Returns what must be agreed to: the domain, when the variable is bound up with data and another value is stored.
 * An unknown value (not given yet) counts as another.
 */
export async function consentFor(toolbox: Toolbox, options: SetOptions, value: string | undefined): Promise<Consent> {
  const breaks = whatBreaks(options.key)
  if (breaks === undefined) return { kind: 'none' }
  const stored = (await configOf(toolbox).stored()).get(options.key) ?? ''
  if (stored === '' || stored === (value ?? null)) return { kind: 'none' }
  return { kind: 'domain', loses: `${options.key} has another value now. If it changes: ${breaks}.` }
}

async function describe(
  toolbox: Toolbox,
  { key, unset }: SetOptions,
  noted: (key: string) => string | undefined,
): Promise<SetResult> {
  const config = configOf(toolbox)
  const changed = noted('written') !== undefined
  return {
    key,
    where: config.where,
    change: changed ? (unset ? 'unset' : 'set') : 'none',
    inForce: (await config.running()).get(key) === (await config.stored()).get(key),
    keptAt: await settleCopy(toolbox, noted),
  }
}
