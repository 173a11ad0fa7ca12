import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A started server as it was last seen; whether it still runs has to be looked at. */
export interface Started {
  pid: number
  port: number
}

/** What is remembered of a sandbox between two commands, in its folder. */
export interface SandboxRecord {
  /** The Mastodon release that its database is shaped as. */
  release: string
  createdAt: string
  /** How PostgreSQL is kept from running as root, by its title; absent until its data folder is made. */
  account?: string
  /** Whether the database is complete. */
  filled?: boolean
  postgres?: Started
  redis?: Started
}

/** The files and folders of one sandbox. */
export function places(dir: string) {
  return {
    record: join(dir, 'sandbox.json'),
    password: join(dir, 'password'),
    data: join(dir, 'postgres'),
    dataDraft: join(dir, 'postgres.draft'),
    postgresLog: join(dir, 'postgres.log'),
    redis: join(dir, 'redis'),
    redisConfig: join(dir, 'redis.conf'),
    redisLog: join(dir, 'redis.log'),
  }
}

/** Returns undefined where no sandbox was made. */
export async function readRecord(dir: string): Promise<SandboxRecord | undefined> {
  const text = await readFile(places(dir).record, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as SandboxRecord)
}

export async function writeRecord(dir: string, record: SandboxRecord): Promise<void> {
  const draft = `${places(dir).record}.draft`
  await writeFile(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
  await rename(draft, places(dir).record)
}

/** Returns the password of both servers, made at the first call: 32 hexadecimal digits in a file for its owner alone. */
export async function password(dir: string): Promise<string> {
  const file = places(dir).password
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept) return kept.trim()
  const made = randomBytes(16).toString('hex')
  await writeFile(file, `${made}\n`, { mode: 0o600 })
  return made
}
