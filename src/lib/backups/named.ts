import { resolve } from 'node:path'
import { RefusedError } from '../errors.js'
import { printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { isBackup, isProven, openBackup, type StoredBackup, storeOf } from './store.js'

/** What this tool calls its backups. */
const OUR_NAME = /^\d{8}-\d{6}-[0-9a-f]{4}$/

/**
 * Returns the backup that is meant by a path, a name of the store, or `latest`: the newest one that is proven, of this
 * instance, and not made in the future. Which that is is said.
 *
 * @throws RefusedError when there is none.
 */
export async function namedBackup(toolbox: Toolbox, name: string): Promise<StoredBackup> {
  if (await isBackup(name)) return openBackup(resolve(name))
  if (name === 'latest') return latestBackup(toolbox)
  const { backups } = await storeOf(toolbox).list()
  const found = backups.find(backup => backup.name === name)
  if (found) return found
  throw new RefusedError({
    code: 'no-such-backup',
    message: `There is no backup ${name}.`,
    cause: `It is neither a backup's folder nor one in ${storeOf(toolbox).dir}.`,
    next: backups.length === 0 ? 'mstdn-ops db:backup makes one.' : 'mstdn-ops db:backups lists them.',
  })
}

/**
 * Returns the backup that is looked at: as {@link namedBackup} does, but `latest` is the newest of this instance, proven
 * or not. A bad one would else stay unseen behind an older good one.
 *
 * @throws RefusedError when there is none, or its manifest is damaged.
 */
export async function backupToVerify(toolbox: Toolbox, name: string): Promise<StoredBackup> {
  if (name !== 'latest' || (await isBackup(name))) return namedBackup(toolbox, name)
  const instance = await whoAsks(toolbox)
  const { backups, broken } = await storeOf(toolbox).list()
  const found = newest(toolbox, backups, backup => whyNotOurs(backup, instance))
  const [newer] = broken
    .filter(({ name, at }) => OUR_NAME.test(name) && (found?.manifest.startedAt ?? '') < at)
    .filter(({ at }) => at <= instance.now.toISOString())
    .sort((a, b) => b.at.localeCompare(a.at))
  // Whose it is cannot be read any more: better one alarm too many.
  if (newer) return openBackup(newer.path)
  if (found === undefined) throw noneThere(instance.domain, backups.length > 0)
  return found
}

async function latestBackup(toolbox: Toolbox): Promise<StoredBackup> {
  const instance = await whoAsks(toolbox)
  const { backups } = await storeOf(toolbox).list()
  const found = newest(toolbox, backups, backup => whyNot(backup, instance))
  if (found !== undefined) return found
  const passedOver = backups.map(backup => `${backup.name} (${whyNot(backup, instance)})`).join(', ')
  throw noneProven(instance.domain, passedOver)
}

/** Says which one is the newest, and why newer ones are not meant. */
function newest(
  { output }: Toolbox,
  backups: readonly StoredBackup[],
  why: (backup: StoredBackup) => string | undefined,
): StoredBackup | undefined {
  const at = backups.findIndex(backup => why(backup) === undefined)
  const found = backups[at]
  if (found === undefined) return undefined
  output.info(`The latest is ${found.name}, of ${found.manifest.startedAt}.`)
  const passedOver = backups.slice(0, at).map(backup => `${backup.name} (${why(backup)})`)
  if (passedOver.length > 0) output.warn(`Newer, and passed over: ${passedOver.join(', ')}.`)
  return found
}

interface Asking {
  domain: string
  now: Date
}

async function whoAsks({ app, clock }: Toolbox): Promise<Asking> {
  return { domain: await app.domain(), now: clock.now() }
}

/** Returns why it cannot be the one that is meant. */
function whyNot(backup: StoredBackup, asking: Asking): string | undefined {
  const stranger = whyNotOurs(backup, asking)
  if (stranger !== undefined) return stranger
  if (backup.damage !== undefined) return 'damaged'
  return isProven(backup) ? undefined : 'not proven'
}

function whyNotOurs({ manifest }: StoredBackup, { domain, now }: Asking): string | undefined {
  if (manifest.instance.domain !== domain) return `of ${printableLine(manifest.instance.domain)}`
  return Date.parse(manifest.startedAt) > now.getTime() ? 'made in the future' : undefined
}

function noneProven(domain: string, passedOver: string): RefusedError {
  return new RefusedError({
    code: 'no-such-backup',
    message: `There is no proven backup of ${domain} yet.`,
    cause: passedOver === '' ? 'There is none at all.' : `Passed over: ${passedOver}.`,
    next: passedOver === '' ? 'mstdn-ops db:backup makes one.' : 'Name the one that you mean: mstdn-ops db:backups',
  })
}

function noneThere(domain: string, hasOthers: boolean): RefusedError {
  return new RefusedError({
    code: 'no-such-backup',
    message: `There is no backup of ${domain} yet.`,
    cause: hasOthers ? 'Those that are there are of others, or made in the future.' : 'There is none at all.',
    next: hasOthers ? 'Name the one that you mean: mstdn-ops db:backups' : 'mstdn-ops db:backup makes one.',
  })
}
