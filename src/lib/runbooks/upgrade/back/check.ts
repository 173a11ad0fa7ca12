import { namedBackup } from '../../../backups/named.js'
import { RefusedError } from '../../../errors.js'
import { MastodonVersion } from '../../../mastodon/version.js'
import type { RunRecord } from '../../../runbook/journal.js'
import { shellLine, shellQuote } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'
import { refusePooler } from '../../db/migrate.js'
import { refuseBad, refuseForeign } from '../../db/restore.js'
import { refuseSecondDatabase } from '../../replace/second-database.js'
import { releaseKey, WRITTEN } from '../serving.js'
import { type BackOptions, backOf, whyNotRelease } from './options.js'
import { theUpgrade } from './runs.js'

interface Written {
  path: string
  digest: string
}

/** Refuses what is in the way of going back. */
export async function refuse(toolbox: Toolbox, options: BackOptions): Promise<void> {
  const record = await theUpgrade(toolbox, options.of)
  await refuseOtherRelease(toolbox, options)
  await refuseChangedFiles(toolbox, record, options)
  await refusePooler(toolbox)
  if (options.backup === undefined) return refuseFurther(toolbox, record)
  const backup = await namedBackup(toolbox, options.backup)
  await refuseForeign(toolbox, backup)
  await refuseSecondDatabase(toolbox, backup.manifest.postgres.database.bytes)
  await refuseBad(toolbox, backup, options)
}

/** An upgrade that was abandoned may have left either of both. */
export async function refuseOtherRelease(
  toolbox: Toolbox,
  { of, from, to }: Pick<BackOptions, 'of' | 'from' | 'to'>,
): Promise<void> {
  const installed = await toolbox.app.version()
  if ([from, to].some(version => installed.equals(MastodonVersion.of(version)))) return
  throw new RefusedError({
    code: 'other-release-since',
    message: `Run ${of} put ${from} in place, and Mastodon ${installed} is installed.`,
    next: 'Take the newer upgrade back first: mstdn-ops rollback, and mstdn-ops runs lists them.',
  })
}

/** What an operator has written into them since would be lost. */
async function refuseChangedFiles(toolbox: Toolbox, { notes }: RunRecord, options: BackOptions): Promise<void> {
  const kept = await backOf(toolbox).kept(releaseKey({ runId: options.of }))
  const written = JSON.parse(notes.get(WRITTEN) ?? '[]') as Written[]
  for (const { path, digest } of written) {
    const found = kept.find(one => one.path === path)
    if (found === undefined) throw gone(path, options)
    if (!found.isBack && found.digest !== digest) throw changed(path, found.copy)
  }
}

async function refuseFurther(toolbox: Toolbox, record: RunRecord): Promise<void> {
  const why = await whyNotRelease(toolbox, record)
  if (why === undefined) return
  throw new RefusedError({
    code: 'migrated-meanwhile',
    message: 'The former release cannot serve any more: nothing was changed.',
    cause: why,
    next: 'Run the command again: it means restoring the backup now.',
  })
}

function changed(path: string, copy: string): RefusedError {
  const [former, present] = [shellQuote(copy), shellQuote(path)]
  return new RefusedError({
    code: 'files-changed-since',
    message: `${path} was changed since the upgrade: putting the former file back would lose that.`,
    cause: `The former file is ${copy}.`,
    next: `See what differs: diff ${former} ${present}. Note what is yours besides the images, take it out of ${present}, run the command again, and add it afterwards.`,
  })
}

function gone(path: string, { of, images, backup }: BackOptions): RefusedError {
  const write = `Write the former images into it (${images.join(', ')})`
  return new RefusedError({
    code: 'former-file-gone',
    message: `What ${path} was before run ${of} is not kept any more.`,
    cause: 'The copy beside it was removed, or the project does not use the file any more.',
    next:
      backup === undefined
        ? `${write}, then docker compose up -d --no-deps for web, streaming and Sidekiq.`
        : // The former release must not be started on what the post-deployment migrations left.
          `First docker compose stop for web, streaming and Sidekiq. ${write}, then ${shellLine(['mstdn-ops', 'db:restore', backup])}, and docker compose up -d --no-deps for the three.`,
  })
}
