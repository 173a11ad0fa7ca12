import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import {
  bedLabel,
  bedLabels,
  composeFile,
  overrideFile,
  ownerLabel,
  type Shape,
  type Surroundings,
  sharedFolders,
} from './compose-file.js'
import { demo } from './demo.js'
import { buildImages, imageNames, since } from './images.js'
import { isAlive } from './lock.js'
import { type Finished, finish, must } from './process.js'

export { demoCounts, people } from './demo.js'
export { buildImages, imageNames, versions } from './images.js'
export type { Finished } from './process.js'

export interface StackOptions extends Shape {
  /** Where the project goes. A new temporary folder otherwise, which stop() removes. */
  readonly projectDir?: string
  /** A name other than the folder's, given by `-p`, by COMPOSE_PROJECT_NAME in `.env`, or (nameInFile) in the file. */
  readonly projectName?: string
  readonly projectNameBy?: 'flag' | 'env'
  readonly domain?: string
  /** The instance's database: `postgres` as Mastodon's wizard suggests for Docker, unless said otherwise. */
  readonly database?: string
  readonly redisNamespace?: string
  /** More lines of `.env.production`. */
  readonly environment?: Readonly<Record<string, string>>
  /** False: tables, but no people and posts. */
  readonly demo?: boolean
  /** `servers`: only db and redis run (about 3 s less); one-offs work. */
  readonly running?: 'all' | 'servers'
  /** False: an empty database. Web's health check fails then before 3.4, so only db and redis are started. */
  readonly migrate?: boolean
}

export interface Container {
  readonly id: string
  readonly name: string
  readonly service: string
  readonly state: string
  readonly health: string
  readonly oneOff: boolean
  readonly image: string
}

export interface Stack {
  readonly id: string
  readonly version: string
  readonly projectDir: string
  readonly projectName: string
  readonly domain: string
  readonly database: string
  /** For a child process that is to work on this project: the caller's environment without compose's own variables. */
  readonly env: NodeJS.ProcessEnv
  /** Flags that make `docker compose` mean this project. */
  readonly composeFlags: readonly string[]
  /** Runs SQL as the superuser. Returns unaligned rows (`|` between columns) without header. Throws on an error. */
  psql(sql: string, database?: string): Promise<string>
  redis(...args: string[]): Promise<string>
  /** Runs a program in the running container of a service. */
  exec(
    service: string,
    argv: readonly string[],
    options?: { stdin?: string; env?: Record<string, string> },
  ): Promise<Finished>
  /** Runs a program in a fresh container of a service, as `docker compose run --rm` does. */
  oneOff(
    argv: readonly string[],
    options?: { service?: string; stdin?: string; env?: Record<string, string> },
  ): Promise<Finished>
  compose(...args: string[]): Promise<Finished>
  /** The container's id. Throws when none of that service is there. */
  containerOf(service: string): Promise<string>
  containers(): Promise<Container[]>
  /** Sets or (null) removes variables in `.env.production`. Running containers keep the old ones until they are recreated. */
  writeEnv(changes: Readonly<Record<string, string | null>>): Promise<void>
  /** Asks the stand-in for faults (see standin/app/faults.rb); takes effect at once in all app containers. */
  faults(wanted: Readonly<Record<string, string>>): Promise<void>
  logs(service?: string): Promise<string>
  /** Removes containers, networks, volumes and the temporary folder. Safe to call twice. */
  stop(): Promise<void>
}

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..')

/** Makes Docker and compose answer, or fails and says what is missing (scripts/engine). */
export async function ensureEngine(): Promise<void> {
  await must(join(repository, 'scripts', 'engine'), ['up'])
}

/** Starts a whole Mastodon-shaped project and waits until it is healthy. */
export async function startStack(options: StackOptions): Promise<Stack> {
  await ensureEngine()
  await sweepOrphans()
  await buildImages([options.version])
  const project = await writeProject(options)
  const stack = stackOf(project)
  try {
    await bringUp(project, stack)
    return stack
  } catch (error) {
    const logs = await stack.logs().catch(() => '')
    await stack.stop()
    throw new Error(`${(error as Error).message}\n${logs.slice(-4000)}`)
  }
}

/** A handle on a project that startStack made in this folder earlier, perhaps by another process. */
export async function openStack(projectDir: string): Promise<Stack> {
  return stackOf(JSON.parse(await readFile(join(projectDir, '.bed.json'), 'utf8')) as Project)
}

/** Removes whatever any run of the bed has left behind: containers, networks, volumes. */
export async function sweep(id?: string): Promise<void> {
  const filter = ['--filter', `label=${bedLabel}${id ? `=${id}` : ''}`]
  const remove = async (list: string[], gone: string[]) => {
    const ids = (await must('docker', [...list, ...filter])).split('\n').filter(Boolean)
    if (ids.length > 0) await finish('docker', [...gone, ...ids])
  }
  await remove(['ps', '-aq'], ['rm', '-f', '-v'])
  await remove(['network', 'ls', '-q'], ['network', 'rm'])
  await remove(['volume', 'ls', '-q'], ['volume', 'rm', '-f'])
}

/** Removes the stacks of test runs that were killed. Their temporary folders stay. */
async function sweepOrphans(): Promise<void> {
  const format = `{{.Label "${bedLabel}"}} {{.Label "${ownerLabel}"}}`
  const text = await must('docker', ['network', 'ls', '--filter', `label=${ownerLabel}`, '--format', format])
  const pairs = new Map(
    text
      .split('\n')
      .filter(Boolean)
      .map(line => line.split(' ') as [string, string]),
  )
  for (const [id, owner] of pairs) if (!isAlive(Number(owner))) await sweep(id)
}

interface Project {
  readonly id: string
  readonly options: StackOptions
  readonly projectDir: string
  readonly temporary: boolean
  readonly projectName: string
  readonly domain: string
  readonly database: string
  readonly otpSecret: string
}

async function writeProject(options: StackOptions): Promise<Project> {
  const projectDir = options.projectDir ?? (await mkdtemp(join(tmpdir(), 'mstdn-ops-bed-')))
  await mkdir(projectDir, { recursive: true })
  const id = randomBytes(4).toString('hex')
  const project: Project = {
    id,
    options,
    projectDir,
    temporary: options.projectDir === undefined,
    projectName: options.nameInFile ?? options.projectName ?? defaultName(projectDir),
    domain: options.domain ?? 'mastodon.example',
    database: options.database ?? 'postgres',
    otpSecret: options.environment?.OTP_SECRET ?? randomBytes(64).toString('hex'),
  }
  await writeFiles(project)
  return project
}

/** The name that compose itself makes of a folder. */
function defaultName(folder: string): string {
  return basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
}

async function writeFiles(project: Project): Promise<void> {
  const { projectDir, options } = project
  const file = (name: string) => join(projectDir, name)
  await writeFile(file('docker-compose.yml'), stringify(composeFile(options, surroundings(project))))
  if (options.overrideFile) await writeFile(file('docker-compose.override.yml'), stringify(overrideFile()))
  const dotenv = projectVariables(project)
  if (dotenv.length > 0) await writeFile(file('.env'), `${dotenv.join('\n')}\n`)
  await writeFile(file('.env.production'), lines(environment(project)))
  await chmod(file('.env.production'), 0o600)
  await writeFile(file('.bed.json'), JSON.stringify(project))
  for (const folder of sharedFolders(options.version)) await makeShared(file(folder))
}

/** The app runs as 991 from 2.3.0 on. */
async function makeShared(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  if (process.getuid?.() === 0) await chown(folder, 991, 991)
}

function projectVariables({ options, projectName }: Project): string[] {
  return [
    ...(options.imageFromEnv ? [`MASTODON_VERSION=${options.version}`] : []),
    ...(options.projectNameBy === 'env' ? [`COMPOSE_PROJECT_NAME=${projectName}`] : []),
    ...(options.streamingProfile ? [`COMPOSE_PROFILES=${options.streamingProfile}`] : []),
  ]
}

/** What this release needs to boot, with secrets of its own. */
function environment(project: Project): Record<string, string> {
  const { version } = project.options
  const hex = () => randomBytes(64).toString('hex')
  return {
    LOCAL_DOMAIN: project.domain,
    SINGLE_USER_MODE: 'false',
    SECRET_KEY_BASE: hex(),
    ...(since(version, '4.4.0') ? {} : { OTP_SECRET: project.otpSecret }),
    ...(since(version, '2.3.0') ? {} : { PAPERCLIP_SECRET: hex() }),
    ...(since(version, '1.5.0')
      ? {
          VAPID_PRIVATE_KEY: randomBytes(32).toString('base64url'),
          VAPID_PUBLIC_KEY: randomBytes(65).toString('base64url'),
        }
      : {}),
    ...(since(version, '4.3.0') ? encryptionKeys() : {}),
    DB_HOST: project.options.externalPostgres ? 'postgres.outside' : 'db',
    DB_PORT: '5432',
    DB_NAME: project.database,
    DB_USER: 'postgres',
    DB_PASS: '',
    REDIS_HOST: 'redis',
    REDIS_PORT: '6379',
    ...(project.options.redisNamespace ? { REDIS_NAMESPACE: project.options.redisNamespace } : {}),
    SMTP_SERVER: 'localhost',
    SMTP_FROM_ADDRESS: `notifications@${project.domain}`,
    ...project.options.environment,
  }
}

function encryptionKeys(): Record<string, string> {
  const names = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY']
  return Object.fromEntries(names.map(name => [`ACTIVE_RECORD_ENCRYPTION_${name}`, randomBytes(16).toString('hex')]))
}

function lines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const sharedNetwork = (project: Project) => `mstdn-ops-bed-${project.id}-shared`
const surroundings = (project: Project): Surroundings => ({
  id: project.id,
  owner: project.temporary ? process.pid : undefined,
  sharedNetwork: sharedNetwork(project),
})
const outsideDatabase = (project: Project) => `mstdn-ops-bed-${project.id}-postgres`

async function bringUp(project: Project, stack: Stack): Promise<void> {
  const { options } = project
  if (options.externalPostgres) await startOutsideDatabase(project)
  const servers = options.externalPostgres ? ['redis'] : ['db', 'redis']
  await succeed(stack.compose('up', '-d', ...servers))
  await Promise.all(servers.map(server => waitForServer(stack, server)))
  if (options.migrate === false) return
  await succeed(stack.oneOff(['rake', 'db:create', 'db:migrate', 'db:seed']))
  if (options.demo !== false) await loadDemo(project, stack)
  if (options.running !== 'servers') await succeed(stack.compose('up', '-d', '--wait'))
}

async function succeed(running: Promise<Finished>): Promise<void> {
  const { code, stdout, stderr } = await running
  if (code !== 0) throw new Error(`exit ${code}\n${stdout}${stderr}`)
}

/** Asked here, for the first health check comes an interval later. */
async function waitForServer(stack: Stack, service: string): Promise<void> {
  const probe = service === 'db' ? pgIsReady : 'redis-cli ping'
  await succeed(
    stack.exec(service, ['sh', '-c', `for i in $(seq 300); do ${probe} && exit 0; sleep 0.1; done; exit 1`]),
  )
}

const pgIsReady = 'pg_isready -q -h 127.0.0.1 -U postgres'

async function startOutsideDatabase(project: Project): Promise<void> {
  const labels = Object.entries(bedLabels(surroundings(project))).flatMap(([name, text]) => [
    '--label',
    `${name}=${text}`,
  ])
  await must('docker', ['network', 'create', ...labels, sharedNetwork(project)])
  const place = [
    '--name',
    outsideDatabase(project),
    ...labels,
    '--network',
    sharedNetwork(project),
    '--network-alias',
    'postgres.outside',
  ]
  const settings = ['-e', 'POSTGRES_HOST_AUTH_METHOD=trust', '-e', 'POSTGRES_FAST=1']
  await must('docker', ['run', '-d', ...place, ...settings, imageNames.postgres(project.options.variant ?? 'full')])
  await must('docker', ['exec', outsideDatabase(project), 'sh', '-c', `until ${pgIsReady}; do sleep 0.1; done`])
}

async function loadDemo(project: Project, stack: Stack): Promise<void> {
  const { version, redisNamespace } = project.options
  const { sql, redis } = demo({ version, domain: project.domain, otpSecret: project.otpSecret, redisNamespace })
  await stack.psql(sql)
  await must('docker', ['exec', '-i', await stack.containerOf('redis'), 'redis-cli'], { stdin: redis })
}

/** Compose's own variables of the caller must not steer a test's project. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('COMPOSE_') && name !== 'MASTODON_VERSION'),
  )
}

function stackOf(project: Project): Stack {
  const { projectDir, projectName, options } = project
  const env = cleanEnvironment()
  const composeFlags =
    options.projectName && options.projectNameBy !== 'env' && !options.nameInFile ? ['-p', projectName] : []
  const compose = (args: readonly string[], stdin?: string) =>
    finish('docker', ['compose', ...composeFlags, ...args], { cwd: projectDir, env, stdin })
  const containers = () => listContainers(projectName)
  const containerOf = async (service: string) => {
    const found = (await containers()).find(container => container.service === service && !container.oneOff)
    if (!found) throw new Error(`no container of service ${service} in project ${projectName}`)
    return found.id
  }
  const database = async () => (options.externalPostgres ? outsideDatabase(project) : containerOf('db'))
  const variables = (given: Record<string, string> = {}) =>
    Object.entries(given).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  return {
    id: project.id,
    version: options.version,
    projectDir,
    projectName,
    domain: project.domain,
    database: project.database,
    env,
    composeFlags,
    containers,
    containerOf,
    compose: (...args) => compose(args),
    psql: async (sql, name = project.database) =>
      must(
        'docker',
        ['exec', '-i', await database(), 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', '-d', name],
        { stdin: sql },
      ),
    redis: async (...args) => must('docker', ['exec', await containerOf('redis'), 'redis-cli', ...args]),
    exec: async (service, argv, more = {}) =>
      finish('docker', ['exec', '-i', ...variables(more.env), await containerOf(service), ...argv], {
        stdin: more.stdin,
      }),
    oneOff: (argv, more = {}) =>
      compose(['run', '--rm', '-T', '--no-deps', ...variables(more.env), more.service ?? 'web', ...argv], more.stdin),
    writeEnv: changes => rewriteEnvironment(join(projectDir, '.env.production'), changes),
    faults: wanted => writeFile(join(projectDir, 'public/system/standin-faults'), lines(wanted)),
    logs: async service => {
      const { stdout, stderr } = await compose(['logs', '--no-color', ...(service ? [service] : [])])
      return stdout + stderr
    },
    stop: () => tearDown(project, compose),
  }
}

async function listContainers(project: string): Promise<Container[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`]
  const ids = (await must('docker', ['ps', '-aq', '--no-trunc', ...filter])).split('\n').filter(Boolean)
  if (ids.length === 0) return []
  const { stdout } = await finish('docker', ['inspect', ...ids])
  return (JSON.parse(stdout) as Inspected[]).map(container => ({
    id: container.Id,
    name: container.Name.slice(1),
    service: container.Config.Labels['com.docker.compose.service'] ?? '',
    state: container.State.Status,
    health: container.State.Health?.Status ?? '',
    oneOff: container.Config.Labels['com.docker.compose.oneoff'] === 'True',
    image: container.Config.Image,
  }))
}

interface Inspected {
  readonly Id: string
  readonly Name: string
  readonly Config: { readonly Labels: Record<string, string>; readonly Image: string }
  readonly State: { readonly Status: string; readonly Health?: { readonly Status: string } }
}

async function rewriteEnvironment(file: string, changes: Readonly<Record<string, string | null>>): Promise<void> {
  const kept = (await readFile(file, 'utf8'))
    .split('\n')
    .filter(line => line !== '' && !(line.slice(0, line.indexOf('=')) in changes))
  const added = Object.entries(changes).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]))
  await writeFile(file, `${[...kept, ...added].join('\n')}\n`)
}

async function tearDown(project: Project, compose: (args: string[]) => Promise<Finished>): Promise<void> {
  if (existsSync(join(project.projectDir, 'docker-compose.yml')))
    await compose(['--profile', '*', 'down', '-v', '--remove-orphans', '-t', '1'])
  for (const left of await listContainers(project.projectName)) await finish('docker', ['rm', '-f', '-v', left.id])
  await sweep(project.id)
  if (project.temporary) await rm(project.projectDir, { recursive: true, force: true })
}
