import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { Readable } from 'node:stream'
import { syncFolder } from '../../atomic-file.js'
import { messageOf, RefusedError, UsageError } from '../../errors.js'
import { newRunId } from '../../runbook/journal.js'
import { configOf } from '../../runbooks/config/change.js'
import { archiveOf } from '../../support/archive.js'
import type { Toolbox } from '../../toolbox.js'
import { toolVersion } from '../../version.js'
import { encryptTo } from '../encryption.js'
import { envText } from '../secrets-file.js'
import { readSum, type Sealing, writeStream } from '../sink.js'
import { ABOUT, FORMAT, type KeptConfiguration, type KeptFile } from './about.js'

/** What the names of these files begin with. */
export const PREFIX = 'config-'
/** No file of a configuration is larger: a folder's worth of something else was named by mistake. */
const LARGEST = 4 * 1024 * 1024

interface Content {
  about: KeptConfiguration
  archive: Buffer
}

/** Returns the name of a backup of the configuration that is made now, without what encryption adds. */
export function archiveName(now: Date): string {
  return `${PREFIX}${newRunId(now)}.tar.gz`
}

/** Returns the encryption for the configured recipient. @throws RefusedError where there is none: nothing else is in it. */
export async function sealingOf({ instance }: Toolbox): Promise<Sealing> {
  if (instance.backups.recipient !== undefined) return encryptTo(instance.backups.recipient)
  throw new RefusedError({
    code: 'no-recipient',
    message: 'The configuration is all secrets, and nobody is named to encrypt it for: nothing was written.',
    next: 'Set backups: recipient in mstdn-ops.yaml (age-keygen -o key.txt makes a key; keep it elsewhere), or give --plain for a file that is not encrypted.',
  })
}

/** Returns the configuration of the instance, and the archive that holds it. */
export async function archiveOfConfiguration(toolbox: Toolbox, folder: string): Promise<Content> {
  const now = toolbox.clock.now()
  const config = configOf(toolbox)
  // It learns the file's name, too.
  const own = await config.own()
  const files = await Promise.all(((await config.files?.()) ?? []).map(readKept))
  const about: KeptConfiguration = {
    ...{ format: FORMAT, tool: toolVersion(), madeAt: now.toISOString() },
    instance: { name: toolbox.instance.name, title: toolbox.backend.title, domain: await toolbox.app.domain() },
    mastodon: (await toolbox.app.version()).toString(),
    where: config.where,
    variables: Object.fromEntries(own),
    files: files.map(({ kept }) => kept),
  }
  const entries = [
    { name: ABOUT, text: `${JSON.stringify(about, null, 2)}\n` },
    { name: 'variables.env', text: envText(new Map(Object.entries(about.variables))) },
    ...files.map(({ kept, content }) => ({ name: kept.name, text: content })),
  ]
  return { about, archive: await archiveOf(folder, entries, now) }
}

/** The name in the archive tells the file; where two are alike, or it is of other letters, its number comes first. */
async function readKept(path: string, at: number): Promise<{ kept: KeptFile; content: Buffer }> {
  const content = await readFile(path).catch(error => {
    throw notRead(path, messageOf(error))
  })
  if (content.length > LARGEST) throw notRead(path, `It has ${content.length} bytes: no file of a configuration has.`)
  const plain = basename(path)
    .replaceAll(/[^\w.-]/g, '_')
    .slice(-50)
  const name = `files/${at + 1}/${plain}`
  const sha256 = createHash('sha256').update(content).digest('hex')
  return { kept: { path, name, bytes: content.length, sha256 }, content }
}

/** What has not got its name yet. */
export const PART = '.part'

/**
 * Writes the archive into a new file for its owner alone, encrypted where asked for. It is read back before it gets its
 * name. Returns its size in bytes.
 *
 * @throws UsageError when it cannot be made, or there is one; RefusedError when the disk gives back something else.
 */
export async function writeArchive(path: string, archive: Buffer, seal: Sealing | undefined): Promise<number> {
  const part = `${path}${PART}`
  try {
    if (existsSync(path)) throw new Error('there is a file of this name')
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await rm(part, { force: true })
    const written = await writeStream(Readable.from([archive]), part, { through: seal ? [seal.stream()] : [] })
    if ((await readSum(part)).sha256 !== written.sha256) throw notReadBack(part)
    await rename(part, path)
    await syncFolder(dirname(path))
    return written.bytes
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined)
    throw error instanceof RefusedError ? error : notWritten(path, error)
  }
}

function notReadBack(path: string): RefusedError {
  return new RefusedError({
    code: 'not-read-back',
    message: `${path} on the disk is not what was written.`,
    next: 'Look at the disk (smartctl, dmesg), and keep backups on another one.',
  })
}

function notRead(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'configuration-unreadable',
    message: `${path} belongs to the configuration and cannot be kept.`,
    cause,
    next: 'Run the command as a user who may read it.',
  })
}

function notWritten(path: string, error: unknown): UsageError {
  return new UsageError({
    code: 'configuration-not-written',
    message: `${path} cannot be written.`,
    cause: messageOf(error),
    next: 'Name another file with --output.',
  })
}
