import { NotUndoneError, OutcomeUnknownError, RefusedError } from '../../errors.js'
import { readText, records, toRecord } from '../json.js'
import type { HerokuApp } from './app.js'
import { type Attachment, attachmentNamed, attachmentsOf, CURRENT, requireAttachment } from './attachments.js'
import type { DataApi } from './data-api.js'
import type { Patience } from './databases.js'
import { isUnreachable } from './platform-api.js'
import { pauses } from './transfer-wait.js'

/** What `pg:promote` moves along with DATABASE where there is one. */
const POOL = { name: 'DATABASE_CONNECTION_POOL', namespace: 'connection-pooling:default' }

/**
 * Makes DATABASE_URL lead to another add-on, with the calls of `pg:promote` (heroku 11.10.0, commands/pg/promote.js).
 * The add-on before gets a second name first, for the platform takes the last one from none.
 *
 * @throws RefusedError when nothing was done; NotUndoneError when the release with the new URL has failed;
 * OutcomeUnknownError when its end was not seen.
 */
export async function promoteAddon(app: HerokuApp, data: DataApi, addon: string, pace: Patience): Promise<void> {
  const wanted = await requireAttachment(app, addon)
  const before = await attachmentsOf(app)
  const current = attachmentNamed(before, CURRENT)
  if (current?.addon.name === wanted.addon.name) return
  await refuseUnready(app, data, wanted)
  const newest = await newestRelease(app)
  if (current && !hasOtherName(before, current)) await attach(app, current, wanted, {})
  await attach(app, wanted, wanted, { name: CURRENT, namespace: null })
  const pool = before.find(one => one.name === POOL.name && one.addon.id === current?.addon.id)
  if (pool) await attach(app, wanted, wanted, POOL).catch(halfPromoted)
  app.forgetConfig()
  if (!app.api.dryRun) await untilReleased(app, newest, pace)
}

function hasOtherName(all: readonly Attachment[], { addon, name, namespace }: Attachment): boolean {
  return all.some(one => one.addon.id === addon.id && one.namespace === namespace && one.name !== name)
}

/** Gives an add-on a name, taking it from another one. By hand all of it is one command. */
async function attach(
  app: HerokuApp,
  { addon }: Attachment,
  promoted: Attachment,
  as: { name?: string; namespace?: string | null },
): Promise<void> {
  const { name } = as
  const change = {
    method: 'POST',
    path: '/addon-attachments',
    body: { addon: { name: addon.name }, app: { name: app.name }, confirm: app.name, ...as },
    exact: `attach ${addon.name} to ${app.name} as ${name ?? 'a second name'}`,
    byHand: app.byHand(['pg:promote', promoted.addon.name]),
  } as const
  await app.api.change(change, async () => {
    const ours = (await attachmentsOf(app)).filter(one => one.addon.name === addon.name)
    return ours.some(one => (name === undefined ? one.name !== CURRENT : one.name === name))
  })
}

/** A database that is being made or moved takes no sessions. */
async function refuseUnready(app: HerokuApp, data: DataApi, { addon }: Attachment): Promise<void> {
  const path = `/client/v11/databases/${encodeURIComponent(addon.id)}/wait_status`
  const { 'waiting?': isWaiting, message } = toRecord(await data.read(path))
  if (isWaiting !== true) return
  throw new RefusedError({
    code: 'database-not-ready',
    message: `${addon.name} is not ready: ${readText(message)}.`,
    next: app.byHand(['pg:wait', addon.name]),
  })
}

interface AttachRelease {
  version: number
  status: string
}

/** Where the app has a release phase, the new URL is in force only when that has succeeded. */
async function untilReleased(app: HerokuApp, before: number, { pauseMs, limitMs }: Patience): Promise<void> {
  const deadline = Date.now() + limitMs
  const pause = pauses(pauseMs)
  for (;;) {
    const releases = await releasesOf(app).catch(unlessUnreachable)
    const release = releases?.find(one => one.version > before)
    if (releases !== undefined && (release === undefined || release.status === 'succeeded')) return
    if (release?.status === 'failed') throw releaseFailed(app, release)
    if (Date.now() > deadline) throw releaseUnseen(app)
    await pause()
  }
}

async function newestRelease(app: HerokuApp): Promise<number> {
  const [newest] = records(await app.api.read(app.path('/releases'), 'version ..; order=desc,max=1'))
  return Number(newest?.version ?? 0)
}

/** Returns the releases that have given DATABASE_URL another value, the newest first. */
async function releasesOf(app: HerokuApp): Promise<AttachRelease[]> {
  const raw = records(await app.api.read(app.path('/releases'), 'version ..; order=desc,max=10'))
  const ours = raw.filter(({ description }) => /^Attach DATABASE\b(?!_)/.test(readText(description)))
  return ours.map(({ version, status }) => ({ version: Number(version), status: readText(status) }))
}

function releaseFailed(app: HerokuApp, { version }: AttachRelease): NotUndoneError {
  return new NotUndoneError({
    code: 'promote-release-failed',
    message: `The release v${version} with the new DATABASE_URL has failed.`,
    cause: 'The release phase of the app did not end well; its processes still have the former database, or none.',
    next: app.byHand(['releases:output', `v${version}`]),
  })
}

function unlessUnreachable(error: unknown): undefined {
  if (!isUnreachable(error)) throw error
}

/** DATABASE_URL leads elsewhere already. */
function halfPromoted(error: unknown): never {
  if (!(error instanceof RefusedError)) throw error
  throw new NotUndoneError({
    code: error.code,
    message: `DATABASE_URL was moved, ${POOL.name}_URL was not.`,
    cause: [error.message, error.why].filter(Boolean).join(' '),
    ...(error.next === undefined ? {} : { next: error.next }),
  })
}

function releaseUnseen(app: HerokuApp): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'promote-release-unseen',
    message: 'The release with the new DATABASE_URL was not seen to end.',
    next: app.byHand(['releases']),
  })
}
