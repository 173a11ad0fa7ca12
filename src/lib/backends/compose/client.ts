import { RefusedError } from '../../errors.js'
import { type Invocation, type Outcome, programIsMissing, type Runner } from '../../runner.js'
import { firstLine } from '../complaints.js'

/** Which engine is spoken to; nothing set means what the operator's shell says (DOCKER_HOST, current context). */
export interface EngineChoice {
  dockerHost?: string
  context?: string
}

/** The compose client that was found: the plugin (`docker compose`) or the standalone program. */
export interface ComposeClient {
  plugin: boolean
  version: string
}

/** What an invocation may carry besides its words. */
export type InvocationParts = Omit<Partial<Invocation>, 'file' | 'args'>

const PLUGIN: Invocation = {
  file: 'docker',
  args: ['compose', 'version', '--short'],
  effect: 'read',
  timeoutMs: 20_000,
}
const STANDALONE: Invocation = {
  file: 'docker-compose',
  args: ['version', '--short'],
  effect: 'read',
  timeoutMs: 20_000,
}

/**
 * Returns the compose client of this machine.
 *
 * @throws RefusedError when there is none, or only version 1.
 */
export function findClient(runner: Runner): Promise<ComposeClient> {
  const found = FOUND.get(runner) ?? lookForClient(runner)
  FOUND.set(runner, found)
  return found
}

/** Asked once: detecting an instance and opening it would each ask otherwise. */
const FOUND = new WeakMap<Runner, Promise<ComposeClient>>()

async function lookForClient(runner: Runner): Promise<ComposeClient> {
  const plugin = versionIn(await attempt(runner, PLUGIN))
  if (plugin !== undefined && major(plugin) >= 2) return { plugin: true, version: plugin }
  const standalone = versionIn(await attempt(runner, STANDALONE))
  if (standalone !== undefined && major(standalone) >= 2) return { plugin: false, version: standalone }
  throw noClient(plugin ?? standalone)
}

/** Debian calls it `2.26.1-4`, upstream `v2.26.1` or `2.26.1`. */
function versionIn(outcome: Outcome | undefined): string | undefined {
  if (outcome === undefined || outcome.exitCode !== 0) return undefined
  return /^v?(\d+\.\d+\.\d+)/.exec(outcome.stdout.trim())?.[1]
}

function major(version: string): number {
  return Number(version.split('.')[0])
}

async function attempt(runner: Runner, invocation: Invocation): Promise<Outcome | undefined> {
  try {
    return await runner.run(invocation)
  } catch (error) {
    if (programIsMissing(error)) return undefined
    throw error
  }
}

function noClient(found: string | undefined): RefusedError {
  const next =
    'Install the Docker Compose plugin, version 2 or newer (package docker-compose-plugin or docker-compose-v2).'
  if (found === undefined) {
    return new RefusedError({ code: 'compose-missing', message: 'Docker Compose was not found.', next })
  }
  return new RefusedError({ code: 'compose-v1', message: `Docker Compose ${found} is too old.`, next })
}

/** Builds the words that reach the chosen engine. */
export class DockerWords {
  readonly #choice: EngineChoice
  readonly #client: ComposeClient

  constructor(choice: EngineChoice, client: ComposeClient) {
    this.#choice = choice
    this.#client = client
  }

  /** Returns an invocation of `docker` with these words. */
  docker(args: readonly string[], parts: InvocationParts = {}): Invocation {
    return { effect: 'read', ...parts, file: 'docker', args: [...this.#engineFlags(), ...args] }
  }

  /** Returns an invocation of the compose client with these words. */
  compose(args: readonly string[], parts: InvocationParts = {}): Invocation {
    if (this.#client.plugin) return this.docker(['compose', ...args], parts)
    const env = { ...this.#engineVariables(), ...parts.env }
    return { effect: 'read', ...parts, env, file: 'docker-compose', args }
  }

  /** The words that an operator would type before a compose command. */
  get composeByHand(): readonly string[] {
    return this.#client.plugin ? ['docker', ...this.#engineFlags(), 'compose'] : ['docker-compose']
  }

  get dockerByHand(): readonly string[] {
    return ['docker', ...this.#engineFlags()]
  }

  #engineFlags(): string[] {
    const { dockerHost, context } = this.#choice
    if (dockerHost !== undefined) return ['--host', dockerHost]
    return context === undefined ? [] : ['--context', context]
  }

  /** The standalone client has no flags for the engine. DOCKER_HOST would win over a context, so it is emptied. */
  #engineVariables(): Record<string, string> {
    const { dockerHost, context } = this.#choice
    if (dockerHost !== undefined) return { DOCKER_HOST: dockerHost }
    return context === undefined ? {} : { DOCKER_CONTEXT: context, DOCKER_HOST: '' }
  }
}

/**
 * Returns the outcome of a read.
 *
 * @throws RefusedError when the engine does not answer, or the client says no.
 */
export async function readOrRefuse(runner: Runner, invocation: Invocation, what: string): Promise<Outcome> {
  const outcome = await runner.run(invocation)
  if (outcome.exitCode === 0) return outcome
  if (isEngineAway(outcome.stderr)) throw engineAway(outcome.stderr)
  throw new RefusedError({ code: 'docker-failed', message: `${what} failed.`, cause: firstLine(outcome) })
}

const ENGINE_AWAY =
  /Cannot connect to the Docker daemon|error during connect|dial (unix|tcp)|connection refused|permission denied while trying to connect/i

/** Whether the client says that the engine itself cannot be reached. */
export function isEngineAway(stderr: string): boolean {
  return ENGINE_AWAY.test(stderr)
}

export function engineAway(stderr: string): RefusedError {
  return new RefusedError({
    code: 'engine-away',
    message: 'The Docker engine cannot be reached.',
    cause: firstLine({ stderr, stdout: '' }),
    next: 'Start the engine (systemctl start docker), or check DOCKER_HOST, the context and your permissions: docker info',
  })
}
