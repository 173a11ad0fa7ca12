import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { imageNames } from '../compose/bed/images.js'
import { finish, must } from '../compose/bed/process.js'

/** A database as the platform sells it: its owner may do all in it and nothing elsewhere. */
export interface Database {
  readonly name: string
  readonly user: string
  readonly password: string
}

export interface ServersOptions {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  /** Where certificate and key lie (`server.crt`, `server.key`), and where the servers' settings go. */
  readonly dir: string
  readonly redis: boolean
}

/** The PostgreSQL and the Redis behind the platform's URLs: real ones, on the loopback, with TLS and a password. */
export interface Servers {
  /** Runs SQL as the superuser; returns unaligned rows. Throws on an error. */
  sql(text: string, database: string): Promise<string>
  createDatabase(): Promise<Database>
  /** Drops all that is in a database, and the sessions that use it. */
  resetDatabase(database: Database): Promise<void>
  urlOf(database: Database): string
  /** Writes a dump in pg_dump's custom format. */
  dump(database: Database, file: string): Promise<void>
  /** Returns what pg_restore, with more flags where there are any, complained about; empty where all went well. */
  restore(database: Database, file: string, flags?: readonly string[]): Promise<string>
  readonly redisUrl: string | undefined
  redis(...args: string[]): Promise<string>
  /** Sends commands, one a line. */
  redisLines(lines: string): Promise<void>
}

const POSTGRES = `install -o postgres -g postgres -m 600 /bed/server.key /bed/server.crt /run/
exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/run/server.crt \
  -c ssl_key_file=/run/server.key`

const REDIS = `install -o redis -g redis -m 600 /bed/server.key /bed/server.crt /bed/redis.conf /run/
cd /data && chown redis:redis /data
exec setpriv --reuid=redis --regid=redis --init-groups -- redis-server /run/redis.conf`

/** Only a password goes over TLS, from outside of the container. */
const CLOSE_DOORS = `sed -i 's/^host all all all .*/hostssl all all all scram-sha-256/' "$PGDATA/pg_hba.conf"`

/** Starts both servers and waits for them. */
export async function startServers(options: ServersOptions): Promise<Servers> {
  const network = networkOf(options)
  await must('docker', ['network', 'create', ...labelsOf(options), network])
  await mkdir(options.dir, { recursive: true })
  const password = randomBytes(24).toString('hex')
  const [postgresPort, redisPort] = await Promise.all([
    startPostgres(options),
    options.redis ? startRedis(options, password) : undefined,
  ])
  return {
    ...postgresOf(options, postgresPort),
    ...redisOf(options, password, redisPort),
  }
}

const networkOf = ({ id }: Pick<ServersOptions, 'id'>) => `mstdn-ops-bed-${id}-heroku`
const containerOf = ({ id }: Pick<ServersOptions, 'id'>, name: string) => `mstdn-ops-bed-${id}-heroku-${name}`

function labelsOf({ labels }: ServersOptions): string[] {
  return Object.entries(labels).flatMap(([name, value]) => ['--label', `${name}=${value}`])
}

export interface Server {
  readonly name: 'postgres' | 'redis' | 'pooler'
  readonly image: string
  readonly port: number
  readonly script: string
  /** Succeeds, inside of the container, when the server answers. */
  readonly probe: string
  readonly settings: readonly string[]
}

/** Runs a server, waits for it, and returns the port of the loopback that leads to it. Throws with its log. */
export async function startServer(options: ServersOptions, server: Server): Promise<number> {
  const container = containerOf(options, server.name)
  const place = ['--name', container, '--network', networkOf(options), '--network-alias', server.name]
  const published = ['-p', `127.0.0.1::${server.port}`, '-v', `${options.dir}:/bed:ro`, '--entrypoint', 'sh']
  const settings = [...server.settings, server.image, '-ec', server.script]
  await must('docker', ['run', '-d', ...place, ...labelsOf(options), ...published, ...settings])
  try {
    await must('docker', ['exec', container, 'sh', '-c', untilReady(server.probe)])
    const shown = await must('docker', ['port', container, String(server.port)])
    return Number(shown.split('\n')[0]?.split(':').at(-1))
  } catch {
    const { stdout, stderr } = await finish('docker', ['logs', container])
    throw new Error(`${container} gives no answer\n${stdout}${stderr}`)
  }
}

const untilReady = (probe: string) => `for i in $(seq 300); do ${probe} && exit 0; sleep 0.1; done; exit 1`

async function startPostgres(options: ServersOptions): Promise<number> {
  const password = randomBytes(24).toString('hex')
  await writeFile(join(options.dir, 'postgres.env'), `POSTGRES_PASSWORD=${password}\nPOSTGRES_FAST=1\n`, {
    mode: 0o600,
  })
  const port = await startServer(options, {
    ...{ name: 'postgres', image: imageNames.postgres('full'), port: 5432, script: POSTGRES },
    probe: 'pg_isready -q -h 127.0.0.1 -U postgres',
    settings: ['--env-file', join(options.dir, 'postgres.env')],
  })
  await must('docker', ['exec', containerOf(options, 'postgres'), 'sh', '-c', CLOSE_DOORS])
  await psql(options, 'REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC; SELECT pg_reload_conf()', 'postgres')
  return port
}

async function startRedis(options: ServersOptions, password: string): Promise<number> {
  await writeFile(join(options.dir, 'redis.conf'), redisSettings(password), { mode: 0o600 })
  return startServer(options, {
    ...{ name: 'redis', image: imageNames.redis('full'), port: 6379, script: REDIS, settings: [] },
    probe: 'redis-cli -s /data/redis.sock ping 2>&1 | grep -q NOAUTH',
  })
}

function redisSettings(password: string): string {
  return [
    ...['port 0', 'tls-port 6379', 'tls-auth-clients no', 'protected-mode no', `requirepass ${password}`],
    ...['tls-cert-file /run/server.crt', 'tls-key-file /run/server.key', 'tls-ca-cert-file /run/server.crt'],
    ...['unixsocket /data/redis.sock', 'dir /data', 'maxmemory 100mb', 'maxmemory-policy noeviction', ''],
  ].join('\n')
}

function psql(options: ServersOptions, text: string, database: string): Promise<string> {
  const words = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', '-d', database]
  return must('docker', ['exec', '-i', containerOf(options, 'postgres'), ...words], { stdin: text })
}

type PostgresPart = Pick<Servers, 'sql' | 'createDatabase' | 'resetDatabase' | 'urlOf' | 'dump' | 'restore'>

function postgresOf(options: ServersOptions, port: number): PostgresPart {
  const container = containerOf(options, 'postgres')
  const sql = (text: string, database: string) => psql(options, text, database)
  return {
    sql,
    createDatabase: async () => {
      const made = newDatabase()
      await sql(`CREATE ROLE ${made.user} LOGIN PASSWORD '${made.password}' CONNECTION LIMIT 20`, 'postgres')
      await make(sql, made)
      return made
    },
    resetDatabase: async database => {
      await sql(`DROP DATABASE ${database.name} WITH (FORCE)`, 'postgres')
      await make(sql, database)
    },
    urlOf: ({ user, password, name }) => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`,
    dump: ({ name }, file) => pumpOut(['exec', container, 'pg_dump', '-U', 'postgres', '-Fc', '-d', name], file),
    restore: ({ user, name }, file, flags = []) =>
      pumpIn(['exec', '-i', container, 'pg_restore', '-U', user, '-d', name, ...RESTORE_FLAGS, ...flags], file),
  }
}

/** As the platform restores (Dev Center, "Importing and exporting"). */
const RESTORE_FLAGS = ['--verbose', '--clean', '--if-exists', '--no-acl', '--no-owner']

/** Names in the platform's manner. */
function newDatabase(): Database {
  const hex = (bytes: number) => randomBytes(bytes).toString('hex')
  return { name: `d${hex(7)}`, user: `u${hex(7)}`, password: `p${hex(32)}` }
}

async function make(sql: Servers['sql'], { name, user }: Database): Promise<void> {
  await sql(`CREATE DATABASE ${name} OWNER ${user} TEMPLATE template0`, 'postgres')
  await sql(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`, 'postgres')
}

async function pumpOut(args: string[], file: string): Promise<void> {
  const child = spawn('docker', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  await pipeline(child.stdout, createWriteStream(file))
  if ((await ended) !== 0) throw new Error(`docker ${args.join(' ')} failed`)
}

async function pumpIn(args: string[], file: string): Promise<string> {
  const child = spawn('docker', args, { stdio: ['pipe', 'ignore', 'pipe'] })
  const complaints: Buffer[] = []
  child.stderr.on('data', (bytes: Buffer) => complaints.push(bytes))
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  // A reader that refuses the file closes its end; what it said tells more.
  await pipeline(createReadStream(file), child.stdin).catch(() => {})
  return (await ended) === 0 ? '' : Buffer.concat(complaints).toString()
}

type RedisPart = Pick<Servers, 'redisUrl' | 'redis' | 'redisLines'>

function redisOf(options: ServersOptions, password: string, port: number | undefined): RedisPart {
  const container = containerOf(options, 'redis')
  const words = ['exec', '-i', '-e', 'REDISCLI_AUTH', container, 'redis-cli', '-s', '/data/redis.sock']
  const env = { ...process.env, REDISCLI_AUTH: password }
  return {
    redisUrl: port === undefined ? undefined : `rediss://:${password}@127.0.0.1:${port}`,
    redis: (...args) => must('docker', [...words, ...args], { env }),
    redisLines: async lines => void (await must('docker', words, { env, stdin: lines })),
  }
}
