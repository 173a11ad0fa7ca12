import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AppCommand } from '../../../src/lib/backends/backend.js'
import { ask, askPublished, isAnswer } from '../../../src/lib/checks/http.js'
import { selfSigned } from '../../support/certificate.js'
import { toolboxOf } from '../../support/toolbox-of.js'

const WEB = { host: '127.0.0.1', port: 3000, path: '/health' }
const STREAMING = { ...WEB, host: 'streaming', port: 4000, publishedIn: 'STREAMING_API_BASE_URL' }
const apart = { isApart: true, run: () => Promise.reject(new Error('nothing is to be run there')) }

describe('where each process has a network of its own', () => {
  let server: Server
  let dir: string
  let port: number
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-http-'))
    const { cert, key } = selfSigned(dir)
    server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) => response.end())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => {
    server?.close()
    rmSync(dir, { recursive: true, force: true })
  })

  /** Returns what was asked for, with an answer of this code. */
  async function asked(config: Record<string, string>, at = WEB, status = 200) {
    const urls: string[] = []
    const fetcher = async (url: unknown) => {
      urls.push(String(url))
      return new Response('', { status })
    }
    const code = await ask(toolboxOf({ config, oneOff: apart }), at, fetcher as typeof fetch)
    return { urls, code }
  }

  it('the site is asked as a visitor would', async () => {
    expect(await asked({})).toEqual({ urls: ['https://example.com/health'], code: '200' })
    expect(await asked({ WEB_DOMAIN: 'web.example.com' }, WEB, 503)).toEqual({
      ...{ urls: ['https://web.example.com/health'], code: '503' },
    })
  })

  it('streaming is asked where it is published', async () => {
    expect((await asked({}, STREAMING)).urls).toEqual(['https://example.com/health'])
    const config = { STREAMING_API_BASE_URL: 'wss://streaming.example.com/' }
    expect((await asked(config, STREAMING)).urls).toEqual(['https://streaming.example.com/health'])
  })

  it('what is published on another host is asked there, and nothing where nothing is', async () => {
    const urls: string[] = []
    const fetcher = async (url: unknown) => {
      urls.push(String(url))
      return new Response('', { status: 404 })
    }
    const at = { publishedIn: 'STREAMING_API_BASE_URL', path: '/health' }
    const config = { STREAMING_API_BASE_URL: 'wss://streaming.example.com' }
    expect(await askPublished(toolboxOf({ config }), at, fetcher as typeof fetch)).toEqual({
      ...{ host: 'streaming.example.com', code: '404' },
    })
    expect(await askPublished(toolboxOf({ config: {} }), at, fetcher as typeof fetch)).toBeUndefined()
    expect(urls).toEqual(['https://streaming.example.com/health'])
  })

  it('a certificate that no browser takes is told', async () => {
    const code = await ask(toolboxOf({ config: { WEB_DOMAIN: `127.0.0.1:${port}` }, oneOff: apart }), WEB)
    expect(code).toMatch(/self-signed certificate/)
    expect(isAnswer(code)).toBe(false)
  })

  it('a server that is not there is told', async () => {
    const code = await ask(toolboxOf({ config: { WEB_DOMAIN: 'localhost:49151' }, oneOff: apart }), WEB)
    expect(code).toMatch(/ECONNREFUSED/)
  })
})

it('elsewhere the app is asked from inside', async () => {
  const ran: string[] = []
  const run = async ({ argv }: AppCommand) => {
    ran.push(argv.slice(3).join(' '))
    return { stdout: '200\n', stderr: '', exitCode: 0, planned: false }
  }
  expect(await ask(toolboxOf({ oneOff: { run } }), WEB)).toBe('200')
  expect(ran).toEqual(['127.0.0.1 3000 /health example.com'])
})
