import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, resolve } from 'node:path'
import { RefusedError } from '../../errors.js'
import type { Invocation, Runner } from '../../runner.js'
import { shellLine } from '../../text.js'
import { isRecord, readText } from '../json.js'
import { type DockerWords, type InvocationParts, readOrRefuse } from './client.js'
import type { ComposeOptions } from './options.js'
import { composeFilesOf, DEFAULT_FILES, OVERRIDE_FILES } from './project-files.js'
import { isMastodonImage } from './roles.js'

/** What the labels of running and stopped containers tell about a project. */
export interface LabelledProject {
  name: string
  workingDir: string
  files: readonly string[]
  envFiles: readonly string[]
  hasMastodon: boolean
}

/** Everything that tells compose which project is meant. */
export interface Identity {
  name: string
  dir: string
  /** Passed as `-f`; empty where compose finds its files by itself. */
  files: readonly string[]
  envFiles: readonly string[]
  profiles: readonly string[]
  /** Whether the project's files are on this machine. */
  here: boolean
}

const FIELDS = ['project', 'project.working_dir', 'project.config_files', 'project.environment_file']
const FORMAT = [...FIELDS.map(field => `{{.Label "com.docker.compose.${field}"}}`), '{{.Image}}'].join('\t')

/** A compose project: builds the invocations that mean it and no other. */
export class ComposeProject {
  readonly identity: Identity
  readonly words: DockerWords

  constructor(identity: Identity, words: DockerWords) {
    this.identity = identity
    this.words = words
  }

  get name(): string {
    return this.identity.name
  }

  /** Whether there are files that compose would read. */
  get isWritten(): boolean {
    return this.identity.files.length > 0 || hasDefaultFile(this.identity.dir)
  }

  /** Returns the same project with one more compose file, which has the last word. */
  withOverride(path: string): ComposeProject {
    return new ComposeProject({ ...this.identity, files: [...composeFilesOf(this.identity), path] }, this.words)
  }

  /**
   * Returns an invocation of compose for this project.
   *
   * @throws RefusedError when the project's files are on another machine.
   */
  compose(args: readonly string[], parts: InvocationParts = {}): Invocation {
    if (!this.identity.here) throw filesElsewhere(this.identity)
    const flags = ['-p', this.identity.name, ...this.#placeFlags()]
    return this.words.compose([...flags, ...args], { cwd: this.identity.dir, ...parts })
  }

  docker(args: readonly string[], parts: InvocationParts = {}): Invocation {
    return this.words.docker(args, parts)
  }

  /** Returns the compose line that an operator would type in the project's folder. */
  byHand(args: readonly string[]): string {
    const name = this.identity.name === defaultName(this.identity.dir) ? [] : ['-p', this.identity.name]
    return shellLine([...this.words.composeByHand, ...name, ...this.#placeFlags(), ...args])
  }

  /** Returns when the compose files, or the `.env` beside them, were last changed. */
  editedAt(): Date {
    const { dir, files } = this.identity
    const own = files.length > 0 ? files : [...DEFAULT_FILES, ...OVERRIDE_FILES].map(name => resolve(dir, name))
    const times = [...own, resolve(dir, '.env')].map(file => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    return new Date(Math.max(...times))
  }

  #placeFlags(): string[] {
    const { dir, files, envFiles, profiles } = this.identity
    return [
      ...(files.length > 0 ? ['--project-directory', dir] : []),
      ...files.flatMap(file => ['-f', file]),
      ...envFiles.flatMap(file => ['--env-file', file]),
      ...profiles.flatMap(profile => ['--profile', profile]),
    ]
  }
}

/** Compose's own rule: the folder's name in lower case, other characters left out (compose-spec, project name). */
export function defaultName(dir: string): string {
  return basename(dir)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
}

/**
 * Returns the project that the options mean: by the labels of its containers where there are any, for they tell with
 * which files and under which name it was started; else by its configuration.
 *
 * `known` are the labelled projects, where they were read already.
 *
 * @throws RefusedError when there is none, or more than one and the name does not tell which.
 */
export async function findProject(
  options: ComposeOptions,
  words: DockerWords,
  runner: Runner,
  known?: readonly LabelledProject[],
): Promise<ComposeProject> {
  const dir = realFolder(options.projectDir ?? process.cwd())
  const inShell = nonEmpty(process.env.COMPOSE_PROJECT_NAME)
  const wanted = options.projectName ?? inShell
  const labelled = known ?? (await labelledProjects(words, runner))
  const running = chooseLabelled(labelled, dir, options.projectName, inShell)
  if (running) return new ComposeProject(identityOfLabels(running, options, dir), words)
  return configuredProject(options, { dir, wanted }, words, runner)
}

/** Returns the project as {@link findProject} does; where there is neither file nor container, the one that would be made. */
export async function findOrNewProject(
  options: ComposeOptions,
  words: DockerWords,
  runner: Runner,
): Promise<ComposeProject> {
  const dir = realFolder(options.projectDir ?? process.cwd())
  const inShell = nonEmpty(process.env.COMPOSE_PROJECT_NAME)
  const labelled = await labelledProjects(words, runner)
  const isThere = hasDefaultFile(dir) || filesSaid(options, dir).length > 0
  if (isThere || chooseLabelled(labelled, dir, options.projectName, inShell))
    return findProject(options, words, runner, labelled)
  const name = options.projectName ?? inShell ?? defaultName(dir)
  return new ComposeProject({ name, dir, files: [], envFiles: [], profiles: [], here: true }, words)
}

/** Returns the compose projects of the engine. */
export async function labelledProjects(words: DockerWords, runner: Runner): Promise<LabelledProject[]> {
  const invocation = words.docker(
    [
      'ps',
      '-a',
      '--filter',
      'label=com.docker.compose.project',
      '--filter',
      'label=com.docker.compose.oneoff=False',
      '--format',
      FORMAT,
    ],
    { timeoutMs: 30_000 },
  )
  return projectsFrom((await readOrRefuse(runner, invocation, 'Listing the containers')).stdout)
}

/** Returns the projects of the lines that `docker ps` printed, each once. */
export function projectsFrom(lines: string): LabelledProject[] {
  const projects = new Map<string, LabelledProject>()
  for (const line of lines.split('\n').filter(text => text.includes('\t'))) {
    const [name = '', workingDir = '', files = '', envFiles = '', image = ''] = line.split('\t')
    const known = projects.get(name)
    const hasMastodon = isMastodonImage(image) || (known?.hasMastodon ?? false)
    // Services recreated later carry the newer list of files; the longest list holds the overrides.
    const longer = known && known.files.join().length >= files.length ? known.files : listed(files)
    projects.set(name, { name, workingDir, files: longer, envFiles: listed(envFiles), hasMastodon })
  }
  return [...projects.values()]
}

function listed(text: string): string[] {
  return text.split(',').filter(part => part !== '')
}

/**
 * Returns the labelled project that is meant, or undefined when none is.
 *
 * `named` is the operator's word for this instance. COMPOSE_PROJECT_NAME of the shell (`inShell`) may mean another one:
 * it decides among the projects of the folder, or where the folder has none.
 */
export function chooseLabelled(
  projects: readonly LabelledProject[],
  dir: string,
  named?: string,
  inShell?: string,
): LabelledProject | undefined {
  if (named !== undefined) return projects.find(project => project.name === named)
  const inFolder = projects.filter(project => project.workingDir !== '' && realFolder(project.workingDir) === dir)
  if (inFolder.length === 0) return projects.find(project => project.name === inShell)
  return inFolder.find(project => project.name === inShell) ?? onlyMastodon(inFolder, dir)
}

function onlyMastodon(projects: readonly LabelledProject[], dir: string): LabelledProject | undefined {
  const candidates = projects.length > 1 ? projects.filter(project => project.hasMastodon) : projects
  if (candidates.length > 1) throw severalProjects(candidates, dir)
  return candidates[0] ?? projects[0]
}

function severalProjects(projects: readonly LabelledProject[], dir: string): RefusedError {
  return new RefusedError({
    code: 'several-projects',
    message: `Several compose projects run from ${dir}.`,
    cause: `They are ${projects.map(project => project.name).join(', ')}.`,
    next: 'Name one: --project-name NAME, or projectName in mstdn-ops.yaml.',
  })
}

function identityOfLabels(labels: LabelledProject, options: ComposeOptions, dir: string): Identity {
  const workingDir = labels.workingDir === '' ? dir : labels.workingDir
  const said = filesSaid(options, dir)
  const files = said.length > 0 ? said : explicitFiles(labels.files, workingDir)
  const here = files.length > 0 ? files.every(file => existsSync(file)) : hasDefaultFile(workingDir)
  return {
    name: labels.name,
    dir: workingDir,
    files,
    envFiles: labels.envFiles,
    profiles: options.profiles ?? [],
    here,
  }
}

/**
 * Returns the labelled files where compose would not find the same by itself.
 *
 * Left to itself, compose also reads COMPOSE_FILE of the project's `.env` and an override that was added since.
 */
function explicitFiles(files: readonly string[], workingDir: string): string[] {
  const absolute = files.map(file => resolve(workingDir, file))
  const names = [...DEFAULT_FILES, ...OVERRIDE_FILES]
  const found = absolute.every(file => dirname(file) === workingDir && names.includes(basename(file)))
  return found ? [] : absolute
}

function hasDefaultFile(dir: string): boolean {
  return DEFAULT_FILES.some(name => existsSync(resolve(dir, name)))
}

/** The files of the options, else of COMPOSE_FILE in the operator's shell, which are relative to where it stands. */
function filesSaid(options: ComposeOptions, dir: string): string[] {
  if (options.files && options.files.length > 0) return options.files.map(file => resolve(dir, file))
  const variable = nonEmpty(process.env.COMPOSE_FILE)
  if (variable === undefined) return []
  return variable.split(nonEmpty(process.env.COMPOSE_PATH_SEPARATOR) ?? delimiter).map(file => resolve(file))
}

interface Search {
  dir: string
  wanted: string | undefined
}

async function configuredProject(
  options: ComposeOptions,
  search: Search,
  words: DockerWords,
  runner: Runner,
): Promise<ComposeProject> {
  const files = filesSaid(options, search.dir)
  const flags = [...files.flatMap(file => ['-f', file]), ...(search.wanted === undefined ? [] : ['-p', search.wanted])]
  const invocation = words.compose([...flags, 'config', '--format', 'json'], { cwd: search.dir, timeoutMs: 30_000 })
  const outcome = await readOrRefuse(runner, invocation, `Reading the compose project in ${search.dir}`)
  const config: unknown = JSON.parse(outcome.stdout)
  const name = (isRecord(config) ? readText(config.name) : '') || search.wanted || defaultName(search.dir)
  const dir = files[0] === undefined || options.projectDir !== undefined ? search.dir : dirname(files[0])
  const identity: Identity = { name, dir, files, envFiles: [], profiles: options.profiles ?? [], here: true }
  return new ComposeProject(identity, words)
}

function filesElsewhere(identity: Identity): RefusedError {
  return new RefusedError({
    code: 'project-files-elsewhere',
    message: `The files of the compose project ${identity.name} are not on this machine.`,
    cause: `Its containers were started from ${identity.dir}${identity.files.length > 0 ? ` with ${identity.files.join(', ')}` : ''}.`,
    next: 'Run this command on the machine that holds them.',
  })
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}

/** Labels hold the path as compose resolved it; a link to the folder means the same project. */
export function realFolder(dir: string): string {
  const absolute = resolve(dir)
  return existsSync(absolute) ? realpathSync(absolute) : absolute
}
