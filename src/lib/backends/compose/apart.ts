import { setTimeout as sleep } from 'node:timers/promises'
import { RefusedError } from '../../errors.js'
import type { Outcome } from '../../runner.js'
import type { Apart, ApartCommand, OwnServer } from '../apart.js'
import type { AppOutcome, DiskSpace, ReleaseChange } from '../backend.js'
import { firstLine } from '../complaints.js'
import { leashedContainer } from '../tool-run.js'
import { ApartEngine, KIND_LABEL, LIMIT_MS, nameOf, notStarted } from './apart-engine.js'
import { DATABASE_ALIAS, environmentApart, REDIS_ALIAS } from './apart-environment.js'
import { OWN_PORT, ownServer, roomForOwnServer, startOwnServer } from './apart-postgres.js'
import { startedOnLeash } from './apart-process.js'
import type { Container } from './containers.js'
import { type PostgresServer, postgresServerOf, shown } from './postgres.js'
import { type AppEnvironment, containerAt, type ServerAddress } from './reach.js'
import { redisServerOf } from './redis.js'
import { clearOverride } from './release-override.js'
import type { Stack } from './stack.js'

const PAUSE_MS = 250

/**
 * A network of its own without a way out, to which the database's container is connected for a while, or a server of the
 * same image that has nothing but the network.
 */
export class ComposeApart implements Apart {
  readonly #stack: Stack
  readonly #engine: ApartEngine
  readonly #environment: AppEnvironment
  readonly #releases: Pick<ReleaseChange, 'parts'>
  readonly #own = new Map<string, OwnServer>()

  constructor(stack: Stack, environment: AppEnvironment, releases: Pick<ReleaseChange, 'parts'>) {
    this.#stack = stack
    this.#engine = new ApartEngine(stack)
    this.#environment = environment
    this.#releases = releases
  }

  async usable(): Promise<void> {
    await this.#servers()
  }

  async open(key: string, { server, settings = {} }: Parameters<Apart['open']>[1]): Promise<void> {
    const { database, redis } = await this.#servers()
    const [name, labels] = [nameOf(key), this.#engine.labels(key)]
    await this.#engine.must(['network', 'create', '--internal', ...labels, name])
    if (server === 'own') await startOwnServer(this.#engine, key, { like: database, settings })
    else await this.#engine.must(['network', 'connect', '--alias', DATABASE_ALIAS, name, database.id])
    const place = ['--name', `${name}-redis`, ...labels, '--network', name, '--network-alias', REDIS_ALIAS]
    await this.#engine.must(['run', '-d', '--pull', 'never', ...place, redis.image])
    if (!this.#stack.parts.runner.dryRun) await this.#untilAnswers(`${name}-redis`)
  }

  async room(): Promise<DiskSpace[]> {
    return roomForOwnServer(this.#stack, (await this.#servers()).database)
  }

  own(key: string): OwnServer {
    const found = this.#own.get(key) ?? ownServer(this.#stack, key)
    this.#own.set(key, found)
    return found
  }

  async run(command: ApartCommand): Promise<AppOutcome> {
    const made = await this.#make(command)
    if (made.planned) return { stdout: '', stderr: '', exitCode: 0, planned: true }
    const [container] = await this.#stack.withLabels([`${KIND_LABEL}=process`, ...this.#engine.filters(command.key)])
    if (container === undefined) throw notStarted('the process', firstLine(made))
    return startedOnLeash(this.#engine, container, command)
  }

  async close(): Promise<number> {
    if (this.#stack.parts.runner.dryRun) return 0
    await clearOverride(this.#stack)
    return this.#engine.removeAll()
  }

  /** Makes the container. The environment goes by the client's own: it holds secrets, and `-e NAME` takes the value from there. */
  async #make({ key, release, argv, env, secrets, database }: ApartCommand): Promise<Outcome> {
    const service = await this.#stack.appService()
    const port = database.server === 'own' ? OWN_PORT : portOf((await this.#servers()).server)
    const app = (await this.#stack.configuration.service(service))?.environment ?? new Map<string, string>()
    const hidden = { ...environmentApart(app, { ...database, port }), ...secrets }
    const names = Object.keys(hidden).flatMap(name => ['-e', name])
    const open = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const labels = [...this.#engine.labels(key), '--label', `${KIND_LABEL}=process`]
    const words = ['create', '-i', '--pull', 'never', ...labels, '--network', nameOf(key), ...names, ...open]
    return this.#engine.must([...words, await this.#imageOf(service, release), ...leashedContainer(argv)], hidden)
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
