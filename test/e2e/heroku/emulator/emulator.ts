import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, type Question, Refusal, type Route, routeOf } from './exchange.js'
import { type ApiFault, ERRORS, type Faults, HTML_PAGE } from './faults.js'

/** A request to the API, as it came. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly at: Date
  /** What was answered; not there where the connection was reset. */
  status?: number
  /** The fault that it met. */
  readonly fault?: ApiFault['kind']
}

export interface EmulatorOptions {
  readonly token: string
  /** The one app that this account has, by name and by id; any other is unknown. */
  readonly app: { readonly name: string; readonly id: string }
  /** Apps that exist and belong to somebody else. */
  readonly foreignApps: readonly string[]
  readonly routes: readonly Route[]
  readonly faults: Faults
  /** Answers what is not the API's, and returns whether it was. */
  readonly beside?: (request: IncomingMessage, response: ServerResponse) => boolean
}

/** The Platform API and the data API on one port of the loopback, for the client takes the port of one for both. */
export class Emulator {
  readonly requests: Request[] = []
  readonly #options: EmulatorOptions
  readonly #server: Server
  #port = 0

  constructor(options: EmulatorOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async listen(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as { port: number }).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#options.beside?.(request, response)) return
    const question = await questionOf(request, this.url)
    const { method, path, body } = question
    const fault = path.startsWith('/logplex/') ? undefined : this.#options.faults.forRequest(method, path, body)
    const record: Request = { method, path, body, at: new Date(), ...(fault ? { fault: fault.kind } : {}) }
    this.requests.push(record)
    if (fault?.kind === 'reset-before') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'slow') await pause(fault.milliseconds ?? 1000)
    const answer = faulty(fault) ?? (await this.#answer(question))
    if (fault?.kind === 'reset-after' || fault?.kind === 'truncated') answer.lost?.()
    if (fault?.kind === 'reset-after') return void request.socket.resetAndDestroy()
    record.status = answer.status
    if (answer.stream) answer.stream(response)
    else write(response, answer, fault?.kind === 'truncated')
  }

  async #answer(question: Question): Promise<Answer> {
    try {
      this.#refuseStranger(question)
      const { act, params } = routeOf(this.#options.routes, question.method, question.path)
      this.#refuseOtherApp(params.app)
      return await act({ ...question, params })
    } catch (error) {
      if (error instanceof Refusal) return { status: error.status, body: error.body }
      return { status: 500, body: { id: 'internal_server_error', message: (error as Error).message } }
    }
  }

  /** A bearer token, or (credentials of a database) the token as the password of nobody. Log sessions need none. */
  #refuseStranger({ headers, path }: Question): void {
    const { token } = this.#options
    const known = [`Bearer ${token}`, `Basic ${Buffer.from(`:${token}`).toString('base64')}`]
    if (path.startsWith('/logplex/') || known.includes(headers.authorization ?? '')) return
    throw new Refusal(401, 'unauthorized', 'Invalid credentials provided.')
  }

  #refuseOtherApp(app: string | undefined): void {
    const { name, id } = this.#options.app
    if (app === undefined || app === name || app === id) return
    if (this.#options.foreignApps.includes(app))
      throw new Refusal(403, 'forbidden', `You do not have access to the app ${app}.`)
    throw new Refusal(404, 'not_found', "Couldn't find that app.", { resource: 'app' })
  }
}

async function questionOf(request: IncomingMessage, base: string): Promise<Question> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { pathname, searchParams } = new URL(request.url ?? '/', base)
  const { method = 'GET', headers } = request
  return { method, path: pathname, query: searchParams, headers, body: parsed(Buffer.concat(chunks)), params: {} }
}

function parsed(bytes: Buffer): Record<string, unknown> {
  if (bytes.length === 0) return {}
  try {
    return (JSON.parse(bytes.toString()) ?? {}) as Record<string, unknown>
  } catch {
    return {}
  }
}

function faulty(fault: ApiFault | undefined): Answer | undefined {
  if (fault?.kind === 'html') return { status: 503, body: HTML_PAGE, headers: { 'Content-Type': 'text/html' } }
  const error = fault && ERRORS[fault.kind]
  if (!error) return undefined
  const [status, id, message] = error
  const headers: Record<string, string> = status === 429 ? { 'RateLimit-Remaining': '0' } : {}
  return { status, headers, body: { id, message: fault.message ?? message } }
}

function write(response: ServerResponse, { status, body, headers }: Answer, cut: boolean): void {
  const whole = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const bytes = cut ? whole.subarray(0, Math.floor(whole.length / 2)) : whole
  const usual = { 'Content-Type': 'application/json', 'RateLimit-Remaining': '4499', 'Request-Id': randomUUID() }
  response.writeHead(status, { ...usual, 'Content-Length': String(bytes.length), ...headers })
  response.end(bytes)
}
