import { RefusedError, UsageError } from '../errors.js'
import { type BackendKind, type Instance, namesCompose } from '../instance.js'
import type { Ledger } from '../ledger.js'
import type { Output } from '../output.js'
import type { Runner } from '../runner.js'
import type { Backend } from './backend.js'

export interface BackendParts {
  runner: Runner
  output: Output
  ledger: Ledger
}

type Open = (instance: Instance, parts: BackendParts) => Promise<Backend>

/** Every backend, loaded only when it is used. A new one is a folder beside these and a line here. */
const OPENERS: Readonly<Record<BackendKind, Open>> = {
  compose: async (instance, parts) => (await import('./compose/index.js')).openCompose(instance, parts),
  heroku: async (instance, parts) => (await import('./heroku/index.js')).openHeroku(instance, parts),
  direct: async (instance, parts) => (await import('./direct/index.js')).openDirect(instance, parts),
  sandbox: async (instance, parts) => (await import('./direct/sandbox/index.js')).openSandbox(instance, parts),
}

/**
 * Returns the instance's backend, ready to use.
 *
 * @throws UsageError when no backend was named and none could be detected; RefusedError from its preflight.
 */
export async function openBackend(instance: Instance, parts: BackendParts): Promise<Backend> {
  const backend = instance.backend ? await OPENERS[instance.backend](instance, parts) : await detect(instance, parts)
  await backend.preflight()
  return backend
}

/**
 * Returns the backend of an instance that may not be there yet.
 *
 * @throws RefusedError where none is made from here.
 */
export async function openNewBackend(instance: Instance, parts: BackendParts): Promise<Backend> {
  const isApp = instance.app !== undefined || (instance.ambient.herokuApp !== undefined && !namesCompose(instance))
  const kind = instance.backend ?? (isApp ? 'heroku' : 'compose')
  if (kind !== 'compose') throw notMadeThere(kind)
  return (await import('./compose/index.js')).openNewCompose(instance, parts)
}

function notMadeThere(kind: string): RefusedError {
  return new RefusedError({
    code: 'no-setup-there',
    message: `A new instance cannot be made with the ${kind} backend yet.`,
    next: 'mstdn-ops setup -C DIR makes one on Docker Compose.',
  })
}

async function detect(instance: Instance, parts: BackendParts): Promise<Backend> {
  if (instance.app !== undefined) return OPENERS.heroku(instance, parts)
  if (instance.databaseUrl) return OPENERS.direct(instance, parts)
  if (instance.ambient.inDyno && instance.ambient.databaseUrl) return openAmbient(instance, parts)
  const found = await (namesCompose(instance) ? composeFirst(instance, parts) : herokuFirst(instance, parts))
  if (found !== undefined) return found
  if (instance.ambient.databaseUrl) return openAmbient(instance, parts)
  throw noInstanceFound(instance)
}

/** Where a compose project was asked for: HEROKU_APP, which is set for another program, does not count. */
async function composeFirst(instance: Instance, parts: BackendParts): Promise<Backend | undefined> {
  const compose = await openDetectedCompose(instance, parts)
  if (compose !== undefined) return compose
  const { appOfRemote } = await import('./heroku/detect.js')
  return openDetectedApp(await appOfRemote(instance.projectDir, parts.runner), instance, parts)
}

/** Before compose: a checkout of Mastodon that is pushed to Heroku has its compose file beside it. */
async function herokuFirst(instance: Instance, parts: BackendParts): Promise<Backend | undefined> {
  const { detectApp } = await import('./heroku/detect.js')
  const app = await detectApp(instance, parts.runner)
  return (await openDetectedApp(app, instance, parts)) ?? openDetectedCompose(instance, parts)
}

async function openDetectedCompose(instance: Instance, parts: BackendParts): Promise<Backend | undefined> {
  const { detectCompose } = await import('./compose/index.js')
  return (await detectCompose(instance.projectDir, parts)) ? OPENERS.compose(instance, parts) : undefined
}

/** Without a login to be had on this machine, DATABASE_URL is enough. */
async function openDetectedApp(
  app: string | undefined,
  instance: Instance,
  parts: BackendParts,
): Promise<Backend | undefined> {
  if (app === undefined) return undefined
  return OPENERS.heroku({ ...instance, app }, parts).catch((error: unknown) => {
    const isWithoutClient = error instanceof RefusedError && error.code === 'heroku-cli-missing'
    if (isWithoutClient && instance.ambient.databaseUrl) return openAmbient(instance, parts)
    throw error
  })
}

function noInstanceFound({ projectDir }: Instance): UsageError {
  return new UsageError({
    code: 'no-instance-found',
    message: `No Mastodon was found in ${projectDir}.`,
    cause:
      'There is no mstdn-ops.yaml, no app on Heroku named, and no compose project with a Mastodon image in that folder.',
    next: 'Point at the compose project with -C DIR, name the app on Heroku with --app, write a mstdn-ops.yaml, or try the sandbox: mstdn-ops sandbox:start',
  })
}

/** By the platform's own variables, as in a scheduled job of the app. */
function openAmbient(instance: Instance, parts: BackendParts): Promise<Backend> {
  return OPENERS.direct({ ...instance, ...instance.ambient }, parts)
}
