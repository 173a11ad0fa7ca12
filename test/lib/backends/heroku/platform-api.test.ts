import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PlatformApi } from '../../../../src/lib/backends/heroku/platform-api.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'

let server: Server
let answer: RequestListener
let seen: string[]

beforeEach(async () => {
  seen = []
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

function api({ dryRun = false } = {}) {
  const { port } = server.address() as AddressInfo
  const ledger = new Ledger()
  const login = { baseUrl: `http://127.0.0.1:${port}`, token: 'secret-token' }
  return { ledger, api: new PlatformApi(login, { ledger, output: new Output({ logLevel: 'error' }), dryRun }) }
}

const status =
  (code: number, text: string): RequestListener =>
  (_request, response) => {
    response.statusCode = code
    response.end(text)
  }
const cut: RequestListener = (_request, response) => {
  response.socket?.destroy()
}
const CHANGE = {
  method: 'PATCH',
  path: '/apps/a',
  body: { maintenance: true },
  exact: 'exact',
  byHand: 'by hand',
} as const

describe('a read', () => {
  test('carries the token and the version of the API', async () => {
    answer = ({ headers }, response) => response.end(JSON.stringify(headers))
    expect(await api().api.read('/account', 'version ..')).toMatchObject({
      ...{ authorization: 'Bearer secret-token', range: 'version ..' },
      accept: expect.stringContaining('version=3'),
    })
  })

  test.each([
    [401, '{"id":"unauthorized","message":"Invalid credentials provided."}', 'heroku-not-logged-in'],
    [403, '{"id":"forbidden","message":"You do not have access."}', 'heroku-not-allowed'],
    [404, '{"id":"not_found","message":"Couldn\'t find that app."}', 'heroku-not-found'],
    [429, '{"id":"rate_limit","message":"Slow down."}', 'heroku-rate-limit'],
    [422, '{"id":"invalid_params","message":"No \\u001b[31mway\\u001b[0m."}', 'heroku-invalid-params'],
    [418, '<html>', 'heroku-refused'],
  ])('an answer %i is refused once, in words', async (code, text, named) => {
    answer = status(code, text)
    const error = await api()
      .api.read('/apps/a')
      .catch(thrown => thrown)
    expect(error).toMatchObject({ code: named, exitCode: 3 })
    expect(JSON.stringify(error)).not.toContain('\\u001b')
    expect(seen).toHaveLength(1)
  })

  test.each([
    ['a page of the proxy', status(503, '<html>busy</html>')],
    ['an answer that breaks off', status(200, '{"a":')],
    ['a connection that breaks', cut],
  ])('%s is asked for again, and then named', async (_name, fault) => {
    let faults = 2
    answer = (request, response) => (faults-- > 0 ? fault(request, response) : response.end('{"name":"a"}'))
    expect(await api().api.read('/apps/a')).toEqual({ name: 'a' })
    answer = fault
    await expect(api().api.read('/apps/a')).rejects.toMatchObject({ code: 'heroku-unreachable', exitCode: 3 })
  })
})

describe('a change', () => {
  test('in a dry run is recorded and not sent', async () => {
    const { api: dry, ledger } = api({ dryRun: true })
    await dry.change(CHANGE, async () => true)
    expect(ledger.entries).toEqual([{ kind: 'command', exact: 'exact', byHand: 'by hand' }])
    expect(seen).toEqual([])
  })

  test.each([
    ['cut', cut],
    ['a page of the proxy', status(503, '<html>')],
  ])('whose answer is lost (%s) is never sent again: looking tells', async (_name, fault) => {
    answer = fault
    await api().api.change(CHANGE, async () => true)
    expect(seen).toEqual(['PATCH /apps/a'])
    await expect(api().api.change(CHANGE, async () => false)).rejects.toMatchObject({ exitCode: 3 })
    await expect(api().api.change(CHANGE, async () => undefined)).rejects.toMatchObject({ exitCode: 8 })
    const blind = api().api.change(CHANGE, () => Promise.reject(new Error('cannot look')))
    await expect(blind).rejects.toMatchObject({ code: 'heroku-answer-lost', exitCode: 8 })
    expect(seen).toHaveLength(4)
  })

  test('that is looked at in the end has taken effect late', async () => {
    answer = cut
    let looks = 0
    await api().api.change(CHANGE, async () => ++looks === 3)
    expect(seen).toHaveLength(1)
  })

  test('that Heroku refuses is refused, and one whose answer breaks off was accepted', async () => {
    answer = status(422, '{"id":"invalid_params","message":"No."}')
    await expect(api().api.change(CHANGE, async () => true)).rejects.toMatchObject({ exitCode: 3, why: 'No.' })
    answer = status(200, '{"a":')
    await api().api.change(CHANGE, async () => false)
  })

  test('that cannot be sent at all has changed nothing', async () => {
    const { api: gone } = api()
    server.close()
    server.closeAllConnections()
    await expect(gone.change(CHANGE, async () => undefined)).rejects.toMatchObject({ code: 'heroku-unreachable' })
  })
})
