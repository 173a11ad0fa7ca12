import { request as plainRequest } from 'node:http'
import { createServer as createSecureServer, type Server } from 'node:https'
import { createServer } from 'node:net'
import type { App } from './app.js'
import { type Container, startContainer } from './container.js'
import type { Dyno, Place } from './dynos.js'

/** What processes of the formation run with. */
interface Surroundings {
  readonly version: string
  readonly env: Readonly<Record<string, string>>
}

const COMMANDS: Readonly<Record<string, string>> = {
  web: 'exec bundle exec puma -C config/puma.rb',
  worker: 'exec bundle exec sidekiq',
}

/** Processes for the dynos of the formation, and the platform's router before them, which speaks https. */
export class FormationProcesses {
  readonly #place: Place
  readonly #running = new Map<string, { readonly container: Container; readonly port: Promise<number> }>()
  readonly #router: Server
  #port = 0
  #app: App | undefined
  #webPort: number | undefined

  constructor(place: Place, tls: { readonly cert: string; readonly key: string }) {
    this.#place = place
    this.#router = createSecureServer(tls, (question, response) => {
      const port = this.#webPort
      if (port === undefined || this.#app?.maintenance) return void response.writeHead(503).end('offline')
      const { method = 'GET', url: path = '/' } = question
      const headers = { host: this.#app?.config().LOCAL_DOMAIN ?? '', 'x-forwarded-proto': 'https' }
      const asked = plainRequest({ host: '127.0.0.1', port, method, path, headers }, answer => {
        response.writeHead(answer.statusCode ?? 502)
        answer.pipe(response)
      })
      asked.on('error', () => response.writeHead(503).end('no answer')).end()
    })
  }

  /** Where visitors reach the app: host and port. */
  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  async listen(): Promise<void> {
    await new Promise<void>(resolve => this.#router.listen(0, '127.0.0.1', resolve))
    this.#port = (this.#router.address() as { port: number }).port
  }

  serve(app: App): void {
    this.#app = app
  }

  /** Lets a process run for each of these dynos, and for no other. */
  bring(dynos: readonly Dyno[], surroundings: Surroundings): void {
    const wanted = new Set(dynos.map(({ id }) => id))
    for (const [id, { container }] of this.#running) {
      if (wanted.has(id)) continue
      this.#running.delete(id)
      void container.kill()
    }
    if (!dynos.some(({ type }) => type === 'web')) this.#webPort = undefined
    for (const dyno of dynos) if (!this.#running.has(dyno.id) && COMMANDS[dyno.type]) this.#start(dyno, surroundings)
  }

  #start({ id, name, type }: Dyno, { version, env }: Surroundings): void {
    const port = freePort()
    const ready = port.then(number => {
      const container = startContainer({
        ...{ name: `${this.#place.prefix}-${name}-${id.slice(0, 8)}`, image: this.#place.imageOf(version) },
        ...{ labels: this.#place.labels, command: COMMANDS[type] ?? 'true', files: this.#place.files, terminal: false },
        env: { ...this.#place.env, ...env, DYNO: name, PORT: String(number) },
      })
      container.input.end()
      container.output.resume()
      container.ended.catch(() => 255)
      return container
    })
    const container = { kill: async () => (await ready).kill() } as Container
    this.#running.set(id, { container, port })
    if (type === 'web') void port.then(number => (this.#webPort = number))
  }

  async close(): Promise<void> {
    this.#router.closeAllConnections()
    await new Promise(resolve => this.#router.close(resolve))
    await Promise.all([...this.#running.values()].map(({ container }) => container.kill()))
    this.#running.clear()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
