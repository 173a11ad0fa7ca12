import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { availableReleases } from '../../../../src/lib/mastodon/upgrade/available.js'
import { MastodonVersion } from '../../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion
const ANSWER = {
  updatesAvailable: [
    { version: '4.5.14', urgent: true, type: 'patch', releaseNotes: 'https://example.org/v4.5.14' },
    { version: '4.7.4', urgent: false, type: 'minor', releaseNotes: 'javascript:alert(1)' },
  ],
}

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** Returns the address of a server that answers so. */
async function serving(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const made = createServer(handler)
  server = made
  await new Promise<void>(resolve => made.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}/update-check`
}

const json = (value: unknown) => (_: IncomingMessage, response: ServerResponse) => {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
}

describe('the list of the project', () => {
  it('is asked with the version alone, and its releases come with what is known of them', async () => {
    const asked: string[] = []
    const url = await serving((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.accept}`)
      json(ANSWER)(request, response)
    })
    const found = await availableReleases(of('4.5.3+custom'), { url: `${url}?from=ops` })
    expect(asked).toEqual(['GET /update-check?from=ops&version=4.5.3 application/json'])
    expect(found).toEqual({
      installed: '4.5.3+custom',
      asked: `${url}?from=ops`,
      problem: null,
      available: [
        {
          ...{ version: '4.5.14', kind: 'patch', security: true, supportEnds: '2027-02-20', source: 'update-check' },
          notes: 'https://example.org/v4.5.14',
        },
        // Told by the table, for the list names none of the series that is as new.
        {
          ...{ version: '4.5.20', kind: 'patch', security: true, supportEnds: '2027-02-20', source: 'table' },
          notes: null,
        },
        {
          ...{ version: '4.7.4', kind: 'minor', security: false, supportEnds: null, source: 'update-check' },
          notes: null,
        },
      ],
    })
  })

  it('says that there is nothing newer, and the table knows of nothing either', async () => {
    const url = await serving(json({ updatesAvailable: [] }))
    expect(await availableReleases(of('4.7.4'), { url })).toMatchObject({ available: [], problem: null })
  })

  it('names releases that the table does not know, and none that is installed or older', async () => {
    const updatesAvailable = ['4.8.0', '4.7.4', '4.6.9'].map(version => ({ version, urgent: true, type: 'minor' }))
    const url = await serving(json({ updatesAvailable, more: 1 }))
    const { available } = await availableReleases(of('4.7.4'), { url })
    expect(available.map(({ version }) => version)).toEqual(['4.8.0'])
  })

  it('does not hide a fix of a security problem that the table knows of', async () => {
    const updatesAvailable = [{ version: '4.4.27' }, { version: '4.7.4' }].map(each => ({ ...each, urgent: false }))
    const url = await serving(json({ updatesAvailable }))
    const { available } = await availableReleases(of('4.4.20'), { url })
    expect(available.map(({ version, security }) => [version, security])).toEqual([
      ['4.4.27', true],
      ['4.5.20', null],
      ['4.7.4', false],
    ])
  })

  it('is found behind a redirect', async () => {
    const url = await serving((request, response) => {
      if (request.url?.startsWith('/there')) json(ANSWER)(request, response)
      else response.writeHead(302, { location: '/there?version=4.5.3' }).end()
    })
    expect((await availableReleases(of('4.5.3'), { url })).problem).toBeNull()
  })
})

describe('without an answer the table tells, and why', () => {
  const html: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => {
    response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>Service \u001b[31mUnavailable</h1>')
  }
  const endless = (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200)
    const more = () => response.write('['.repeat(64 * 1024)) && setImmediate(more)
    response.on('drain', more)
    more()
  }

  it.each([
    ['HTML with 503', html, 'it answered with status 503'],
    ['HTML with 200', json('<h1>'), 'its answer is not what Mastodon expects of it'],
    [
      'bad JSON',
      (_: IncomingMessage, response: ServerResponse) => response.end('{'),
      'its answer is not what Mastodon expects of it',
    ],
    ['no list', json({}), 'its answer is not what Mastodon expects of it'],
    ['another shape', json({ updatesAvailable: [{ version: 7 }] }), 'its answer is not what Mastodon expects of it'],
    [
      'no version',
      json({ updatesAvailable: [{ version: '\u001b[31m' }] }),
      'its answer is not what Mastodon expects of it',
    ],
    ['no end', endless, 'it answered with more than 256 KiB'],
    [
      'redirects in a circle',
      (request: IncomingMessage, response: ServerResponse) =>
        response.writeHead(302, { location: request.url ?? '/' }).end(),
      'it could not be reached (redirect count exceeded)',
    ],
    [
      'a connection that breaks',
      (request: IncomingMessage) => request.socket.destroy(),
      expect.stringContaining('could not be reached'),
    ],
  ])('%s', async (_name, handler, problem) => {
    const url = await serving(handler as Parameters<typeof serving>[0])
    const found = await availableReleases(of('4.5.3'), { url })
    expect(found.problem).toEqual(problem)
    expect(found.available.map(({ version, source }) => [version, source])).toEqual([
      ['4.5.20', 'table'],
      ['4.7.4', 'table'],
    ])
  })

  it.each([
    ['at all', () => undefined],
    [
      'to the end',
      (_: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200)
        response.write('{')
      },
    ],
  ])('a server that does not answer %s', async (_name, handler) => {
    const url = await serving(handler as Parameters<typeof serving>[0])
    const { problem } = await availableReleases(of('4.5.3'), { url, timeoutMs: 300 })
    expect(problem).toBe('it did not answer within 0.3 s')
  })

  it.each([
    ['', 'it is switched off: UPDATE_CHECK_URL is empty'],
    ['file:///etc/passwd', 'UPDATE_CHECK_URL is no web address'],
    ['not an address', 'UPDATE_CHECK_URL is no web address'],
    ['http://127.0.0.1:1/', expect.stringContaining('could not be reached')],
  ])('UPDATE_CHECK_URL=%s', async (url, problem) => {
    expect((await availableReleases(of('4.5.3'), { url })).problem).toEqual(problem)
  })
})

it('a password in UPDATE_CHECK_URL is neither sent nor shown', async () => {
  const url = (await serving(json(ANSWER))).replace('//', '//ops:hunter22@')
  const found = await availableReleases(of('4.5.3'), { url })
  expect(found.problem).toBe('UPDATE_CHECK_URL holds a user name or a password, which are not sent')
  expect(JSON.stringify(found)).not.toMatch(/hunter22|ops:/)
})

describe('the table', () => {
  const table = async (installed: string) => (await availableReleases(of(installed), { url: '' })).available

  it('has the newest of the series, of the supported ones and of all', async () => {
    expect((await table('3.5.3')).map(({ version, kind }) => [version, kind])).toEqual([
      ['3.5.13', 'patch'],
      ['4.4.27', 'major'],
      ['4.5.20', 'major'],
      ['4.7.4', 'major'],
    ])
  })

  it.each([
    ['4.4.20', true],
    ['4.4.22', null],
    ['4.4.5', true],
  ])('from %s there are fixes of security problems: %s', async (installed, security) => {
    expect((await table(installed))[0]).toMatchObject({ version: '4.4.27', security })
  })

  it('a pre-release has its release as an update', async () => {
    expect((await table('4.7.0-beta.1')).map(({ version }) => version)).toEqual(['4.7.4'])
  })
})
