import type { IncomingHttpHeaders, ServerResponse } from 'node:http'

/** What a client asked, its body read and parsed. */
export interface Question {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** The JSON body; `{}` where there was none. */
  readonly body: Readonly<Record<string, unknown>>
  /** What stood in the path where the pattern has `:name`. */
  readonly params: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Writes an answer that has no end yet, in place of a body. */
  readonly stream?: (response: ServerResponse) => void
  /** Called where the answer is lost on its way, after all has happened. */
  readonly lost?: () => void
}

export type Act = (question: Question) => Answer | Promise<Answer>
export type Route = readonly [method: string, pattern: string, act: Act]

/** An error in the API's shape: `{id, message}`. */
export class Refusal extends Error {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, id: string, message: string, more: Record<string, unknown> = {}) {
    super(message)
    this.status = status
    this.body = { id, message, ...more }
  }
}

export const notFound = (resource: string, what: string) =>
  new Refusal(404, 'not_found', `Couldn't find that ${what}.`, { resource })

export const ok = (body: unknown): Answer => ({ status: 200, body })
export const created = (body: unknown): Answer => ({ status: 201, body })
export const accepted = (body: unknown = {}): Answer => ({ status: 202, body })

/** Returns the act of the first route that fits, and what its names stand for. */
export function routeOf(routes: readonly Route[], method: string, path: string) {
  for (const [wanted, pattern, act] of routes) {
    const params = wanted === method ? paramsOf(pattern, path) : undefined
    if (params) return { act, params }
  }
  throw new Refusal(404, 'not_found', 'The requested API endpoint was not found. Are you using the right HTTP verb?')
}

function paramsOf(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const text = decodeURIComponent(given[index] ?? '')
    if (part.startsWith(':')) params[part.slice(1)] = text
    else if (part !== text) return undefined
  }
  return params
}

/** Reads `version ..; max=15, order=desc`: how many, and which end first. */
export function rangeOf(header: string | undefined): { max: number; descending: boolean } {
  const max = Number(/max=(\d+)/.exec(header ?? '')?.[1] ?? 200)
  return { max, descending: /order=desc/.test(header ?? '') }
}
