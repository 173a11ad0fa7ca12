import { createHash } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { ROLES } from '../../backends/backend.js'
import { type OpenedConfiguration, openConfiguration } from '../../backups/configuration/open.js'
import { RefusedError } from '../../errors.js'
import { isSecretName } from '../../mastodon/secrets.js'
import type { Consent, Runbook } from '../../runbook/step.js'
import { printableLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from './change.js'
import { whatBreaks } from './guarded.js'

/** What the journal may know: names, and never a value. */
export interface ConfigRestoreOptions {
  /** The path of the backup. */
  file: string
  /** SHA-256 of it: another one is not taken for it. */
  sha256: string
  identity?: string
  set: string[]
  remove: string[]
}

export interface ConfigRestoreResult {
  where: string
  set: string[]
  removed: string[]
  /** Whether the running process sees it. */
  inForce: boolean
  /** The copy of the former configuration, where a secret or a name was replaced. */
  keptAt: string | null
}

/** What differs from the backup, by name. */
export interface ConfigDifferences {
  /** Has another value here, or none. */
  set: string[]
  /** Not in the backup. */
  remove: string[]
  /** Differs and stays as it is, with the reason. */
  left: { name: string; why: string }[]
  /** Files of the backup that are others here, or gone. They are not written from here. */
  files: string[]
}

/** Returns what differs between the backup and the configuration as it is stored now. */
export async function differencesFrom(toolbox: Toolbox, { kept }: OpenedConfiguration): Promise<ConfigDifferences> {
  const config = configOf(toolbox)
  await config.writable()
  const [own, stored] = [await config.own(), await config.stored()]
  const found: ConfigDifferences = { set: [], remove: [], left: [], files: await otherFiles(kept.files, config.where) }
  for (const [name, value] of Object.entries(kept.variables)) {
    if (own.get(name) === value) continue
    // Set by the platform or by another file: what is written here would have no effect.
    if (stored.has(name) && !own.has(name)) found.left.push({ name, why: 'it is set elsewhere now' })
    else found.set.push(name)
  }
  for (const name of own.keys()) {
    if (Object.hasOwn(kept.variables, name)) continue
    if (whatBreaks(name) === undefined) found.remove.push(name)
    else found.left.push({ name, why: 'it is not in the backup, and what was made with it needs it' })
  }
  return found
}

/** What differs in the file that the variables stand in is told by their names. */
async function otherFiles(files: OpenedConfiguration['kept']['files'], where: string): Promise<string[]> {
  const found: string[] = []
  for (const { path, sha256 } of files) {
    if ((await realpath(path).catch(() => path)) === where) continue
    if ((await readFile(path).then(sumOf, () => '')) !== sha256) found.push(path)
  }
  return found
}

function sumOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Gives the variables the values that they had, and restarts so that these take effect. */
export const configRestore: Runbook<ConfigRestoreOptions, ConfigRestoreResult> = {
  name: 'config:restore',
  check: async toolbox => configOf(toolbox).writable(),
  consent: consentFor,
  steps: async (toolbox, options) => configSteps(toolbox, changeOf(options)),
  result: describe,
}

function changeOf({ file, sha256, identity, set, remove }: ConfigRestoreOptions): ConfigChange {
  const keys = [...set, ...remove]
  return {
    keys,
    title: where => `Give ${keys.join(', ')} in ${where} the values of the backup`,
    values: async () => {
      const { kept, sha256: now } = await openConfiguration(file, identity)
      if (now !== sha256) throw anotherFile(file)
      const values = set.map(name => [name, kept.variables[name] ?? null] as const)
      return Object.fromEntries([...values, ...remove.map(name => [name, null] as const)])
    },
    unneeded: async () => (keys.length === 0 ? 'all variables are as in the backup' : undefined),
    roles: ROLES,
    restart: true,
  }
}

/** The domain, where a name or a secret that data depends on gets another value; a yes, where something else does. */
async function consentFor(toolbox: Toolbox, { file, identity, set, remove }: ConfigRestoreOptions): Promise<Consent> {
  const { kept } = await openConfiguration(file, identity)
  const config = configOf(toolbox)
  const stored = await config.stored()
  const broken = set.filter(name => whatBreaks(name) !== undefined && (stored.get(name) ?? '') !== '')
  const summary = summaryOf({ set, remove }, config.where, kept.madeAt)
  if (broken.length === 0) {
    return set.length + remove.length === 0 ? { kind: 'none' } : { kind: 'yes', question: `${summary} Do it?` }
  }
  const origin = kept.instance.domain === (await toolbox.app.domain()) ? [] : [strange(kept.instance.domain)]
  const reasons = broken.map(name => `${name} has another value now. If it changes: ${whatBreaks(name)}.`)
  return { kind: 'domain', loses: [...origin, summary, ...reasons].join('\n') }
}

function summaryOf({ set, remove }: Pick<ConfigRestoreOptions, 'set' | 'remove'>, where: string, madeAt: string) {
  const parts = [
    ...(set.length > 0 ? [`${set.join(', ')} ${set.length === 1 ? 'gets' : 'get'} another value`] : []),
    ...(remove.length > 0 ? [`${remove.join(', ')} ${remove.length === 1 ? 'is' : 'are'} removed`] : []),
  ]
  return `In ${where}, as of ${printableLine(madeAt)}: ${parts.join('; ')}.`
}

function strange(domain: string): string {
  return `The backup is of another instance: ${printableLine(domain)}.`
}

async function describe(
  toolbox: Toolbox,
  { set, remove }: ConfigRestoreOptions,
  noted: (key: string) => string | undefined,
): Promise<ConfigRestoreResult> {
  const config = configOf(toolbox)
  const changed = noted('written') !== undefined
  const [running, stored] = [await config.running(), await config.stored()]
  return {
    where: config.where,
    set: changed ? set : [],
    removed: changed ? remove : [],
    inForce: [...set, ...remove].every(name => running.get(name) === stored.get(name)),
    keptAt: await settleCopy(toolbox, noted),
  }
}

/** Makes the secrets of the backup known to the redactor. */
export function learnSecrets(toolbox: Toolbox, { kept }: OpenedConfiguration): void {
  for (const [name, value] of Object.entries(kept.variables)) {
    if (isSecretName(name)) toolbox.output.redactor.add(name, value)
  }
}

function anotherFile(file: string): RefusedError {
  return new RefusedError({
    code: 'another-backup',
    message: `${file} is another file than the one that was agreed to.`,
    next: 'Run mstdn-ops config:restore again, and look at what it would change.',
  })
}
