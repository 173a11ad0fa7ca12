import type { Manifest } from '../backups/manifest.js'
import { mismatches } from '../backups/secrets.js'
import { type StoredBackup, storeOf } from '../backups/store.js'
import { messageOf } from '../errors.js'
import type { Toolbox } from '../toolbox.js'
import type { KeyFinding } from './finding.js'

type Values = ReadonlyMap<string, string>

const MAKE = 'mstdn-ops db:backup --with secrets (encrypted: needs backups: recipient in mstdn-ops.yaml)'

/** Returns whether the newest backup was made with these values, and whether one of them holds the secrets themselves. */
export async function findingOfBackups(toolbox: Toolbox, names: string[], stored: Values): Promise<KeyFinding> {
  const about = { look: 'backup', secrets: names } as const
  try {
    return { ...about, ...judged(await backupsOf(toolbox), names, stored) }
  } catch (error) {
    return { ...about, state: 'unknown', message: `The backups could not be looked at: ${messageOf(error)}` }
  }
}

async function backupsOf(toolbox: Toolbox): Promise<StoredBackup[]> {
  const [domain, now] = [await toolbox.app.domain(), toolbox.clock.now().getTime()]
  const { backups } = await storeOf(toolbox).list()
  return backups.filter(
    ({ manifest, damage }) =>
      damage === undefined && manifest.instance.domain === domain && Date.parse(manifest.startedAt) <= now,
  )
}

type Judgement = Pick<KeyFinding, 'state' | 'message' | 'fix'>

function judged([newest, ...older]: readonly StoredBackup[], names: readonly string[], stored: Values): Judgement {
  if (newest === undefined) return { state: 'warn', message: 'There is no backup of this instance.', fix: MAKE }
  const others = mismatches(newest.manifest, stored).filter(({ name }) => names.includes(name))
  if (others.length > 0)
    return otherThan(
      newest,
      others.map(({ name }) => name),
    )
  const holder = [newest, ...older].find(({ manifest }) => holds(manifest, names, stored))
  if (holder) return { state: 'ok', message: `They are kept, as they are, in the backup ${holder.name}.` }
  const message = `The newest backup, ${newest.name}, was made with these values; none holds the secrets themselves.`
  return { state: 'warn', message, fix: MAKE }
}

function otherThan({ name }: StoredBackup, secrets: readonly string[]): Judgement {
  const message = `The newest backup, ${name}, was made with other values of ${secrets.join(', ')}: restored, it would not fit them.`
  return { state: 'bad', message, fix: `If the present values are right: ${MAKE}` }
}

/** With its file of secrets, and a fingerprint of each that is set: one that came later is not in it. */
function holds(manifest: Manifest, names: readonly string[], stored: Values): boolean {
  if (!manifest.files.some(({ part }) => part === 'secrets')) return false
  const set = names.filter(name => Boolean(stored.get(name)))
  const other = mismatches(manifest, stored).some(({ name }) => names.includes(name))
  return set.every(name => name in manifest.secrets.fingerprints) && !other
}
