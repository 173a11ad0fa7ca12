import { resolve } from 'node:path'
import { RefusedError } from '../errors.js'
import { printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { isBackup, isProven, openBackup, type StoredBackup, storeOf } from './store.js'

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

async function latestBackup(toolbox: Toolbox): Promise<StoredBackup> {
  const instance = { domain: await toolbox.app.domain(), now: toolbox.clock.now() }
  const { backups } = await storeOf(toolbox).list()
  const at = backups.findIndex(backup => whyNot(backup, instance) === undefined)
  const newer = at === -1 ? backups : backups.slice(0, at)
  const passedOver = newer.map(backup => `${backup.name} (${whyNot(backup, instance)})`).join(', ')
  const found = backups[at]
  if (found === undefined) throw noneProven(instance.domain, passedOver)
  toolbox.output.info(`The latest is ${found.name}, of ${found.manifest.startedAt}.`)
  if (passedOver !== '') toolbox.output.warn(`Newer, and passed over: ${passedOver}.`)
  return found
}

/** Returns why it cannot be the one that is meant. */
function whyNot(backup: StoredBackup, { domain, now }: { domain: string; now: Date }): string | undefined {
  const { startedAt, instance } = backup.manifest
  if (instance.domain !== domain) return `of ${printableLine(instance.domain)}`
  if (Date.parse(startedAt) > now.getTime()) return 'made in the future'
  if (backup.damage !== undefined) return 'damaged'
  return isProven(backup) ? undefined : 'not proven'
}

function noneProven(domain: string, passedOver: string): RefusedError {
  return new RefusedError({
    code: 'no-such-backup',
    message: `There is no proven backup of ${domain} yet.`,
    cause: passedOver === '' ? 'There is none at all.' : `Passed over: ${passedOver}.`,
    next: passedOver === '' ? 'mstdn-ops db:backup makes one.' : 'Name the one that you mean: mstdn-ops db:backups',
  })
}
