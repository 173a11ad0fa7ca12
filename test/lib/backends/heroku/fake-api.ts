import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HerokuApp } from '../../../../src/lib/backends/heroku/app.js'
import { PlatformApi } from '../../../../src/lib/backends/heroku/platform-api.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { Runner } from '../../../../src/lib/runner.js'

/** What answers `METHOD /path`, without the app; a JSON value, or a listener of its own. */
export type Answers = Record<string, unknown>

export interface FakeApi {
  app: HerokuApp
  url: string
  /** Every request, oldest first. */
  seen: string[]
  answers: Answers
  stop(): void
}

/** Starts an API that knows the app `a`; whatever has no answer is 404. */
export async function startFakeApi(answers: Answers): Promise<FakeApi> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const asked = `${request.method} ${request.url?.replace('/apps/a', '')}`
    seen.push(asked)
    const answer = answers[asked]
    if (typeof answer === 'function') return (answer as RequestListener)(request, response)
    response.statusCode = answer === undefined ? 404 : 200
    response.end(JSON.stringify(answer ?? { id: 'not_found', message: `No ${asked}.` }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  return { app: appAt(url), url, seen, answers, stop }
}

function appAt(url: string): HerokuApp {
  const [ledger, output] = [new Ledger(), new Output({ logLevel: 'error' })]
  const api = new PlatformApi({ baseUrl: url, token: 'secret-token' }, { ledger, output, dryRun: false })
  let marks = 0
  const nonce = () => `mark${++marks}`
  return new HerokuApp('a', api, { ledger, output, runner: new Runner({ ledger, output }), nonce })
}

/** Answers with an error of the API. */
export const refusing =
  (status: number, message = 'No.'): RequestListener =>
  (_request, response) => {
    response.statusCode = status
    response.end(JSON.stringify({ id: 'refused', message }))
  }

/** Answers with each of these in turn, and with the last for good. */
export function inTurn(...answers: readonly unknown[]): RequestListener {
  let at = 0
  return (request, response) => {
    const answer = answers[Math.min(at++, answers.length - 1)]
    if (typeof answer === 'function') return void (answer as RequestListener)(request, response)
    response.end(JSON.stringify(answer))
  }
}

/** Cuts the connection. */
export const cut: RequestListener = (_request, response) => {
  response.socket?.destroy()
}

/** Answers with lines of a log, and ends. */
export const logOf =
  (...lines: readonly string[]): RequestListener =>
  (_request, response) => {
    response.end(lines.map(line => `2026-01-02T03:04:05.678901+00:00 ${line}\n`).join(''))
  }
