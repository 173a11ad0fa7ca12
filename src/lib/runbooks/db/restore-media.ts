import { decryptWith } from '../../backups/encryption.js'
import { type MediaSource, mediaOf, readMedia, restoreMedia } from '../../backups/media.js'
import type { StoredBackup } from '../../backups/store.js'
import { RefusedError } from '../../errors.js'
import type { Step } from '../../runbook/step.js'

/** Where the files of media come from, and the key that opens them. */
interface MediaOptions {
  identity?: string
}

/** Refuses before anything is changed where the backup holds no media, or not whole ones. */
export async function checkMedia(backup: StoredBackup, options: MediaOptions): Promise<void> {
  await readMedia(await mediaIn(backup, options))
}

/** Puts files back that are missing or another: while the new state serves already, for they may be many. */
export function mediaStep(backup: StoredBackup, options: MediaOptions): Step {
  return {
    id: 'media',
    title: 'Put the files of media back',
    effect: 'write',
    repeatable: true,
    irreversible: 'files of the same name are replaced; nothing else is removed',
    run: async ({ toolbox, progress, note }) => {
      const told = (bytes: number) => progress(`${Math.round(bytes / 1e6)} MB`)
      const { files } = await restoreMedia(toolbox, await mediaIn(backup, options), told)
      await note('media-files', String(files))
    },
  }
}

async function mediaIn(backup: StoredBackup, { identity }: MediaOptions): Promise<MediaSource> {
  const source = mediaOf(backup, identity === undefined ? undefined : await decryptWith(identity))
  if (source) return source
  throw new RefusedError({
    code: 'no-media-in-backup',
    message: `The backup ${backup.name} holds no media.`,
    next: 'Leave out --with-media, or choose a backup that was made --with media: mstdn-ops db:backups',
  })
}
