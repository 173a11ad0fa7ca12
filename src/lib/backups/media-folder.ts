import { posix } from 'node:path'
import { isExcuse, type ScriptPlace, type ToolRun } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import { remoteMedia } from '../mastodon/media.js'
import { lacks } from '../open-toolbox.js'
import { printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'

/** The folder of the media, and the place of the scripts that work on it. */
export interface MediaFolder {
  place: ScriptPlace
  path: string
  /** Folders in it that hold copies of other servers' media alone. */
  leftOut: readonly string[]
  /** What of such copies lies among the rest, in words. */
  among: string
}

/**
 * Goes into the folder and sets `$@` to what stands there, without the folders that are left out. What is a link to a
 * folder, like one on a larger disk, is followed by its dot; `tar -h` would follow links deep inside in circles.
 */
const LISTED = `export LC_ALL=C; cd "$1" || exit 9; out=" $2 "; set --
for f in * .[!.]* ..?*; do case $out in *" $f "*) continue;; esac
if [ -L "$f" ] && [ -d "$f" ]; then set -- "$@" "./$f/."; elif [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "./$f"; fi; done
n=; command -v nice >/dev/null 2>&1 && n="nice -n 19"`

/** Files with several names count as often. */
const WEIGHED = `${LISTED}; [ $# -gt 0 ] || { echo "0 total"; exit 0; }
find "$@" -type l 2>/dev/null | head -n 1; $n du -sckl "$@" 2>/dev/null | tail -n 1`

/** Images do not get smaller by compression. An archive of nothing is two empty blocks. */
const PACKED = `${LISTED}; [ $# -gt 0 ] || { head -c 1024 /dev/zero; exit 0; }
h=$(tar --help 2>&1); o=
case $h in *--hard-dereference*) o=--hard-dereference;; esac
case $h in *--warning=*) o="$o --warning=no-file-changed --warning=no-file-removed --warning=no-file-shrank";; esac
$n tar $o -cf - "$@"`

/** Returns the folder of the media. @throws RefusedError where no script reaches it. */
export async function mediaFolder(toolbox: Toolbox): Promise<MediaFolder> {
  const { backend } = toolbox
  const found = await backend.storage?.media?.()
  if (found === undefined) throw lacks(backend, 'storage', 'way to the files of its media')
  if (isExcuse(found)) throw new RefusedError({ code: 'no-media', message: 'The media are out of reach.', ...found })
  const { folders, among } = remoteMedia(await toolbox.app.version())
  return { ...found, leftOut: folders, among }
}

/**
 * Returns how many bytes a backup of the media needs.
 *
 * @throws RefusedError when the folder cannot be read, or holds a link that would not come back.
 */
export async function weighMedia(folder: MediaFolder): Promise<number> {
  const { said, exitCode, stderr } = await answerOf(await started(folder, 'du', WEIGHED))
  if (exitCode === 9) throw noFolder(folder, stderr)
  const [, blocks] = /^(\d+)\s+total$/m.exec(said) ?? []
  if (blocks === undefined) throw failed('du', folder, stderr)
  const link = said.split('\n').find(line => line.startsWith('./'))
  if (link !== undefined) throw linkInside(folder, posix.normalize(link))
  return Number(blocks) * 1024
}

/** Whether files of this server are known; all versions have the columns (1.5 to 4.7, db/schema.rb). */
const HAS_FILES = `SELECT EXISTS (SELECT FROM accounts WHERE domain IS NULL AND avatar_file_name IS NOT NULL)
  OR EXISTS (SELECT FROM media_attachments WHERE remote_url = '' AND file_file_name IS NOT NULL) AS known`

/**
 * Refuses an empty folder where the database knows files in it: a disk that is not mounted looks like that.
 *
 * @throws RefusedError that names the folder.
 */
export async function refuseLost(toolbox: Toolbox, { place, path }: MediaFolder): Promise<void> {
  const [row] = await (await toolbox.database()).query<{ known: boolean }>(HAS_FILES)
  if (!row?.known) return
  throw new RefusedError({
    code: 'media-not-there',
    message: `No file of this server is in the folder of the media, ${path} of ${place.where}.`,
    cause: 'The database knows of such files: their disk or volume may not be mounted.',
    next: 'Mount it (docker compose config shows the volumes), or leave media out of --with.',
  })
}

/** Starts tar, which writes the media to its standard output; see {@link tarEnded}. */
export function packMedia(folder: MediaFolder): Promise<ToolRun> {
  return started(folder, 'tar', PACKED)
}

function started({ place, path, leftOut }: MediaFolder, what: string, script: string): Promise<ToolRun> {
  return place.open({ what, script, args: [path, leftOut.join(' ')], effect: 'read' })
}

async function answerOf(run: ToolRun): Promise<{ said: string; exitCode: number; stderr: string }> {
  let said = ''
  for await (const chunk of run.stdout.setEncoding('utf8')) said += chunk
  return { said, ...(await run.ended) }
}

/** A file that grew, shrank or went while tar read: no reader of a folder that lives can help it. */
const HARMLESS =
  /: (file changed as we read it|File removed before we read it|File shrank by \d+ bytes; padding with zeros|(Cannot (stat|open): )?No such file or directory|socket ignored)$/
const SUMMARY = /(Exiting with failure status due to previous errors|error exit delayed from previous errors)$/
/** GNU tar ends with 1 where files differ from what they were, with 2 where something failed; busybox always with 1. */
const WORST_HARMLESS = 2

/** Returns when tar has ended well. @throws RefusedError with its first complaint that is no file of a moment. */
export async function tarEnded(run: ToolRun, folder: Pick<MediaFolder, 'place' | 'path'>): Promise<void> {
  const { exitCode, stderr } = await run.ended
  const lines = stderr.split('\n').filter(line => line.trim() !== '')
  const complaints = lines.filter(line => !HARMLESS.test(line) && !SUMMARY.test(line))
  if (exitCode <= WORST_HARMLESS && complaints.length === 0) return
  throw failed('tar', folder, complaints[0] ?? `It ended with code ${exitCode}.`)
}

function failed(what: string, { place, path }: Pick<MediaFolder, 'place' | 'path'>, complaint: string): RefusedError {
  return new RefusedError({
    code: 'media-not-read',
    message: `${what} failed in ${path} of ${place.where}.`,
    cause: printableLine(complaint.trim()).slice(0, 400) || 'It gave no reason.',
  })
}

function noFolder({ place, path }: MediaFolder, complaint: string): RefusedError {
  return new RefusedError({
    code: 'no-media-folder',
    message: `The folder of the media cannot be entered: ${path} of ${place.where}.`,
    cause: printableLine(complaint.trim()).slice(0, 400),
    next: 'Correct PAPERCLIP_ROOT_PATH, or the volume and its owner.',
  })
}

function linkInside({ path }: MediaFolder, link: string): RefusedError {
  return new RefusedError({
    code: 'link-in-media',
    message: `A symbolic link stands in the folder of the media: ${printableLine(posix.join(path, link))}.`,
    cause: 'What it leads to would be missing from the backup. Only links to folders, directly in it, are followed.',
    next: 'Put a mount or the files themselves in its place.',
  })
}
