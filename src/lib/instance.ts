import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UsageError } from './errors.js'
import { configDir } from './paths.js'

export const BACKENDS = ['compose', 'heroku', 'direct', 'sandbox'] as const
export type BackendKind = (typeof BACKENDS)[number]

export interface RowBudget {
  rows?: number
  bytes?: number
  herokuPlan?: string
  /** Percent of the budget from which a warning is given. */
  warnAt?: number
}

/** Where backups are kept, for whom they are encrypted, and how many stay. */
export interface BackupSettings {
  /** Absolute; undefined: a folder of the instance among the user's data. */
  dir?: string
  /** Undefined: they are not encrypted. */
  recipient?: string
  keep?: Keep
}

/** For how many days, weeks and months a backup stays; what is absent is as the tool has it. */
export interface Keep {
  daily?: number
  weekly?: number
  monthly?: number
}

/** Everything that is known about one instance from configuration, environment and flags; validated here, once. */
export interface Instance {
  /** The name under which runs and locks are kept. */
  name: string
  /** Undefined: to be detected in the project folder. */
  backend?: BackendKind
  projectDir: string
  /** Whether the folder was asked for, or is just where the command was typed. */
  projectDirGiven: boolean
  files?: string[]
  projectName?: string
  profiles?: string[]
  dockerHost?: string
  dockerContext?: string
  roles?: Partial<Record<'web' | 'sidekiq' | 'streaming', string[]>>
  /** The app on Heroku. */
  app?: string
  /** A git checkout of what is deployed, where that is done by pushing it. */
  checkout?: string
  /** The repository that releases are fetched from, in place of Mastodon's own. */
  upstream?: string
  databaseUrl?: string
  redisUrl?: string
  /** TLS certificates of PostgreSQL and Redis that no authority has signed are accepted. */
  acceptSelfSigned?: boolean
  sandboxDir?: string
  /** Overrides what is read from the instance. */
  domain?: string
  mastodonVersion?: string
  budget: RowBudget
  backups: BackupSettings
  /** What the platform's own variables say: used only where nothing was configured. */
  ambient: Ambient
}

/** Variables that are set for other programs than this one. */
export interface Ambient {
  /** HEROKU_APP, as the Heroku CLI takes it. */
  herokuApp?: string
  /** DATABASE_URL and REDIS_URL, as the platform gives them to a process of the app. */
  databaseUrl?: string
  redisUrl?: string
  /** UPDATE_CHECK_URL, as Mastodon reads it: where newer releases are asked for, or empty for nowhere. */
  updateCheckUrl?: string
  /** Whether this process is one of the app's own, on the platform (DYNO). */
  inDyno: boolean
}

/** The global flags that choose an instance. */
export interface InstanceFlags {
  instance?: string
  backend?: string
  projectDir?: string
  app?: string
}

/** One thing that is wrong with the configuration, with its place and what would be right. */
export interface Mistake {
  place: string
  problem: string
  allowed?: string
}

/**
 * Reads the configuration file (working directory, then the user's configuration folder), `MSTDN_OPS_*` and the flags.
 *
 * @throws UsageError naming every mistake at once.
 */
export async function resolveInstance(flags: InstanceFlags, env: NodeJS.ProcessEnv = process.env): Promise<Instance> {
  const { environmentOf } = await import('./configuration/environment.js')
  const environment = environmentOf(env)
  const file = findConfigFile(env)
  const read = file ? (await import('./configuration/file.js')).readConfigFile(file.path, file.text) : undefined
  const mistakes = [...environment.mistakes, ...(read?.mistakes ?? [])]
  if (mistakes.length > 0) throw mistakesError(mistakes)
  const wanted = flags.instance ?? environment.values.instance
  const app = appAsked(flags, environment.values)
  const chosen = app !== undefined && wanted === undefined ? ofApp(app, read) : chooseInstance(wanted, read, file?.path)
  if (app !== undefined) refuseAnother(app, chosen)
  const instance = { ...merge(chosen, environment.values, flags, app), ...ambientOf(env) }
  // Inside a dyno the app's own variable is ours.
  const domain = instance.domain ?? (instance.ambient.inDyno ? env.LOCAL_DOMAIN : undefined)
  return domain === undefined ? instance : { ...instance, domain }
}

type FileInstance = Omit<Instance, 'name' | 'projectDir' | 'projectDirGiven' | 'budget' | 'backups' | 'ambient'> & {
  projectDir?: string
  budget?: RowBudget
  backups?: BackupSettings
}
export interface ConfigFile {
  default?: string
  instances: Record<string, FileInstance>
  mistakes: Mistake[]
}

function findConfigFile(env: NodeJS.ProcessEnv): { path: string; text: string } | undefined {
  const named = env.MSTDN_OPS_CONFIG
  if (named) return { path: named, text: readNamed(named) }
  for (const dir of [process.cwd(), configDir(env)]) {
    const path = join(dir, 'mstdn-ops.yaml')
    const text = readIfThere(path)
    if (text !== undefined) return { path, text }
  }
  return undefined
}

function readNamed(path: string): string {
  const text = readIfThere(path)
  if (text !== undefined) return text
  throw mistakesError([{ place: 'environment MSTDN_OPS_CONFIG', problem: `names ${path}, which does not exist` }])
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw mistakesError([{ place: path, problem: `cannot be read: ${(error as Error).message}` }])
  }
}

interface Chosen {
  name?: string
  settings: FileInstance
}

function chooseInstance(wanted: string | undefined, file: ConfigFile | undefined, path: string | undefined): Chosen {
  if (file === undefined) {
    if (wanted === undefined) return { settings: {} }
    throw unknownInstance(wanted, [], path)
  }
  const names = Object.keys(file.instances)
  const name = wanted ?? file.default ?? (names.length === 1 ? names[0] : undefined)
  if (name === undefined && names.length === 0) return { settings: {} }
  if (name === undefined) throw severalInstances(names, path)
  const settings = file.instances[name]
  if (settings === undefined) throw unknownInstance(name, names, path)
  return { name, settings }
}

/** Returns the app that --app or MSTDN_OPS_APP asks for, where no other backend is asked for as strongly. */
function appAsked(flags: InstanceFlags, env: Partial<FileInstance>): string | undefined {
  const backend = flags.backend ?? (flags.app === undefined ? env.backend : undefined) ?? 'heroku'
  return backend === 'heroku' ? (flags.app ?? env.app) : undefined
}

/** Returns the instance of the file that is this app: what is set for any other one does not hold for it. */
function ofApp(app: string, file: ConfigFile | undefined): Chosen {
  const isIt = ([, settings]: [string, FileInstance]) => settings.app === app && backendOf(settings) === 'heroku'
  const [name, settings] = Object.entries(file?.instances ?? {}).find(isIt) ?? []
  return { ...(name === undefined ? {} : { name }), settings: settings ?? {} }
}

function refuseAnother(app: string, { name, settings }: Chosen): void {
  const backend = backendOf(settings) ?? impliedBackend(settings) ?? 'heroku'
  if (backend === 'heroku' && (settings.app ?? app) === app) return
  throw new UsageError({
    code: 'app-of-another-instance',
    message: `The instance "${name}" is not the app ${app}.`,
    cause: `It is configured as ${backend === 'heroku' ? `the app ${settings.app}` : `one of the ${backend} backend`}.`,
    next: 'Name one of the two: the instance (-i, MSTDN_OPS_INSTANCE) or the app (--app, MSTDN_OPS_APP).',
  })
}

/** What the settings of an instance can only mean, where they name no backend. */
function impliedBackend(settings: FileInstance): BackendKind | undefined {
  if (settings.databaseUrl !== undefined) return 'direct'
  return namesCompose({ ...settings, projectDirGiven: settings.projectDir !== undefined }) ? 'compose' : undefined
}

/** Returns whether a compose project was asked for by any setting of its own. */
export function namesCompose(
  instance: Pick<Instance, 'projectDirGiven' | 'files' | 'projectName' | 'profiles' | 'dockerHost' | 'dockerContext'>,
): boolean {
  const { projectDirGiven, files, projectName, profiles, dockerHost, dockerContext } = instance
  return projectDirGiven || [files, projectName, profiles, dockerHost, dockerContext].some(set => set !== undefined)
}

function merge(
  chosen: Chosen,
  env: Partial<FileInstance>,
  flags: InstanceFlags,
  app: string | undefined,
): Omit<Instance, 'ambient'> {
  const backend = flags.backend ?? (app !== undefined ? 'heroku' : (env.backend ?? backendOf(chosen.settings)))
  const projectDir = flags.projectDir ?? env.projectDir ?? chosen.settings.projectDir
  const merged = {
    ...chosen.settings,
    ...env,
    ...(app === undefined ? {} : { app }),
    name: chosen.name ?? '',
    projectDir: resolve(projectDir ?? '.'),
    projectDirGiven: projectDir !== undefined,
    budget: { ...chosen.settings.budget, ...env.budget },
    backups: { ...chosen.settings.backups, ...env.backups },
  }
  return backend === undefined ? merged : { ...merged, backend: backend as BackendKind }
}

/** An app is one of Heroku. */
function backendOf({ backend, app }: FileInstance): string | undefined {
  return backend ?? (app === undefined ? undefined : 'heroku')
}

/** The domain counts inside a dyno only, where it is the app's own. */
function ambientOf(env: NodeJS.ProcessEnv): Pick<Instance, 'ambient'> {
  const given = { herokuApp: env.HEROKU_APP, databaseUrl: env.DATABASE_URL, redisUrl: env.REDIS_URL }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ''))
  const { UPDATE_CHECK_URL: updateCheckUrl } = env
  return { ambient: { ...set, ...(updateCheckUrl !== undefined && { updateCheckUrl }), inDyno: Boolean(env.DYNO) } }
}

/** Returns the error that lists every mistake, one a line. */
export function mistakesError(mistakes: readonly Mistake[]): UsageError {
  const lines = mistakes.map(
    ({ place, problem, allowed }) => `${place}: ${problem}${allowed ? ` (allowed: ${allowed})` : ''}`,
  )
  return new UsageError({
    code: 'configuration',
    message:
      mistakes.length === 1 ? 'The configuration has a mistake.' : `The configuration has ${mistakes.length} mistakes.`,
    cause: lines.join('\n'),
    next: 'Correct it and run the command again; docs/configuration.md lists every setting.',
  })
}

function unknownInstance(name: string, names: readonly string[], path: string | undefined): UsageError {
  return new UsageError({
    code: 'unknown-instance',
    message: `There is no instance "${name}".`,
    cause: path
      ? `${path} names: ${names.join(', ') || 'none'}.`
      : "There is no mstdn-ops.yaml in this folder or in the user's configuration folder.",
    next:
      names.length > 0
        ? `Choose one with -i: ${names.join(', ')}.`
        : 'Write a mstdn-ops.yaml, or leave out -i and point at the project with -C DIR.',
  })
}

function severalInstances(names: readonly string[], path: string | undefined): UsageError {
  return new UsageError({
    code: 'instance-not-chosen',
    message: 'Several instances are configured and none was chosen.',
    cause: `${path} names: ${names.join(', ')}.`,
    next: `Choose one with -i, or set \`default:\` in ${path}.`,
  })
}
