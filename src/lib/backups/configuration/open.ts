import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { messageOf, RefusedError, UsageError } from '../../errors.js'
import type { Toolbox } from '../../toolbox.js'
import { decryptWith, isEncrypted } from '../encryption.js'
import { storeOf } from '../store.js'
import { aboutIn, type KeptConfiguration, noConfiguration } from './about.js'
import { PART, PREFIX } from './make.js'

/** A file that was opened, and what it was then. */
export interface OpenedConfiguration {
  path: string
  /** Of the file as it lies there. */
  sha256: string
  kept: KeptConfiguration
}

const BLOCK = 512
/** Where the size stands in the header of an entry, in octal (POSIX.1-1988 ustar). */
const SIZE = [124, 136] as const
/** Of what comes out of the compression. */
const MOST = 256 * 1024 * 1024

/** Returns the path that is meant: of a file, or of the newest one in the folder of the backups (`latest`). */
export async function configurationNamed(toolbox: Toolbox, name: string): Promise<string> {
  if (name !== 'latest') return resolve(name)
  const { dir } = storeOf(toolbox)
  const names = await readdir(dir).catch(() => [])
  const newest = names
    .filter(each => each.startsWith(PREFIX) && !each.endsWith(PART))
    .sort()
    .at(-1)
  if (newest !== undefined) return join(dir, newest)
  throw new RefusedError({
    code: 'no-configuration-kept',
    message: `There is no backup of the configuration in ${dir}.`,
    next: 'mstdn-ops config:backup makes one; name a file that lies elsewhere by its path.',
  })
}

/**
 * Opens a backup of a configuration.
 *
 * @throws UsageError when it cannot be read, or a key is missing; RefusedError for what is damaged, or something else.
 */
export async function openConfiguration(path: string, identity: string | undefined): Promise<OpenedConfiguration> {
  const bytes = await readFile(path).catch(error => {
    throw notRead(path, messageOf(error))
  })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const clear = isEncrypted(bytes) ? await unsealed(bytes, path, identity) : bytes
  const archive: Buffer = await promisify(gunzip)(clear, { maxOutputLength: MOST }).catch(error => {
    throw noConfiguration(path, `It cannot be decompressed: ${messageOf(error)}.`)
  })
  return { path, sha256, kept: aboutIn(firstFile(archive), path) }
}

function firstFile(archive: Buffer): string {
  const size = Number.parseInt(archive.toString('latin1', ...SIZE), 8)
  return archive.subarray(BLOCK, BLOCK + (Number.isNaN(size) ? 0 : size)).toString('utf8')
}

async function unsealed(bytes: Buffer, path: string, identity: string | undefined): Promise<Buffer> {
  if (identity === undefined) throw needsIdentity(path)
  const stream = Readable.from([bytes]).pipe((await decryptWith(identity)).stream())
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

function needsIdentity(path: string): UsageError {
  return new UsageError({
    code: 'identity-missing',
    message: `${path} is encrypted.`,
    next: 'Name the file with the secret key of age: --identity FILE.',
  })
}

function notRead(path: string, cause: string): UsageError {
  return new UsageError({
    code: 'configuration-not-read',
    message: `${path} cannot be read.`,
    cause,
    next: 'Name a file that mstdn-ops config:backup has written, or latest.',
  })
}
