import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { DiskSpace } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import { mediaBucket } from '../mastodon/media.js'
import { humanBytes } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { bucketVersions } from './bucket-versions.js'
import type { Unsealing } from './encryption.js'
import type { BackupFile, Manifest } from './manifest.js'
import { type MediaFolder, mediaFolder, packMedia, refuseLost, tarEnded } from './media-folder.js'
import { type PartOptions, writePart } from './part-file.js'
import type { StoredBackup } from './store.js'
import { entryProblem, type TarEntry, tarWatch } from './tar.js'
import { feed, identityMissing } from './verify.js'

const NAME = 'media.tar'

/** Returns what is said of media that nobody asked for. What is in a bucket is named in any case. */
export async function mediaUnasked(toolbox: Toolbox): Promise<Manifest['media']> {
  const config = await toolbox.app.config()
  const bucket = mediaBucket(config)
  if (bucket === undefined) return { kept: 'nowhere', why: 'not asked for' }
  return { kept: 'bucket', bucket, ...(await bucketVersions(config, bucket)) }
}

/**
 * Writes the media that are files into the backup, as an archive; every entry is looked at on the way.
 *
 * @throws RefusedError when tar failed, the archive is not whole, an entry could not be put back, or there is no file at
 * all where the database knows some.
 */
export async function keepMedia(
  toolbox: Toolbox,
  options: PartOptions,
): Promise<{ file: BackupFile; media: Manifest['media'] }> {
  const folder = await mediaFolder(toolbox)
  const run = await packMedia(folder)
  const counted = counter()
  const source = { part: 'media', name: NAME, run, ended: tarEnded(run, folder), watch: counted.stream } as const
  const file = await writePart(source, options)
  if (counted.files() === 0) await refuseLost(toolbox, folder)
  return { file, media: { kept: 'local', files: counted.files(), note: noteOn(folder) } }
}

function noteOn({ leftOut, among }: MediaFolder): string {
  return `Left out: ${leftOut.map(name => `${name}/`).join(', ')}. In it may be ${among}.`
}

/** Returns a stream that passes an archive on, counts its files, and fails at an entry that must not be unpacked. */
function counter() {
  let files = 0
  const stream = tarWatch((entry: TarEntry) => {
    const problem = entryProblem(entry)
    if (problem !== undefined) throw oddEntry(problem)
    if (entry.kind === 'file' || entry.kind === 'hard link') files += 1
  })
  return { stream, files: () => files }
}

/** An archive of media that can be read from its beginning any number of times. */
export interface MediaSource {
  path: string
  unseal?: Unsealing
}

/** Returns the media of a backup, undefined where it has none. @throws RefusedError when the secret key is missing. */
export function mediaOf({ path, manifest }: StoredBackup, unseal?: Unsealing): MediaSource | undefined {
  const file = manifest.files.find(({ part }) => part === 'media')
  if (file === undefined) return undefined
  if (file.encrypted && unseal === undefined) throw identityMissing(path)
  return { path: join(path, file.name), ...(file.encrypted && unseal ? { unseal } : {}) }
}

/** Returns how many files are in the archive, and their bytes. @throws RefusedError when it is not whole or sound. */
export async function readMedia({ path, unseal }: MediaSource): Promise<{ files: number; bytes: number }> {
  const counted = counter()
  let bytes = 0
  const count = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      done()
    },
  })
  const source = createReadStream(path, { highWaterMark: 256 * 1024 })
  await pipeline([source, ...(unseal ? [unseal.stream()] : []), counted.stream, count])
  return { files: counted.files(), bytes }
}

/**
 * Links to folders stay what they are, and nobody's files are anyone else's than the app's. A file of the same name is
 * replaced, so that a second run mends what a first one left half; nothing else is taken away.
 */
const UNPACKED = `export LC_ALL=C; cd "$1" || exit 9; h=$(tar --help 2>&1); o=
case $h in *--keep-directory-symlink*) o=--keep-directory-symlink;; esac
tar $o -xof -`

/**
 * Puts the media of a backup back into their folder. The archive is read to its end before anything is written.
 *
 * @returns how many files were put back; in a dry run, how many would be.
 * @throws RefusedError when the archive is not whole, leads out of the folder, or there is no room.
 */
export async function restoreMedia(
  toolbox: Toolbox,
  source: MediaSource,
  onProgress?: (bytes: number) => void,
): Promise<{ files: number }> {
  const { files, bytes } = await readMedia(source)
  const { place, path } = await mediaFolder(toolbox)
  refuseNoRoom(await toolbox.backend.storage?.disk(), bytes)
  toolbox.ledger.record({ kind: 'command', ...wordsFor(source, path, place.where) })
  if (toolbox.dryRun) return { files }
  const run = await place.open({ what: 'tar', script: UNPACKED, args: [path], effect: 'write', fed: true })
  await feed(
    { ...source, zstd: false },
    { run, ended: tarEnded(run, { place, path }) },
    onProgress ? { onProgress } : {},
  )
  return { files }
}

function wordsFor(source: MediaSource, path: string, where: string) {
  const unpack = `tar -C ${path} -xof -`
  const opened = source.unseal ? `age -d -i IDENTITY ${source.path} | ${unpack}` : `${unpack} < ${source.path}`
  return { exact: `${opened}   # in ${where}`, byHand: `${opened}   # in ${where}` }
}

function refuseNoRoom(spaces: readonly DiskSpace[] | undefined, needed: number): void {
  const space = spaces?.find(({ place }) => place === 'media')
  if (space === undefined || space.freeBytes >= needed) return
  throw new RefusedError({
    code: 'no-room-for-media',
    message: `There is not enough room for the media in ${space.path}.`,
    cause: `Up to ${humanBytes(needed)} are needed, ${humanBytes(space.freeBytes)} are free.`,
  })
}

function oddEntry(cause: string): RefusedError {
  return new RefusedError({
    code: 'odd-media',
    message: 'The archive of the media holds what must not be put back.',
    cause,
    next: 'Take it out of the folder of the media, and make the backup again.',
  })
}
