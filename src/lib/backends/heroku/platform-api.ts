import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, OperatorError, OutcomeUnknownError, RefusedError } from '../../errors.js'
import type { Ledger } from '../../ledger.js'
import type { Output } from '../../output.js'
import { printableLine } from '../../text.js'
import { toRecord } from '../json.js'
import type { Login } from './login.js'

const LIMIT_MS = 30_000
/** A read is asked for as often; between two tries there is a pause. */
const TRIES = 3
const PAUSE_MS = 500
/** How often is looked whether a change took effect whose answer was lost. */
const LOOKS = 5
/** With this begins why an answer was lost that may come yet. */
export const TOO_LATE = `no answer within ${LIMIT_MS / 1000} s`

/** A change: what it does to the API, and what an operator would type for it. */
export interface Change {
  method: 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  path: string
  body?: unknown
  /** The change in words for the plan, without values. */
  exact: string
  byHand: string
}

export interface ApiParts {
  output: Output
  ledger: Ledger
  dryRun: boolean
}

/** Heroku's Platform API, version 3, with the CLI's own login. */
export class PlatformApi {
  readonly #login: Login
  readonly #parts: ApiParts

  constructor(login: Login, parts: ApiParts) {
    this.#login = login
    this.#parts = parts
  }

  get dryRun(): boolean {
    return this.#parts.dryRun
  }

  /**
   * Returns what a resource holds; asked again where the connection, the server or its answer fails.
   *
   * @throws RefusedError with Heroku's own reason, or naming what failed three times.
   */
  async read(path: string, range?: string): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#readOnce(path, range)
      } catch (error) {
        if (error instanceof OperatorError) throw error
        if (attempt === TRIES) throw unreachable(this.#login.baseUrl, messageOf(error))
        await sleep(PAUSE_MS * attempt)
      }
    }
  }

  /**
   * Carries a change out, once: it is never sent again, for it may have taken effect although no answer came.
   *
   * Where the answer is lost, `happened` looks. Recorded in the ledger; not sent in a dry run. Returns the answer;
   * undefined where none came.
   *
   * @throws RefusedError with Heroku's own reason, or when looking shows that nothing happened; OutcomeUnknownError
   * when looking does not tell.
   */
  async change(change: Change, happened: () => Promise<boolean | undefined>): Promise<unknown> {
    this.#parts.ledger.record({ kind: 'command', exact: change.exact, byHand: change.byHand })
    if (this.#parts.dryRun) return undefined
    try {
      return await this.send(change)
    } catch (error) {
      if (!(error instanceof OutcomeUnknownError)) throw error
      await this.#settle(error, happened)
      return undefined
    }
  }

  /** Sends a request that changes something and returns the answer; undefined where it is no JSON. */
  async send(request: Pick<Change, 'method' | 'path' | 'body'>): Promise<unknown> {
    const response = await this.#fetch(request.method, request.path, { body: request.body }).catch((error: unknown) => {
      throw neverSent(error) ? unreachable(this.#login.baseUrl, reasonOf(error)) : lost(request, reasonOf(error))
    })
    const text = await response.text().catch(() => '')
    if (response.ok) return parsed(text)
    if (response.status >= 500) throw lost(request, `HTTP ${response.status}`)
    throw refused(response.status, text)
  }

  /**
   * Opens a stream of text that the API has named, like a log session.
   *
   * @throws RefusedError when it cannot be reached or says no; the signal's own reason when that ends it.
   */
  async stream(url: string, signal: AbortSignal): Promise<Response> {
    const host = URL.canParse(url) ? new URL(url).origin : this.#login.baseUrl
    const response = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal }).catch((error: unknown) => {
      throw signal.aborted ? error : unreachable(host, reasonOf(error))
    })
    if (response.ok) return response
    throw streamRefused(host, response.status, await response.text().catch(() => ''))
  }

  async #settle(error: OutcomeUnknownError, happened: () => Promise<boolean | undefined>): Promise<void> {
    for (let look = 1; look <= LOOKS; look += 1) {
      const seen = await happened().catch(() => undefined)
      if (seen === true) return this.#parts.output.warn(`${error.message} Looked: it took effect.`)
      if (seen === undefined && look === LOOKS) throw error
      if (look < LOOKS) await sleep(PAUSE_MS)
    }
    // What was answered too late may be under way still.
    if (error.why?.startsWith(TOO_LATE)) throw error
    throw new RefusedError({
      code: 'heroku-no-effect',
      message: `${error.message} Looked: it did not take effect.`,
      ...(error.why === undefined ? {} : { cause: error.why }),
      next: 'Run the command again.',
    })
  }

  async #readOnce(path: string, range: string | undefined): Promise<unknown> {
    const response = await this.#fetch('GET', path, range === undefined ? {} : { range }).catch((error: unknown) => {
      throw new Error(reasonOf(error))
    })
    const text = await response.text()
    if (response.ok) return JSON.parse(text)
    if (response.status >= 500) throw new Error(`HTTP ${response.status}`)
    throw refused(response.status, text)
  }

  #fetch(method: string, path: string, { body, range }: { body?: unknown; range?: string }): Promise<Response> {
    this.#parts.output.debug(`heroku api: ${method} ${path}`)
    return fetch(`${this.#login.baseUrl}${path}`, {
      method,
      headers: {
        Accept: 'application/vnd.heroku+json; version=3.sdk',
        Authorization: `Bearer ${this.#login.token}`,
        'User-Agent': 'mstdn-ops',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(range === undefined ? {} : { Range: range }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(LIMIT_MS),
    })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The client wraps what the system said. */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause
  const code = (cause as { code?: string } | undefined)?.code
  if ((error as Error).name === 'TimeoutError') return TOO_LATE
  return [messageOf(cause ?? error), code].filter(Boolean).join(', ')
}

/** Whether Heroku could not be asked at all. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof RefusedError && error.code === 'heroku-unreachable'
}

function neverSent(error: unknown): boolean {
  const code = (error as { cause?: { code?: string } }).cause?.code ?? ''
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code)
}

function unreachable(baseUrl: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'heroku-unreachable',
    message: `Heroku's API at ${baseUrl} gave no usable answer.`,
    cause: printableLine(cause),
    next: 'Check the network and https://status.heroku.com, then run the command again.',
  })
}

function streamRefused(host: string, status: number, text: string): RefusedError {
  return new RefusedError({
    code: 'heroku-stream-refused',
    message: `Heroku's log stream at ${host} gave HTTP ${status}.`,
    ...(text.trim() === '' ? {} : { cause: printableLine(text.trim()).slice(0, 400) }),
    next: 'Run the command again; see https://status.heroku.com when it stays so.',
  })
}

function lost({ method, path }: Pick<Change, 'method' | 'path'>, cause: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'heroku-answer-lost',
    message: `Heroku's answer to ${method} ${path} was lost.`,
    cause: printableLine(cause),
    next: `Look at the app before you run the command again: ${path.startsWith('/client/') ? 'heroku pg:backups' : 'heroku releases, heroku ps'}`,
  })
}

const REASONS: Readonly<Record<number, { code: string; message: string; next: string }>> = {
  401: {
    code: 'heroku-not-logged-in',
    message: 'Heroku does not accept the login.',
    next: 'heroku login, or correct HEROKU_API_KEY',
  },
  402: {
    code: 'heroku-payment',
    message: 'Heroku asks for payment first.',
    next: 'See the billing page of the account.',
  },
  403: {
    code: 'heroku-not-allowed',
    message: 'This login may not do that.',
    next: 'Ask the owner of the app: heroku access',
  },
  404: {
    code: 'heroku-not-found',
    message: 'Heroku knows nothing of that name for this login.',
    next: 'heroku apps lists the apps; name one with --app.',
  },
  429: {
    code: 'heroku-rate-limit',
    message: "The account's limit of API requests is used up.",
    next: 'Wait a few minutes: 4,500 requests an hour are allowed.',
  },
}

/** Heroku's own sentence is the cause; it is printed on one line and nothing in it reaches a terminal raw. */
function refused(status: number, text: string): RefusedError {
  const { id, message } = toRecord(parsed(text))
  const said = typeof message === 'string' ? message : `HTTP ${status}`
  const reason = REASONS[status] ?? {
    code: typeof id === 'string' && /^[\w-]+$/.test(id) ? `heroku-${id.replaceAll('_', '-')}` : 'heroku-refused',
    message: 'Heroku refused the request.',
    next: 'See what Heroku says, then run the command again.',
  }
  return new RefusedError({ ...reason, cause: printableLine(said).slice(0, 400) })
}
