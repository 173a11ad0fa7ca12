import type { Duplex, Readable, Writable } from 'node:stream'
import type { Effect, Invocation } from '../runner.js'
import type { Answers } from '../setup/questions.js'
import type { Apart } from './apart.js'
import type { Captures, DatabaseAddons } from './managed-database.js'
import type { ReleaseBuild } from './release-build.js'

/**
 * The seam between what operators want and where Mastodon runs.
 *
 * A backend is a record of optional facets; **an absent facet is the missing capability**. Runbooks and checks ask for
 * the facet and never for the backend's name. Nothing here knows Mastodon's commands.
 */
export interface Backend {
  /** Shown to the operator and written to journals, never compared. */
  readonly kind: string
  /** What is operated on, like `compose project mastodon in /srv/mastodon`. */
  readonly title: string
  /** Names the instance when no configuration does: the compose project, the app, the sandbox. */
  readonly name: string
  /** Refuses with a reason when the backend cannot be used: client missing or too old, engine away, project unknown. */
  preflight(): Promise<void>
  readonly oneOff?: OneOff
  readonly processes?: Processes
  readonly releases?: Releases
  readonly maintenance?: Maintenance
  readonly config?: Config
  readonly logs?: Logs
  readonly files?: Files
  readonly storage?: Storage
  readonly postgres?: PostgresConnector
  readonly redis?: RedisConnector
  readonly captures?: Captures
  readonly databases?: DatabaseAddons
  readonly apart?: Apart
  readonly founding?: Founding
  /** Why an absent facet cannot be had here, and what to do instead. */
  readonly without?: Readonly<Partial<Record<FacetName, Excuse>>>
  close(): Promise<void>
}

export type FacetName =
  | 'oneOff'
  | 'processes'
  | 'releases'
  | 'maintenance'
  | 'config'
  | 'logs'
  | 'files'
  | 'storage'
  | 'postgres'
  | 'redis'
  | 'captures'
  | 'databases'
  | 'apart'
  | 'founding'

/** Why the platform cannot do something, and what the operator does instead. */
export interface Excuse {
  cause: string
  next: string
}

/** What stands already where an instance is to be made. */
export interface Standing {
  /** The files that would be read as the instance's, by their paths. */
  files: string[]
  /** Whether they are what would be written: everything but secrets is compared. Undefined where there are none. */
  isSame?: boolean
  /** What is different, in words. */
  differing: string[]
  /** The domain of the instance that they are of. */
  domain?: string
  /** Containers and volumes under the instance's name. */
  remains: string[]
}

/** Makes an instance out of answers: its files, its servers, its processes. */
export interface Founding {
  /** The folder, for people. */
  readonly where: string
  standing(answers: Answers): Promise<Standing>
  /** Returns what the machine lacks, each with the way out, and what is only to be warned of. */
  obstacles(answers: Answers): Promise<{ fatal: string[]; warnings: string[] }>
  /** Gives the files that stand there another name, after the key. */
  setAside(key: string): Promise<void>
  /** Gives them their names back; safe to repeat. */
  putBack(key: string): Promise<void>
  /** Returns where they are meanwhile. */
  kept(key: string): string[]
  /**
   * Writes the files, each whole or not at all. In a dry run they are shown, secrets left out.
   *
   * @param secrets the app's own secrets by name
   */
  write(answers: Answers, secrets: Readonly<Record<string, string>>): Promise<void>
  /** Removes what was written; safe to repeat. */
  unwrite(): Promise<void>
  /** Returns the images that are not here. */
  missing(answers: Answers): Promise<string[]>
  fetch(images: readonly string[], onProgress: (text: string) => void): Promise<void>
  /** Whether all of it runs and is well. */
  runs(answers: Answers, what: 'servers' | 'app'): Promise<boolean>
  /** Starts it, and returns when it is well. */
  start(answers: Answers, what: 'servers' | 'app'): Promise<void>
  /** Gives the folder of uploaded files to the app's user. */
  giveMedia(answers: Answers): Promise<void>
  /** Takes away containers and data. Only for what this run has made. */
  remove(answers: Answers): Promise<void>
}

/** What a Mastodon process is for. */
export type Role = 'web' | 'sidekiq' | 'streaming'
export const ROLES: readonly Role[] = ['web', 'sidekiq', 'streaming']

/** A command for the app's environment: its root as working directory, its variables set. */
export interface AppCommand {
  argv: readonly string[]
  /** Variables on top of the app's own. They may be seen by other users of the host: never secrets. */
  env?: Readonly<Record<string, string>>
  stdin?: string
  effect: Effect
  /** Set for work that takes long and must survive the death of this process: it is found again by this key. */
  longKey?: string
  /** Gets each line of standard output as it comes. */
  onLine?: (line: string) => void
  timeoutMs?: number
  /** A new process rather than one inside a running container, so that changed configuration is in force. */
  fresh?: boolean
  /** Done twice it comes to something else than done once: a second run that was seen makes the outcome unknown. */
  once?: boolean
  /** The answer depends on the deployed code alone: a backend where a process is dear may remember it. */
  ofRelease?: boolean
  /** The version of a release that was fetched ({@link ReleaseChange}): a new process of it, beside the one that serves. */
  release?: string
}

export interface AppOutcome {
  stdout: string
  stderr: string
  exitCode: number
  /** True in a dry run: nothing was run. */
  planned: boolean
}

/** One-off processes in the app's environment. */
export interface OneOff {
  /**
   * Runs to the end. A code other than 0 is returned, not thrown.
   *
   * @throws OutcomeUnknownError when the process's end was not seen.
   */
  run(command: AppCommand): Promise<AppOutcome>
  /** Returns once nothing of a long command runs any more; what it left to be read goes. */
  untilOver(longKey: string): Promise<void>
  /** Gives the terminal to the command and returns its code. */
  interactive(command: AppCommand): Promise<number>
  /** The line that an operator would type. */
  byHand(command: AppCommand): string
  /** Set where everything that a process writes to its disk is lost at its end. */
  readonly losesFiles?: Excuse
  /** Set where a process has a network of its own, from which the app's ports cannot be reached. */
  readonly isApart?: boolean
}

export interface AppProcess {
  role: Role
  /** The compose service or the dyno type. */
  name: string
  /** The container or dyno. */
  id: string
  state: 'running' | 'stopped' | 'restarting'
  health: 'healthy' | 'unhealthy' | 'starting' | 'none'
  startedAt: Date | undefined
  /** Another text after each start; where it is absent, the time of the start tells (a platform may tell seconds only). */
  life?: string
  /** What runs in it, entry point included, where that is known. */
  command?: string
  /** The command that tests its health, where there is one. */
  healthCommand?: string
  image?: string
  /** Set where it ended, the last time, because the memory ran out. */
  outOfMemory?: true
}

/** Returns a text that is another one once the process was started anew. */
export function lifeOf({ id, life, startedAt }: AppProcess): string {
  return `${id} ${life ?? startedAt?.toISOString() ?? ''}`
}

/** A process that ran before. */
export type FormerProcess = Pick<AppProcess, 'role' | 'name' | 'id'>

export interface Processes {
  list(): Promise<AppProcess[]>
  /**
   * Starts the processes anew with the configuration as it is stored now, stopped ones too; where `former` is given, only
   * those under its names. Returns when they run and are healthy.
   */
  restart(roles: readonly Role[], former?: readonly FormerProcess[]): Promise<void>
  /** Refuses where starting them anew would be more than that, like another release; absent where it never is. */
  mayRestart?(roles: readonly Role[]): Promise<void>
  stop(roles: readonly Role[]): Promise<void>
  /** Starts what is stopped; where `former` is given, only those that are in it, so that no other one is started. */
  start(roles: readonly Role[], former?: readonly FormerProcess[]): Promise<void>
  /** How many processes of each kind there are to be; absent where the number stands in files. */
  readonly formation?: Formation
  /** Asks the web processes for a page again and again, from beside them; absent where that cannot be done. */
  watch?(page: WatchedPage, onAnswer: (answer: WatchedAnswer) => void): Promise<Watch>
}

/** A page that is asked for every so often. */
export interface WatchedPage {
  path: string
  /** The name by which visitors reach it. */
  host: string
  everyMs: number
}

/** When the page was asked for and when that was over, in milliseconds; the status code, or why there was no answer. */
export interface WatchedAnswer {
  at: number
  answeredAt: number
  code: string
}

export interface Watch {
  /**
   * Resolves once every answer was handed over and nothing of it runs any more.
   *
   * @returns false where it had ended by itself before: then nobody looked to the end.
   */
  stop(): Promise<boolean>
}

/** How many processes of each type the platform runs. */
export interface Formation {
  /** Every process type with its number and size. */
  sizes(): Promise<ProcessSize[]>
  /** Returns once as many run. */
  scale(sizes: readonly Pick<ProcessSize, 'name' | 'quantity'>[]): Promise<void>
}

export interface ProcessSize {
  /** The process type, like `web`. */
  name: string
  quantity: number
  /** What the platform calls the size of one, like `Basic`. */
  size: string
}

export interface Releases {
  /** The release that is (or would be) running: a label as the backend names it, like an image tag. */
  current(): Promise<{ label: string; image?: string } | undefined>
  /** The newest releases first, where the platform keeps them. */
  list?(limit: number): Promise<Release[]>
  /** Puts another release in the place of the present one; absent where that is not done from here. */
  readonly change?: ReleaseChange
  /** Builds releases from sources, which are in force as soon as they are built; absent where that is not done from here. */
  readonly build?: ReleaseBuild
}

/** What runs under a name now, and from the change on. */
export interface ReleasePart {
  /** The compose service, or what else has code of its own. */
  name: string
  from: string
  to: string
  /** The command that will test its health, where one is named. */
  healthCommand?: string
}

/** Another release: first beside the one that serves, then in its place. It goes by its version, like `4.3.8`. */
export interface ReleaseChange {
  /** Returns what would change; nothing where it is the present one. @throws RefusedError where it cannot be changed. */
  parts(version: string): Promise<ReleasePart[]>
  /** Whether all of it was fetched already. */
  isHere(version: string): Promise<boolean>
  /** Fetches what is not here. What serves is not touched. */
  fetch(version: string, onProgress: (text: string) => void): Promise<void>
  /**
   * Makes it the release of the next start, and keeps the former state aside under the key. What runs goes on.
   *
   * @returns where the former state stands
   */
  write(version: string, key: string): Promise<string[]>
  /** Puts the kept state back; safe to repeat, and when nothing was kept. */
  putBack(key: string): Promise<void>
  /** Forgets the kept state. */
  forget(key: string): Promise<void>
  /** Starts these processes anew with what the next start would take, web first. Returns when they are healthy. */
  bring(former: readonly FormerProcess[]): Promise<void>
  /** What leads back later, in a run of its own; absent where nothing does. */
  readonly back?: ReleaseBack
}

/** The way back to the release before, whose state {@link ReleaseChange.write} has kept. */
export interface ReleaseBack {
  /** Returns what is kept under the key. */
  kept(key: string): Promise<KeptState[]>
  /** Returns which code, by the names of {@link ReleasePart}, is not here. */
  missing(names: readonly string[]): Promise<string[]>
  /** Fetches it. */
  fetch(names: readonly string[], onProgress: (text: string) => void): Promise<void>
  /** Puts what is kept under `of` back; what stands in its place now is kept under the key. What runs goes on. */
  replace(of: string, key: string): Promise<void>
}

export interface KeptState {
  /** What was kept, and where it is kept. */
  path: string
  copy: string
  /** SHA-256 of what stands in its place now. */
  digest: string
  /** Whether that is what was kept. */
  isBack: boolean
}

/** One state of code and configuration that was put into force. */
export interface Release {
  /** Like `v42`. */
  label: string
  at: Date
  user: string
  description: string
  current: boolean
}

/** A page that visitors see instead of the app. */
export interface Maintenance {
  isOn(): Promise<boolean>
  set(on: boolean): Promise<void>
}

export type ConfigChanges = Readonly<Record<string, string | null>>

/** The app's environment variables. Every value is a secret until shown otherwise: never logged. */
export interface Config {
  /** Where it is kept, for people: a file, an app. */
  readonly where: string
  /** As the running web process sees it; falls back to what the next start would see. */
  running(): Promise<ReadonlyMap<string, string>>
  /** As the next start will see it. */
  stored(): Promise<ReadonlyMap<string, string>>
  /** Those of them that are kept at {@link where}, and are not set by the platform or by something else. */
  own(): Promise<ReadonlyMap<string, string>>
  /** Returns the paths of all files here that make the configuration; absent where it is kept in none. */
  files?(): Promise<string[]>
  /** Refuses with a reason when it cannot be written from here. */
  writable(): Promise<void>
  /** Writes the changes (null removes), other lines, comments and order kept. Takes effect at the next `restart`, unless {@link appliesAtOnce}. */
  write(changes: ConfigChanges): Promise<void>
  /** Set where a write takes effect at once: the platform starts the processes anew by itself. */
  readonly appliesAtOnce?: boolean
  /** Keeps the present state of these variables aside under the key; returns where it stands. Safe to repeat. */
  keep(key: string, names: readonly string[]): Promise<string>
  /** Puts the kept state back; does nothing when nothing was kept under the key. */
  putBack(key: string): Promise<void>
  /** Forgets the kept state. */
  forget(key: string): Promise<void>
}

export interface LogRequest {
  roles: readonly Role[]
  lines: number
  follow: boolean
  signal?: AbortSignal
  /** Also of what runs beside the app where its logs are kept at the same place: database, Redis, search. */
  beside?: boolean
  /** `time` is when it was printed, where the platform tells it and the lines are not followed. */
  onLine: (line: string, source: string, time?: string) => void
}

export interface Logs {
  /** Sends lines to `onLine` until the end, or until `signal` when following. */
  read(request: LogRequest): Promise<void>
}

export interface Files {
  /** Copies between this machine and a process's file system; `remote` is `web:/path`. */
  copy(direction: 'in' | 'out', local: string, remote: { place: string; path: string }): Promise<void>
}

export interface Volume {
  /** Whose data it holds. */
  place: 'database' | 'redis' | 'media'
  name: string
  path: string
  /** `anonymous` and `none` lose the data when the container is made anew. */
  kind: 'bind' | 'named' | 'anonymous' | 'none'
  source?: string
}

export interface DiskSpace {
  place: 'database' | 'media'
  path: string
  totalBytes: number
  freeBytes: number
}

export interface Storage {
  volumes(): Promise<Volume[]>
  disk(): Promise<DiskSpace[]>
  /** Where scripts run beside the app's media, as the app's user, and the folder that holds them; or why nowhere. */
  media?(): Promise<{ place: ScriptPlace; path: string } | Excuse>
  /** Where scripts run beside the files of Redis, which itself says where they are; or why nowhere. */
  redis?(): Promise<ScriptPlace | Excuse>
}

/** Whether the answer is why something cannot be had. */
export function isExcuse<T extends object>(answer: T | Excuse): answer is Excuse {
  return 'cause' in answer && 'next' in answer
}

/** Who and where, as the protocol's client needs it. The password stays in memory. */
export interface PostgresTarget {
  user: string
  database: string
  password?: string
  /** For a client that connects by itself; absent where {@link PostgresConnector.openStream} is present. */
  host?: string
  port?: number
  tls?: 'none' | 'verify' | 'accept-any'
}

export interface PostgresConnector {
  /** Where the server is, for people: `service db`, `db.example.org:5432`. */
  readonly where: string
  target(): Promise<PostgresTarget>
  /** A byte stream to the server, where no port can be reached directly. */
  openStream?(): Promise<Duplex>
  /**
   * Returns the place where PostgreSQL's own programs reach the server; absent where none are started.
   *
   * @throws RefusedError when there is none.
   */
  tools?(): Promise<PostgresTools>
  /** An interactive psql. */
  psql(database: string, args: readonly string[]): Promise<Invocation>
  /** The line that an operator would type to run this SQL. */
  byHand(database: string, sql: string): string
}

/** Where pg_dump and pg_restore run: beside the server, or on this machine, with PGHOST, PGPORT and the like set. */
export type PostgresTools = ScriptPlace

/** A place where scripts are started. */
export interface ScriptPlace {
  /** For people: `service db`, `this machine`. */
  readonly where: string
  /**
   * Starts a script. When this process dies, so does everything that the script started.
   *
   * @throws RefusedError when nothing can be started there.
   */
  open(script: ToolScript): Promise<ToolRun>
}

/** A script for `sh`. */
export interface ToolScript {
  /** What it is, for people: `pg_dump`. */
  what: string
  script: string
  /** Its `$1` and on. */
  args?: readonly string[]
  /** Beside PostgreSQL: the database that PGDATABASE names; the instance's own where absent. */
  database?: string
  effect: Effect
  /** Whether its standard input is what is written to {@link ToolRun.stdin}; otherwise it is empty. */
  fed?: boolean
}

/** A script that was started. */
export interface ToolRun {
  readonly stdin: Writable
  readonly stdout: Readable
  /**
   * The script's own code, and what it said on standard error: the beginning and the end where that is long.
   *
   * @throws RefusedError when it never started or, for a read, its end was not seen; OutcomeUnknownError for a write.
   */
  readonly ended: Promise<{ exitCode: number; stderr: string }>
  kill(): void
}

export interface RedisTarget {
  username?: string
  password?: string
  database: number
  host?: string
  port?: number
  tls?: 'none' | 'verify' | 'accept-any'
  /** The prefix of every key of this instance with a trailing colon, or the empty string (REDIS_NAMESPACE, ≤ 4.3). */
  prefix: string
}

/** A Redis server beside the main one; the variables that name it are read by some releases only. */
export interface OtherRedis {
  /** What the app's variables want there: Sidekiq's keys (SIDEKIQ_REDIS_URL), the cache (CACHE_REDIS_URL), or both. */
  roles: readonly ('sidekiq' | 'cache')[]
  connector: RedisConnector
}

export interface RedisConnector {
  readonly where: string
  target(): Promise<RedisTarget>
  openStream?(): Promise<Duplex>
  /** The servers beside this one, without those that are this one under another name; absent where there are none. */
  others?(): Promise<readonly OtherRedis[]>
  /** An interactive redis-cli. */
  cli(args: readonly string[]): Promise<Invocation>
  byHand(args: readonly string[]): string
}
