import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildImages, ensureEngine, imageNames, sweep } from '../compose/bed/bed.js'
import { bedLabel, ownerLabel } from '../compose/bed/compose-file.js'
import { demo } from '../compose/bed/demo.js'
import { since } from '../compose/bed/images.js'
import { isAlive } from '../compose/bed/lock.js'
import { must } from '../compose/bed/process.js'
import { selfSignedForLoopback } from './certificate.js'
import { type ClientKind, type ClientPath, clientPath } from './client-path.js'
import { configVars } from './config-vars.js'
import { addonRoutes, newAddon } from './emulator/addon-routes.js'
import { App } from './emulator/app.js'
import { Backups } from './emulator/backups.js'
import { startContainer } from './emulator/container.js'
import { dataRoutes } from './emulator/data-routes.js'
import { Dynos, type Run, stateOf } from './emulator/dynos.js'
import { Emulator, type Request } from './emulator/emulator.js'
import { type Fault, Faults } from './emulator/faults.js'
import { FormationProcesses } from './emulator/formation-processes.js'
import { GitHost } from './emulator/git-host.js'
import { Logs } from './emulator/logs.js'
import { platformRoutes } from './emulator/platform-routes.js'
import { Rendezvous } from './emulator/rendezvous.js'
import { startPooler } from './pooler.js'
import { type Database, type Servers, startServers } from './servers.js'

export { demoCounts, people } from '../compose/bed/demo.js'
export type { Run } from './emulator/dynos.js'
export type { Request } from './emulator/emulator.js'
export type { Fault } from './emulator/faults.js'

export interface HerokuOptions {
  /** Mastodon's release, like `4.5.3`: one that the compose bed has images of. */
  readonly version: string
  /** The app's name (`mastodon-test`). */
  readonly app?: string
  readonly domain?: string
  /** Which `heroku` comes first on PATH (`scripted`). */
  readonly client?: ClientKind
  /** What the scripted client calls itself (11.10.0). */
  readonly clientVersion?: string
  /** False: an app without the Redis add-on. */
  readonly redis?: boolean
  /** True: DATABASE_URL leads to a pgbouncer in transaction mode. */
  readonly pooler?: boolean
  /** A database of somebody else's, to which DATABASE_URL leads; `psql` and the add-on's commands do not reach it. */
  readonly databaseUrl?: string
  /** A folder of this machine that is the /tmp of every dyno, which is gone with it otherwise. */
  readonly tmp?: string
  /** How many one-off dynos may run at a time (50). */
  readonly dynoLimit?: number
  /** More config variables. */
  readonly config?: Readonly<Record<string, string>>
  /** False: an empty database. */
  readonly migrate?: boolean
  /** False: tables, but no people and posts. */
  readonly demo?: boolean
  /** Releases that may be deployed by git: then there is a repository, and the formation's dynos are processes. */
  readonly deploys?: readonly string[]
}

export interface HerokuApp {
  readonly app: string
  readonly id: string
  readonly version: string
  readonly domain: string
  readonly token: string
  /** The whole environment of a child process that is to work on this app. */
  readonly env: NodeJS.ProcessEnv
  /** A fresh HOME, which `env` names. */
  readonly home: string
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
  /** The certificate that PostgreSQL, Redis and the rendezvous show, in a file. */
  readonly certificate: string
  /**
   * Runs SQL as the superuser, by a way of its own, in the app's first database or in the one at an URL. Returns unaligned
   * rows (`|` between columns). Throws on an error.
   */
  psql(sql: string, url?: string): Promise<string>
  redis(...args: string[]): Promise<string>
  /** The variables that dynos get now. */
  config(): Record<string, string>
  /** Sets and (null) removes variables, as somebody else would. */
  setConfig(changes: Readonly<Record<string, string | null>>): void
  /** Oldest first. */
  releases(): { readonly version: number; readonly description: string }[]
  /** Formation and one-offs that are there now. */
  dynos(): {
    readonly name: string
    readonly type: string
    readonly state: string
    readonly command: string
    readonly id: string
  }[]
  formation(): Record<string, number>
  maintenance(): boolean
  /** The folder of the app's git repository, where releases may be deployed. */
  readonly repository: string | undefined
  /** Mastodon's release that is in force, and what it was built from. */
  slug(): { readonly version: string; readonly commit: string | null }
  /** What was pushed to be built, oldest first. */
  readonly builds: readonly { readonly commit: string; readonly status: string }[]
  /** Tells what the first release was built from, which the repository holds. */
  builtFrom(commit: string): void
  /** Every request to the API, oldest first, with the values in its body. */
  readonly requests: readonly Request[]
  /** Every one-off that really started. */
  readonly runs: readonly Run[]
  /** The arguments of every `heroku` that was started. */
  cliCalls(): Promise<string[][]>
  inject(fault: Fault): void
  clearFaults(): void
  /** Adds a line to the log, as if a dyno had printed it. */
  log(line: string, dyno?: string): void
  /** All lines of the log. */
  logs(): string[]
  /** Removes containers, the network and the temporary folder. Safe to call twice. */
  stop(): Promise<void>
}

/** Starts an emulated platform with one Mastodon app on it. */
export async function startHerokuApp(options: HerokuOptions): Promise<HerokuApp> {
  await ensureEngine()
  await sweepOrphans()
  await buildImages([options.version, ...(options.deploys ?? [])])
  const bed = await makeBed(options)
  try {
    return await bringUp(bed)
  } catch (error) {
    await bed.stop()
    throw error
  }
}

/** What must go again, from the first moment on. */
interface Bed {
  readonly id: string
  readonly dir: string
  readonly options: HerokuOptions
  readonly domain: string
  readonly tls: { readonly cert: string; readonly key: string }
  readonly files: { readonly cert: string; readonly key: string }
  readonly labels: Readonly<Record<string, string>>
  readonly closing: (() => Promise<void> | void)[]
  stop(): Promise<void>
}

async function makeBed(options: HerokuOptions): Promise<Bed> {
  const id = randomBytes(4).toString('hex')
  const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-heroku-'))
  const closing: Bed['closing'] = []
  const stop = async () => {
    await Promise.allSettled(closing.splice(0).map(close => close()))
    await sweep(id)
    await rm(dir, { recursive: true, force: true })
  }
  await makeHome(join(dir, 'home'))
  await mkdir(join(dir, 'servers'))
  const files = await selfSignedForLoopback(join(dir, 'servers')).catch(async error => {
    await rm(dir, { recursive: true })
    throw error
  })
  const tls = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') }
  const labels = { [bedLabel]: id, [ownerLabel]: String(process.pid) }
  const domain = options.domain ?? 'mastodon.example'
  return { id, dir, options, domain, tls, files, labels, closing, stop }
}

/** A home in which the client has greeted already. */
async function makeHome(home: string): Promise<void> {
  const cache = join(home, '.cache', 'heroku')
  await mkdir(cache, { recursive: true })
  await writeFile(join(cache, 'terms-of-service'), '')
}

async function bringUp(bed: Bed): Promise<HerokuApp> {
  const { options } = bed
  const placed = { id: bed.id, labels: bed.labels, dir: join(bed.dir, 'servers'), redis: options.redis !== false }
  const servers = await startServers(placed)
  const database = await servers.createDatabase()
  const app = newApp(bed)
  const direct = servers.urlOf(database)
  const own = options.pooler ? withPort(direct, await startPooler(placed, database)) : direct
  const url = options.databaseUrl ?? own
  addAddons(app, servers, database, url)
  const client = await clientPath(bed.dir, options.client ?? 'scripted')
  const platform = await startPlatform(bed, app, servers)
  if (options.migrate !== false) await fillDatabase(bed, app, servers, database, direct)
  platform.dynos.scale()
  return handleOf({ bed, app, servers, database, url, client, ...platform })
}

function withPort(text: string, port: number): string {
  const url = new URL(text)
  url.port = String(port)
  return url.href
}

function newApp({ options, domain }: Bed): App {
  return new App({
    name: options.app ?? 'mastodon-test',
    version: options.version,
    email: 'operator@mastodon.example',
    config: { ...configVars(options.version, domain), ...options.config },
    formation: [
      {
        type: 'web',
        command: since(options.version, '3.3.0') ? 'bin/heroku-web' : 'bundle exec puma -C config/puma.rb',
        quantity: 1,
      },
      { type: 'worker', command: 'bundle exec sidekiq', quantity: 1 },
    ],
  })
}

/** The history that such an app has: made, add-ons attached, deployed. */
function addAddons(app: App, servers: Servers, database: Database, url: string): void {
  const postgres = newAddon('heroku-postgresql', 'heroku-postgresql:essential-0', { url, database })
  app.addons.push(postgres)
  app.attach(postgres, 'DATABASE')
  app.release('Initial release')
  app.release(`Attach DATABASE (@ref:${postgres.name})`)
  if (servers.redisUrl !== undefined) {
    const redis = newAddon('heroku-redis', 'heroku-redis:mini', { url: servers.redisUrl })
    app.addons.push(redis)
    app.attach(redis, 'REDIS')
    app.release(`Attach REDIS (@ref:${redis.name})`)
  }
  app.release(`Set ${[...app.own.keys()].join(', ')} config vars`)
  app.release(`Deploy ${randomBytes(4).toString('hex')}`)
}

interface Parts {
  readonly emulator: Emulator
  readonly dynos: Dynos
  readonly logs: Logs
  readonly faults: Faults
  readonly token: string
  readonly repository: string | undefined
}

async function startPlatform(bed: Bed, app: App, servers: Servers): Promise<Parts> {
  const [logs, faults, rendezvous] = [new Logs(), new Faults(), new Rendezvous(bed.tls)]
  const port = await rendezvous.listen()
  bed.closing.push(() => rendezvous.close())
  const backups = new Backups({ dir: join(bed.dir, 'backups'), servers, tls: bed.tls, faults })
  await backups.listen()
  bed.closing.push(() => backups.close())
  const limit = bed.options.dynoLimit ?? 50
  const formation = await formationOf(bed, app)
  const parts = { rendezvousPort: () => port, limit, place: placeOf(bed), ...(formation ? { formation } : {}) }
  const dynos = new Dynos({ app, logs, faults, rendezvous, ...parts })
  app.onRelease = release => {
    logs.add('app', 'api', `Release v${release.version} created by user ${app.owner.email}`)
    dynos.restart()
  }
  bed.closing.push(() => dynos.close())
  const token = `HRKU-${randomUUID()}`
  const url = () => emulator.url
  const routes = [
    ...platformRoutes({ app, dynos, logs, token, url }),
    ...addonRoutes(app, async () => provision(servers), faults),
    ...dataRoutes({ app, servers, backups, faults }),
  ]
  const git = bed.options.deploys && new GitHost({ dir: join(bed.dir, 'git'), app, token, faults, url })
  const beside = git && { beside: (...exchange: Parameters<GitHost['answer']>) => git.answer(...exchange) }
  const emulator: Emulator = new Emulator({ token, app, foreignApps: ['someone-elses-app'], routes, faults, ...beside })
  await emulator.listen()
  await git?.make()
  bed.closing.push(() => emulator.close())
  return { emulator, dynos, logs, faults, token, repository: git?.folder }
}

/** Visitors reach it by an address of its own, which the app publishes. */
async function formationOf(bed: Bed, app: App): Promise<FormationProcesses | undefined> {
  if (bed.options.deploys === undefined) return undefined
  const formation = new FormationProcesses(placeOf(bed), bed.tls)
  await formation.listen()
  bed.closing.push(() => formation.close())
  formation.serve(app)
  app.own.set('WEB_DOMAIN', formation.address)
  return formation
}

async function provision(servers: Servers): Promise<{ url: string; database: Database }> {
  const database = await servers.createDatabase()
  return { database, url: servers.urlOf(database) }
}

/** The Redis gem of a dyno takes the self-signed certificate because this file names it, not because it checks nothing. */
function placeOf({ id, options, labels, files }: Bed) {
  return {
    ...{ imageOf: imageNames.app, labels, prefix: `mstdn-ops-bed-${id}-heroku` },
    ...{ files: [files.cert], env: { SSL_CERT_FILE: files.cert } },
    ...(options.tmp === undefined ? {} : { tmp: options.tmp }),
  }
}

/** By the database's own port: migrations need a session, which a pooler does not give. */
async function fillDatabase(bed: Bed, app: App, servers: Servers, database: Database, url: string): Promise<void> {
  const place = placeOf(bed)
  const command = 'rake db:migrate db:seed'
  const env = { ...place.env, ...app.config(), DATABASE_URL: url }
  const image = place.imageOf(bed.options.version)
  const container = startContainer({ ...place, image, name: `${place.prefix}-migrate`, command, env, terminal: false })
  container.input.end()
  const said: Buffer[] = []
  container.output.on('data', (bytes: Buffer) => said.push(bytes))
  if ((await container.ended) !== 0) throw new Error(Buffer.concat(said).toString())
  if (bed.options.demo !== false) await loadDemo(bed, app, servers, database)
}

async function loadDemo({ options, domain }: Bed, app: App, servers: Servers, database: Database): Promise<void> {
  const data = demo({ version: options.version, domain, otpSecret: app.config().OTP_SECRET ?? '' })
  await servers.sql(data.sql, database.name)
  if (servers.redisUrl !== undefined) await servers.redisLines(data.redis)
}

/** Removes what killed test runs have left. */
async function sweepOrphans(): Promise<void> {
  const format = `{{.Label "${bedLabel}"}} {{.Label "${ownerLabel}"}}`
  const text = await must('docker', ['network', 'ls', '--filter', `label=${ownerLabel}`, '--format', format])
  for (const line of text.split('\n').filter(Boolean)) {
    const [id, owner] = line.split(' ')
    if (!isAlive(Number(owner))) await sweep(id)
  }
}

interface Whole extends Parts {
  readonly bed: Bed
  readonly app: App
  readonly servers: Servers
  readonly database: Database
  readonly url: string
  readonly client: ClientPath
}

function handleOf(whole: Whole): HerokuApp {
  const { bed, app, servers, database, url, client, emulator, dynos, logs, faults, token } = whole
  return {
    ...{ app: app.name, id: app.id, version: bed.options.version, domain: bed.domain, token },
    env: environment(whole),
    home: join(bed.dir, 'home'),
    databaseUrl: url,
    redisUrl: servers.redisUrl,
    certificate: bed.files.cert,
    psql: (sql, at) => servers.sql(sql, at === undefined ? database.name : new URL(at).pathname.slice(1)),
    redis: servers.redis,
    config: () => app.config(),
    setConfig: changes => app.changeConfig(changes),
    releases: () => app.releases.map(({ version, description }) => ({ version, description })),
    dynos: () => dynos.list().map(dyno => ({ ...dyno, state: stateOf(dyno) })),
    formation: () => Object.fromEntries(app.formation.map(part => [part.type, part.quantity])),
    maintenance: () => app.maintenance,
    repository: whole.repository,
    slug: () => app.slug(),
    builds: app.builds,
    builtFrom: commit => {
      app.slug().commit = commit
    },
    requests: emulator.requests,
    runs: dynos.runs,
    cliCalls: client.calls,
    inject: fault => faults.add(fault),
    clearFaults: () => faults.clear(),
    log: (line, dyno = 'web.1') => logs.add('app', dyno, line),
    logs: () => logs.texts(),
    stop: bed.stop,
  }
}

/** Without variables of the caller that would lead to another app or another server. */
function environment({ bed, client, emulator, token }: Whole): NodeJS.ProcessEnv {
  const misleading = /^(HEROKU_|DATABASE_URL$|REDIS_URL$|PG[A-Z]|SSL_CERT_|https?_proxy$)/i
  const kept = Object.entries(process.env).filter(([name]) => !misleading.test(name))
  return {
    ...Object.fromEntries(kept),
    ...{ HEROKU_HOST: emulator.url, HEROKU_PARTICLEBOARD_URL: emulator.url, HEROKU_DATA_HOST: '127.0.0.1' },
    ...{ HEROKU_API_KEY: token, NODE_EXTRA_CA_CERTS: bed.files.cert, HOME: join(bed.dir, 'home') },
    ...{ DISABLE_TELEMETRY: 'true', HEROKU_DISABLE_AUTOUPDATE: '1', HEROKU_SKIP_NEW_VERSION_CHECK: 'true' },
    ...{ HEROKU_NOTIFICATIONS: '0', OCLIF_COLUMNS: '400', NO_COLOR: '1' },
    PATH: `${client.folder}:${process.env.PATH}`,
    ...(bed.options.clientVersion ? { SCRIPTED_HEROKU_VERSION: bed.options.clientVersion } : {}),
  }
}
