import { setTimeout as sleep } from 'node:timers/promises'
import { RefusedError } from '../../errors.js'
import type { Outcome } from '../../runner.js'
import type { Apart, ApartCommand } from '../apart.js'
import type { AppOutcome, ReleaseChange } from '../backend.js'
import { firstLine } from '../complaints.js'
import { DATABASE_ALIAS, environmentApart, REDIS_ALIAS } from './apart-environment.js'
import type { Container } from './containers.js'
import { followToEnd } from './follow.js'
import { type PostgresServer, postgresServerOf, shown } from './postgres.js'
import { type AppEnvironment, containerAt, type ServerAddress } from './reach.js'
import { redisServerOf } from './redis.js'
import { clearOverride } from './release-override.js'
import type { Stack } from './stack.js'

/** Whose the place is: the project. Not one of compose's own labels, for compose must not take its containers for its own. */
const OF_LABEL = 'mstdn-ops.apart'
const KEY_LABEL = 'mstdn-ops.apart.key'
const LIMIT_MS = 60_000
const PAUSE_MS = 250

/** A network of its own without a way out, to which the database's container is connected for a while. */
export class ComposeApart implements Apart {
  readonly #stack: Stack
  readonly #environment: AppEnvironment
  readonly #releases: Pick<ReleaseChange, 'parts'>

  constructor(stack: Stack, environment: AppEnvironment, releases: Pick<ReleaseChange, 'parts'>) {
    this.#stack = stack
    this.#environment = environment
    this.#releases = releases
  }

  async usable(): Promise<void> {
    await this.#servers()
  }

  async open(key: string): Promise<void> {
    const { database, redis } = await this.#servers()
    const name = nameOf(key)
    await this.#must(['network', 'create', '--internal', ...this.#labels(key), name])
    await this.#must(['network', 'connect', '--alias', DATABASE_ALIAS, name, database.id])
    const place = ['--name', `${name}-redis`, ...this.#labels(key), '--network', name, '--network-alias', REDIS_ALIAS]
    await this.#must(['run', '-d', '--pull', 'never', ...place, redis.image])
    if (!this.#stack.parts.runner.dryRun) await this.#untilAnswers(`${name}-redis`)
  }

  async run(command: ApartCommand): Promise<AppOutcome> {
    const { stack, key } = { stack: this.#stack, key: command.key }
    const started = await this.#start(command)
    if (started.planned) return { stdout: '', stderr: '', exitCode: 0, planned: true }
    const [container] = await stack.withLabels([`${KEY_LABEL}=${key}`, `${OF_LABEL}.kind=process`])
    if (container === undefined) throw notStarted('the process', firstLine(started))
    let ending: Promise<void> | undefined
    const end = () => {
      ending ??= this.#remove([container.id])
      ending.catch(() => undefined)
    }
    command.stop.addEventListener('abort', end)
    try {
      command.stop.throwIfAborted()
      const whenOver = () => this.#waited(container)
      const said = await followToEnd(stack, container, { onLine: command.onLine, whenOver })
      return { ...said, exitCode: await this.#exitCode(container), planned: false }
    } catch (error) {
      command.stop.throwIfAborted()
      throw error
    } finally {
      command.stop.removeEventListener('abort', end)
      end()
      await ending
    }
  }

  async close(): Promise<number> {
    if (this.#stack.parts.runner.dryRun) return 0
    await clearOverride(this.#stack)
    const label = `label=${OF_LABEL}=${this.#stack.project.name}`
    await this.#remove(await this.#ids(['ps', '-aq', '--filter', label]))
    const networks = await this.#ids(['network', 'ls', '--format', '{{.Name}}', '--filter', label])
    for (const network of networks) await this.#removeNetwork(network)
    return networks.length
  }

  /** The environment goes by the client's own: it holds secrets, and `-e NAME` takes the value from there. */
  async #start({ key, release, argv, env, secrets, database }: ApartCommand): Promise<Outcome> {
    const service = await this.#stack.appService()
    const { server } = await this.#servers()
    const app = (await this.#stack.configuration.service(service))?.environment ?? new Map<string, string>()
    const hidden = { ...environmentApart(app, { ...database, port: portOf(server) }), ...secrets }
    const names = Object.keys(hidden).flatMap(name => ['-e', name])
    const open = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const labels = [...this.#labels(key), '--label', `${OF_LABEL}.kind=process`]
    const words = ['run', '-d', '--pull', 'never', ...labels, '--network', nameOf(key), ...names, ...open]
    return this.#must([...words, await this.#imageOf(service, release), ...argv], hidden)
  }

  async #imageOf(service: string, release: string): Promise<string> {
    const part = (await this.#releases.parts(release)).find(({ name }) => name === service)
    const image = part?.to ?? (await this.#stack.configuration.service(service))?.image
    if (image) return image
    throw notStarted('the process', `Which image ${service} would have with ${release} is not known.`)
  }

  /** @throws RefusedError where one of them is no container of the project. */
  async #servers(): Promise<{ server: PostgresServer; database: Container; redis: Container }> {
    const containers = await this.#stack.containers()
    const env = await this.#environment(containers)
    const server = postgresServerOf(env)
    const database = containerAt(containers, server.address)
    if (database === undefined) throw elsewhere('The database', server.address)
    const { address } = redisServerOf(env)
    const redis = containerAt(containers, address)
    if (redis === undefined) throw elsewhere('Redis', address)
    return { server, database, redis }
  }

  async #untilAnswers(name: string): Promise<void> {
    const deadline = Date.now() + LIMIT_MS
    const ping = this.#stack.project.docker(['exec', name, 'redis-cli', 'ping'], { timeoutMs: LIMIT_MS })
    for (;;) {
      const outcome = await this.#stack.parts.runner.run(ping)
      if (outcome.stdout.includes('PONG')) return
      if (Date.now() > deadline) throw notStarted('the Redis', firstLine(outcome))
      await sleep(PAUSE_MS)
    }
  }

  async #waited(container: Container): Promise<void> {
    await this.#stack.parts.runner.run(this.#stack.project.docker(['wait', container.id]))
  }

  async #exitCode({ id }: Container): Promise<number> {
    const words = ['inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', id]
    const outcome = await this.#stack.parts.runner.run(this.#stack.project.docker(words, { timeoutMs: LIMIT_MS }))
    const [status, code] = outcome.stdout.trim().split(' ')
    if (status === 'exited' || status === 'dead') return Number(code)
    throw notStarted('the process', `Its end was not seen: ${firstLine(outcome)}`)
  }

  /**
   * A container that is down is in no list of the network's, and the engine removes the network all the same: the
   * container still names it then, and does not start any more (seen with 20.10).
   */
  async #removeNetwork(name: string): Promise<void> {
    const leave = (id: string) => this.#stack.project.docker(['network', 'disconnect', '-f', name, id], WRITE)
    for (const id of await this.#connected(name)) await this.#stack.parts.runner.run(leave(id))
    const left = await this.#connected(name)
    if (left.length === 0) {
      await this.#must(['network', 'rm', name])
      return
    }
    this.#stack.parts.output.warn(
      `The network ${name} stays, for a container could not be taken out of it: docker network disconnect -f ${name} ${left[0]} && docker network rm ${name}`,
    )
  }

  /** Returns the ids of the containers that name the network, running or not. */
  async #connected(network: string): Promise<string[]> {
    const listed = await this.#ids(['ps', '-aq', '--no-trunc', '--filter', `network=${network}`])
    const own = await this.#stack.withLabels([`com.docker.compose.project=${this.#stack.project.name}`])
    const named = own.filter(({ networks }) => networks.includes(network))
    return [...new Set([...listed, ...named.map(({ id }) => id)])]
  }

  async #remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#must(['rm', '-f', '-v', ...ids])
  }

  async #ids(words: readonly string[]): Promise<string[]> {
    const outcome = await this.#must(words, {}, 'read')
    return outcome.stdout.split('\n').filter(Boolean)
  }

  async #must(
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
    effect: 'read' | 'write' = 'write',
  ) {
    const invocation = this.#stack.project.docker(words, { effect, env, ...(effect === 'read' ? READ : {}) })
    const outcome = await this.#stack.parts.runner.run(invocation)
    if (outcome.exitCode === 0) return outcome
    throw notStarted(`docker ${words.slice(0, 2).join(' ')}`, firstLine(outcome))
  }

  #labels(key: string): string[] {
    return ['--label', `${OF_LABEL}=${this.#stack.project.name}`, '--label', `${KEY_LABEL}=${key}`]
  }
}

const READ = { timeoutMs: LIMIT_MS }
const WRITE = { effect: 'write', timeoutMs: LIMIT_MS } as const

function nameOf(key: string): string {
  return `mstdn-ops-apart-${key.replace(/[^\w.-]/g, '_')}`
}

function portOf({ address }: PostgresServer): number {
  return 'socket' in address ? 5432 : address.port
}

function elsewhere(what: string, address: ServerAddress): RefusedError {
  return new RefusedError({
    code: 'server-elsewhere',
    message: `${what} is no service of the compose project: nothing is rehearsed here.`,
    cause: `It is at ${shown(address)}, which a network without a way out does not reach.`,
    next: 'Rehearse on a copy of the instance whose servers are services of the project, or go on without.',
  })
}

function notStarted(what: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'no-place-apart',
    message: `A place apart for another release could not be made: ${what} failed.`,
    cause,
    next: 'See what the engine says: docker info',
  })
}
