import type { ReleaseBack, ReleasePart } from '../../../backends/backend.js'
import { RefusedError } from '../../../errors.js'
import { appliedMigrations, migrationFiles } from '../../../mastodon/migrations.js'
import { lacks } from '../../../open-toolbox.js'
import type { RunRecord } from '../../../runbook/journal.js'
import { plural } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'
import { safetyBackup } from '../../replace/safety-backup.js'
import { changeOf } from '../options.js'
import { APPLIED_BEFORE, IMAGES } from '../serving.js'
import { optionsOfUpgrade } from './runs.js'

export interface BackOptions {
  /** The run of the upgrade. */
  of: string
  /** The release that is left, and the one that is gone back to. */
  from: string
  to: string
  /** The code of before, by the names of the files. */
  images: string[]
  /** The folder of the backup that has to be restored; absent where the former release serves with what there is. */
  backup?: string
  identity?: string
  /** How long Sidekiq may work its queues off, where the database is replaced. */
  drainSeconds: number
}

/**
 * Returns how the upgrade is taken back: the release alone, until post-deployment migrations were applied.
 *
 * @throws RefusedError where the backup is needed, and none was made.
 */
export async function backOptionsOf(
  toolbox: Toolbox,
  record: RunRecord,
  said: Pick<BackOptions, 'drainSeconds' | 'identity'>,
): Promise<BackOptions> {
  const { from: to, to: from } = optionsOfUpgrade(record)
  const parts = JSON.parse(record.notes.get(IMAGES) ?? '[]') as ReleasePart[]
  const options = { of: record.header.runId, from, to, images: [...new Set(parts.map(part => part.from))], ...said }
  const why = await whyNotRelease(toolbox, record)
  return why === undefined ? options : { ...options, backup: backupOf(record, why) }
}

/** Returns why the former release cannot serve with the database as it is; undefined where it can. */
export async function whyNotRelease(toolbox: Toolbox, record: RunRecord): Promise<string | undefined> {
  const { from, to, coexist } = optionsOfUpgrade(record)
  if (!coexist) return `${from} and ${to} do not work with the same schema.`
  const before = new Set(listed(record, APPLIED_BEFORE))
  const since = [...(await appliedMigrations(toolbox))].filter(id => !before.has(id))
  // By the release that was put in place: what the files name by now may be the former one.
  const isHere = await changeOf(toolbox).isHere(to)
  const fatal = isHere
    ? await postOf(toolbox, to, since)
    : since.filter(id => !listed(record, 'planned-pre').includes(id))
  if (fatal.length === 0) return undefined
  const kind = isHere ? 'post-deployment migration' : 'migration'
  const were = plural(fatal.length, `${kind} was`, `${kind}s were`)
  return isHere
    ? `${were} applied, which ${from} cannot work with.`
    : `${were} applied besides the first ones; the image of ${to}, which would tell what they do, is not here.`
}

async function postOf(toolbox: Toolbox, release: string, applied: readonly string[]): Promise<string[]> {
  const files = await migrationFiles(toolbox, { release })
  return files.flatMap(({ id, phase }) => (phase === 'post' && applied.includes(id) ? [id] : []))
}

function listed({ notes }: RunRecord, key: string): string[] {
  return (notes.get(key) ?? '').split(' ').filter(Boolean)
}

function backupOf(record: RunRecord, cause: string): string {
  const path = safetyBackup(key => record.notes.get(key))?.path
  if (path) return path
  throw new RefusedError({
    code: 'upgrade-without-backup',
    message: `Going back to ${optionsOfUpgrade(record).from} takes the backup of before, and the upgrade made none.`,
    cause,
    next: 'Put the former images into the files, and a backup of that release back: mstdn-ops db:backups',
  })
}

/** Returns the facet. @throws RefusedError where no release is gone back to from here. */
export function backOf(toolbox: Toolbox): ReleaseBack {
  const { back } = changeOf(toolbox)
  if (back) return back
  throw lacks(toolbox.backend, 'releases', 'releases of before')
}
