import { RefusedError } from '../../errors.js'
import { UnsupportedVersionError } from '../../mastodon/catalogue.js'
import { isUsable, isVapidPair, newVapidPair, secretsOf } from '../../mastodon/secrets.js'
import type { Consent, Runbook } from '../../runbook/step.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from '../config/change.js'

export interface VapidOptions {
  /** Whether keys that are there may be replaced. */
  replace: boolean
}

export interface VapidResult {
  /** The public half: browsers are given it. */
  publicKey: string | null
  where: string
  replaced: boolean
  /** Subscriptions that were made with the former keys and work no more. */
  subscriptionsBroken: number
  /** Whether the running process has the keys. */
  inForce: boolean
  /** The copy of the former configuration, where former keys were replaced. */
  keptAt: string | null
}

const PRIVATE = 'VAPID_PRIVATE_KEY'
const PUBLIC = 'VAPID_PUBLIC_KEY'
const KEYS = [PRIVATE, PUBLIC]

/**
 * Makes the keys of web push on this machine and writes them where Mastodon's configuration is kept. Keys that are
 * there are replaced only when that is asked for and confirmed by the domain: browsers subscribe to one public key.
 */
export const vapid: Runbook<VapidOptions, VapidResult> = {
  name: 'keys:vapid',
  check: refuse,
  consent: async (toolbox, options) => {
    await refuse(toolbox, options)
    return (await hasKeys(toolbox)) ? confirmLoss(await subscriptions(toolbox)) : { kind: 'none' }
  },
  steps: async toolbox => configSteps(toolbox, change),
  result: describe,
}

const change: ConfigChange = {
  keys: KEYS,
  title: where => `Write new VAPID keys to ${where}`,
  values: async context => {
    const { toolbox } = context
    const replaced = await hasKeys(toolbox)
    await context.note('replaced', replaced ? 'yes' : 'no')
    await context.note('subscriptions', String(replaced ? await subscriptions(toolbox) : 0))
    const pair = newVapidPair()
    return { [PRIVATE]: pair.privateKey, [PUBLIC]: pair.publicKey }
  },
  // Web tells browsers the public key, Sidekiq signs with the private one; streaming has no use for them.
  roles: ['web', 'sidekiq'],
  restart: true,
}

async function refuse(toolbox: Toolbox, options: VapidOptions): Promise<void> {
  const config = configOf(toolbox)
  await refuseUnknown(toolbox)
  await config.writable()
  if (!options.replace && (await hasKeys(toolbox))) throw alreadyThere(toolbox, await subscriptions(toolbox))
}

/** Web push came with 1.5.0 (lib/tasks/mastodon.rake). */
async function refuseUnknown(toolbox: Toolbox): Promise<void> {
  const version = await toolbox.app.version()
  if (secretsOf(version).some(secret => secret.name === PRIVATE)) return
  throw new UnsupportedVersionError({
    message: `Mastodon ${version} has no web push, and so no VAPID keys.`,
    cause: 'Web push came with Mastodon 1.5.0.',
    next: 'Upgrade to 1.5.0 or newer first.',
    needs: '1.5.0',
  })
}

async function hasKeys(toolbox: Toolbox): Promise<boolean> {
  const stored = await configOf(toolbox).stored()
  return KEYS.some(key => isUsable(stored.get(key)))
}

/** Returns how many browsers have subscribed. The table came with 1.5.0, together with the keys. */
async function subscriptions(toolbox: Toolbox): Promise<number> {
  const database = await toolbox.database()
  const [row] = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM web_push_subscriptions')
  return row?.count ?? 0
}

function confirmLoss(count: number): Consent {
  const what = `${plural(count, 'push subscription')} made with the present keys ${count === 1 ? 'stops' : 'stop'} working`
  return { kind: 'domain', loses: `${what}: browsers and apps have to subscribe again.` }
}

function alreadyThere(toolbox: Toolbox, count: number): RefusedError {
  const command = 'mstdn-ops keys:vapid --replace --confirm DOMAIN'
  return new RefusedError({
    code: 'vapid-keys-exist',
    message: `VAPID keys are set already in ${configOf(toolbox).where}: nothing was changed.`,
    cause: `New ones would break ${plural(count, 'push subscription')}.`,
    next: `Nothing, if push works. To replace them all the same: ${command}`,
  })
}

async function describe(
  toolbox: Toolbox,
  _options: VapidOptions,
  noted: (key: string) => string | undefined,
): Promise<VapidResult> {
  const config = configOf(toolbox)
  const stored = await config.stored()
  const running = await config.running()
  const publicKey = stored.get(PUBLIC) ?? null
  const whole = isVapidPair({ privateKey: stored.get(PRIVATE) ?? '', publicKey: publicKey ?? '' })
  return {
    publicKey,
    where: config.where,
    replaced: noted('replaced') === 'yes',
    subscriptionsBroken: Number(noted('subscriptions') ?? 0),
    inForce: whole && noted('processes') !== undefined && KEYS.every(key => running.get(key) === stored.get(key)),
    keptAt: await settleCopy(toolbox, noted),
  }
}
