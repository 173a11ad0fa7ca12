import { OperatorError } from '../errors.js'
import { type InstanceFlags, resolveInstance } from '../instance.js'
import type { Output } from '../output.js'
import { backupsDir } from '../paths.js'
import type { Toolbox } from '../toolbox.js'
import { type BackupOverview, overviewOf } from './overview.js'
import { onDatabaseDisk } from './same-disk.js'
import { BackupStore, storeOf } from './store.js'

/**
 * Returns what the instance's store holds. Where the instance cannot be opened (its engine is away), the folder that
 * the configuration names is looked at: backups are needed most then.
 *
 * @throws what opening threw, where nothing names the folder.
 */
export async function overviewHere(
  open: () => Promise<Toolbox>,
  flags: InstanceFlags,
  output: Output,
): Promise<BackupOverview> {
  const opened = await open().catch((error: unknown) => configuredStore(error, flags, output))
  if (opened instanceof BackupStore) return { ...(await overviewOf(opened, new Date())), onDatabaseDisk: null }
  const store = storeOf(opened)
  const overview = await overviewOf(store, opened.clock.now())
  return { ...overview, onDatabaseDisk: await onDatabaseDisk(opened, store.dir) }
}

async function configuredStore(error: unknown, flags: InstanceFlags, output: Output): Promise<BackupStore> {
  if (!(error instanceof OperatorError)) throw error
  const { name, backups } = await resolveInstance(flags)
  const dir = backups.dir ?? (name === '' ? undefined : backupsDir(name))
  if (dir === undefined) throw error
  output.info(`${error.message} Its backups are looked at all the same.`)
  return new BackupStore(dir)
}
