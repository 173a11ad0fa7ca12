import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import type { Toolbox } from '../toolbox.js'

/** The ending of a folder that is being written: never listed as a backup. Other programs use it, too. */
export const PARTIAL = '.partial'
/** What this tool calls a backup that it has not finished: by the id of a run. */
const UNFINISHED = /^\d{8}-\d{6}-[0-9a-f]{4}\.partial$/
/** The same before it has an owner, and what is being removed. */
const OWNERLESS = /^\.\d{8}-\d{6}-[0-9a-f]{4}\.partial$/
/** Tells whose an unfinished backup is. */
export const OWNER = 'owner.json'
/** Milliseconds after which nobody writes there any more: a dump that moves no byte is given up long before. */
const ABANDONED_MS = 24 * 3_600_000

/** Who writes a backup. Instances may share one folder, and each has a lock of its own. */
export interface Owner {
  instance: string
  domain: string
  /** A copy of the whole machine bears the same names, and another lock. */
  host: string
  run: string
  pid: number
}

/** Returns what a run of the instance writes into its unfinished backup. */
export async function ownerOf({ instance, app }: Toolbox, run: string): Promise<Owner> {
  return { instance: instance.name, domain: await app.domain(), host: hostname(), run, pid: process.pid }
}

/** Returns the hidden folder under which a backup belongs to nobody: anybody may remove it at any time. */
export function ownerlessPath(dir: string, name: string): string {
  return join(dir, `.${name}${PARTIAL}`)
}

/**
 * Makes the folder of an unfinished backup, in which its owner is named from the first moment on: it is made as an
 * {@link ownerlessPath}, and anew where somebody has removed that.
 *
 * @throws the system's error when it cannot be made.
 */
export async function makePartial(dir: string, name: string, owner: Owner): Promise<string> {
  const [begun, partial] = [ownerlessPath(dir, name), join(dir, `${name}${PARTIAL}`)]
  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (let tries = 3; ; tries -= 1) {
    try {
      await mkdir(begun, { mode: 0o700 })
      await writeOwner(begun, owner)
      await rename(begun, partial)
      break
    } catch (error) {
      await rm(begun, { recursive: true, force: true })
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 0) throw error
    }
  }
  // Who removed the former name may have been at it.
  await writeOwner(partial, owner).catch(error => error.code === 'EEXIST' || Promise.reject(error))
  return partial
}

function writeOwner(folder: string, owner: Owner): Promise<void> {
  return writeFile(join(folder, OWNER), `${JSON.stringify(owner)}\n`, { mode: 0o600, flag: 'wx' })
}

/**
 * Whether nobody writes to an unfinished backup any more. The lock of the instance tells that of its own ones on this
 * machine; one from elsewhere, or of which no owner is known, was not touched for a day.
 */
export async function isOver(path: string, mine: Owner): Promise<boolean> {
  if (OWNERLESS.test(basename(path))) return true
  if (!UNFINISHED.test(basename(path))) return false
  const owner = await readOwner(path)
  if (owner === undefined) return isAbandoned(path)
  if (owner.instance !== mine.instance || owner.domain !== mine.domain) return false
  return owner.host === mine.host || isAbandoned(path)
}

/** Undefined where it cannot be read, or was made before there were owners. */
async function readOwner(path: string): Promise<Partial<Owner> | undefined> {
  try {
    const read: unknown = JSON.parse(await readFile(join(path, OWNER), 'utf8'))
    return typeof read === 'object' && read !== null ? read : undefined
  } catch {
    return undefined
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => [])
  const times = await Promise.all(['', ...names].map(name => touched(join(path, name))))
  return Date.now() - Math.max(...times) > ABANDONED_MS
}

/** What is gone meanwhile is being worked on. */
function touched(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  )
}
