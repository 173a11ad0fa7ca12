import { spawn, spawnSync } from 'node:child_process'
import { accessSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/** The tests' servers are PostgreSQL 15, and refuse a pg_dump that is older. */
const OLDEST = 15
const PLACES = '/usr/lib/postgresql'

type Client = 'pg_dump' | 'pg_dumpall' | 'pg_restore' | 'psql'

/** The server, and who signs in. */
export interface Login {
  host: string
  port: number
  user: string
  password: string
}

export interface Ended {
  code: number
  stdout: Buffer
  stderr: string
}

/** Returns the path of a client of PostgreSQL. @throws an error that says how to install it. */
export function clientPath(client: Client): string {
  const majors = versions().filter(major => major >= OLDEST)
  const found = majors.map(major => join(PLACES, String(major), 'bin', client)).find(isThere)
  if (found) return found
  throw new Error(
    `${client} of PostgreSQL ${OLDEST} or newer is missing in ${PLACES}: apt-get install postgresql-client`,
  )
}

function versions(): number[] {
  try {
    return readdirSync(PLACES)
      .map(Number)
      .sort((a, b) => a - b)
  } catch {
    return []
  }
}

function isThere(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}

/** Runs a client to its end; a code other than 0 is no error here. */
export function runClient(client: Client, args: readonly string[], login?: Login, input?: Buffer): Ended {
  const options = { env: environment(login), maxBuffer: 256 * 1024 * 1024, ...(input && { input }) }
  const { status, stdout, stderr } = spawnSync(clientPath(client), args, options)
  return { code: status ?? 1, stdout, stderr: stderr.toString() }
}

/** Returns what a client prints. @throws when it fails. */
export function clientOutput(client: Client, args: readonly string[], login?: Login): Buffer {
  const { code, stdout, stderr } = runClient(client, args, login)
  if (code !== 0) throw new Error(`${client} failed: ${stderr}`)
  return stdout
}

/**
 * Feeds SQL to psql as a restore does.
 * @returns its code and what it complained of; `broke` is the error with which the SQL ended, if it did
 */
export async function feedPsql(
  sql: Readable,
  database: string,
  login: Login,
): Promise<{ code: number; stderr: string; broke: Error | undefined }> {
  const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', database]
  const psql = spawn(clientPath('psql'), args, { env: environment(login), stdio: ['pipe', 'ignore', 'pipe'] })
  let stderr = ''
  psql.stderr.on('data', chunk => {
    stderr += chunk
  })
  psql.stdin.on('error', () => undefined)
  const ended = new Promise<number>(resolve => psql.once('close', code => resolve(code ?? 1)))
  let broke: Error | undefined
  try {
    for await (const chunk of sql) psql.stdin.write(chunk)
  } catch (error) {
    broke = error as Error
  }
  psql.stdin.end()
  return { code: await ended, stderr, broke }
}

function environment(login: Login | undefined): NodeJS.ProcessEnv {
  if (!login) return process.env
  const { host, port, user, password } = login
  return {
    ...process.env,
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: 'postgres',
  }
}
