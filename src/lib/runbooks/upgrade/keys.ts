import type { Config } from '../../backends/backend.js'
import { hasEncryptionKeys } from '../../mastodon/health.js'
import { isUsable, newEncryptionKeys, secretsForUpgrade } from '../../mastodon/secrets.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { configOf } from '../config/change.js'
import type { UpgradeOptions } from './options.js'
import { mayHaveServed } from './serving.js'

/** Makes the encryption keys without which a release from 4.3.0 on does not start, where they are not there. */
export function keysStep(options: UpgradeOptions): Step {
  return {
    id: 'keys',
    title: `Make the encryption keys that ${options.to} needs`,
    effect: 'write',
    needed: async ({ toolbox }) => {
      const missing = toolbox.backend.config ? await missingKeys(configOf(toolbox), options) : []
      return missing.length > 0 || 'none is missing'
    },
    done: async ({ toolbox }) => (await missingKeys(configOf(toolbox), options)).length === 0,
    run: context => write(context, options),
    undo: takeBack,
  }
}

/** Forgets the copy of the former configuration, which holds secrets. */
export async function forgetKeysCopy(context: Pick<StepContext, 'toolbox' | 'runId' | 'noted'>): Promise<void> {
  if (context.noted('keys-kept') !== undefined) await configOf(context.toolbox).forget(key(context))
}

/** Returns the mandatory secrets that nothing here makes, and that are not set. */
export async function missingSecrets(config: Config, options: Pick<UpgradeOptions, 'from' | 'to'>): Promise<string[]> {
  const made = madeFor(options)
  return (await missing(config, options)).filter(name => !made.includes(name))
}

/** Returns the encryption keys that the upgrade makes. */
export async function missingKeys(config: Config, options: Pick<UpgradeOptions, 'from' | 'to'>): Promise<string[]> {
  const made = madeFor(options)
  return (await missing(config, options)).filter(name => made.includes(name))
}

/** A release that has them may have sealed something with those that are missing: they are not made anew. */
function madeFor({ from }: Pick<UpgradeOptions, 'from'>): string[] {
  return hasEncryptionKeys(MastodonVersion.of(from)) ? [] : Object.keys(newEncryptionKeys())
}

async function missing(config: Config, { from, to }: Pick<UpgradeOptions, 'from' | 'to'>): Promise<string[]> {
  const stored = await config.stored()
  const needed = secretsForUpgrade(MastodonVersion.of(from), MastodonVersion.of(to))
  return needed.filter(name => !isUsable(stored.get(name)))
}

async function write(context: StepContext, options: UpgradeOptions): Promise<void> {
  const { toolbox } = context
  const config = configOf(toolbox)
  const names = await missingKeys(config, options)
  const made = newEncryptionKeys()
  const changes = Object.fromEntries(names.map(name => [name, made[name] ?? '']))
  for (const [name, value] of Object.entries(changes)) toolbox.output.redactor.add(name, value)
  await context.note('keys-kept', await config.keep(key(context), names))
  await config.write(changes)
}

/** Once the new release has served, something may be sealed with them. */
async function takeBack(context: StepContext): Promise<void> {
  if (context.noted('keys-kept') === undefined) return
  const config = configOf(context.toolbox)
  if (mayHaveServed(context)) {
    context.toolbox.output.info(`The new encryption keys stay in ${config.where}: something may be sealed with them.`)
  } else {
    await config.putBack(key(context))
  }
  await config.forget(key(context))
}

function key({ runId }: Pick<StepContext, 'runId'>): string {
  return `${runId}-keys`
}
