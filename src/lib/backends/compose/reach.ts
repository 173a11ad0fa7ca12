import type { Duplex } from 'node:stream'
import { RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import type { Container } from './containers.js'
import { chooseRelay, type Endpoint, PROBE, type Relay } from './relay.js'
import type { Stack } from './stack.js'
import { ChannelStream } from './stream.js'

/** A server as the app's configuration names it. */
export type ServerAddress = Endpoint

/** Returns the app's variables; `known` are the containers, where they were listed already. */
export type AppEnvironment = (known?: readonly Container[]) => Promise<ReadonlyMap<string, string>>

/** A place from which the server is reached: a running container, or where none runs, a new one of the app. */
interface Route {
  container: Pick<Container, 'name'> | undefined
  endpoint: Endpoint
}

/** Returns the running container of the project that the address means; undefined for a server outside. */
export function containerAt(containers: readonly Container[], address: ServerAddress): Container | undefined {
  if ('socket' in address) return undefined
  const running = containers.filter(container => container.status === 'running')
  return running.find(container => [container.service, ...container.addresses].includes(address.host))
}

/**
 * Opens byte streams to a server of the project, or to one that only the project's networks reach.
 *
 * Inside of the server's own container the loopback address is used; otherwise the way leads through a container of
 * the app, which must reach the server anyway.
 */
export class Reach {
  readonly #stack: Stack
  readonly #where: string
  readonly #only: Route['container']
  #found: { route: Route; relay: Relay } | undefined

  /** @param only the one container that the way may lead through, as the address is seen from there */
  constructor(stack: Stack, where: string, only?: Route['container']) {
    this.#stack = stack
    this.#where = where
    this.#only = only
  }

  /** @throws RefusedError when no container has a program that can relay. */
  async open(address: ServerAddress): Promise<Duplex> {
    this.#found ??= await this.#search(address)
    const { route, relay } = this.#found
    const argv = relay.argv(route.endpoint)
    const invocation = await this.#invocation(route, argv, ['-i'])
    return new ChannelStream(await this.#stack.parts.runner.open(invocation), this.#where)
  }

  /** Looks for the way anew at the next {@link open}: containers were recreated. */
  forget(): void {
    this.#found = undefined
  }

  async #search(address: ServerAddress): Promise<{ route: Route; relay: Relay }> {
    const routes = await this.#routes(address)
    for (const route of routes) {
      const relay = chooseRelay(await this.#probe(route), route.endpoint)
      if (relay) return { route, relay }
    }
    throw noRoute(this.#where, routes)
  }

  async #routes(address: ServerAddress): Promise<Route[]> {
    if (this.#only) return [{ container: this.#only, endpoint: address }]
    const containers = await this.#stack.containers()
    const own = containerAt(containers, address)
    const loopback = 'socket' in address ? address : { host: '127.0.0.1', port: address.port }
    const running = containers.filter(container => container.status === 'running')
    const app = await this.#stack.servicesOf(['web', 'sidekiq', 'streaming'], containers)
    const through = running.filter(container => app.includes(container.service))
    const ways = [...through, undefined].map(container => ({ container, endpoint: address }))
    return own ? [{ container: own, endpoint: loopback }, ...ways] : ways
  }

  async #probe(route: Route): Promise<string> {
    const invocation = await this.#invocation(route, PROBE, [])
    return (await this.#stack.parts.runner.run({ ...invocation, timeoutMs: 60_000 })).stdout
  }

  /** In a new container a shell comes first, for process 1 is deaf to the signal with which a relay ends itself. */
  async #invocation(route: Route, argv: readonly string[], flags: readonly string[]): Promise<Invocation> {
    const { project } = this.#stack
    if (route.container) return project.docker(['exec', ...flags, route.container.name, ...argv])
    const shell = ['-c', '"$@"; exit $?', 'relay', ...argv]
    const service = await this.#stack.appService()
    return project.compose(['run', '--rm', '-T', '--no-deps', '--entrypoint', 'sh', service, ...shell])
  }
}

function noRoute(where: string, routes: readonly Route[]): RefusedError {
  const tried = routes.map(route => route.container?.name ?? 'a new container of the app').join(', ')
  return new RefusedError({
    code: 'no-relay',
    message: `There is no way to ${where}.`,
    cause: `Neither bash, ruby, python3, perl, socat nor a known netcat was found in ${tried}.`,
    next: 'Start the containers (docker compose up -d), then run the command again.',
  })
}
