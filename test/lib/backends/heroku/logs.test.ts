import { afterEach, beforeEach, expect, test } from 'vitest'
import { HerokuLogs } from '../../../../src/lib/backends/heroku/logs.js'
import { type FakeApi, inTurn, logOf, refusing, startFakeApi } from './fake-api.js'

let api: FakeApi
beforeEach(async () => {
  api = await startFakeApi({})
  Object.assign(api.answers, {
    'GET /config-vars': {},
    'GET /formation': [{ type: 'web', command: 'bin/heroku-web', quantity: 1, size: 'eco' }],
    'POST /log-sessions': { logplex_url: `${api.url}/log` },
    'GET /log': logOf('app[web.1]: one', 'app[web.1]: two'),
  })
})
afterEach(() => api.stop())

const recent = async (lines: number) => {
  const found: string[] = []
  await new HerokuLogs(api.app).read({ roles: ['web'], lines, follow: false, onLine: line => found.push(line) })
  return found
}

test('as many of the last lines as were asked for, none included', async () => {
  expect(await recent(1)).toEqual(['two'])
  expect(await recent(5)).toEqual(['one', 'two'])
  expect(await recent(0)).toEqual([])
})

test.each([403, 404, 503])('a session that answers %i is refused in words', async status => {
  api.answers['GET /log'] = refusing(status)
  await expect(recent(5)).rejects.toMatchObject({ exitCode: 3, message: expect.stringContaining(`HTTP ${status}`) })
})

test('a session that cannot be reached is refused in words', async () => {
  api.answers['POST /log-sessions'] = { logplex_url: 'http://127.0.0.1:9/log' }
  await expect(recent(5)).rejects.toMatchObject({ code: 'heroku-unreachable', exitCode: 3 })
})

test('following goes on when a session ends or breaks off, until the signal', async () => {
  const broken = (_request: unknown, response: { write(text: string): void; socket: { destroy(): void } | null }) => {
    response.write('2026-01-02T03:04:06+00:00 app[web.1]: begun\n')
    setTimeout(() => response.socket?.destroy(), 100)
  }
  api.answers['GET /log'] = inTurn(logOf('app[web.1]: first'), broken, logOf('app[web.1]: last'))
  const stop = new AbortController()
  const found: string[] = []
  const onLine = (line: string) => {
    found.push(line)
    if (line === 'last') stop.abort()
  }
  await new HerokuLogs(api.app).read({ roles: ['web'], lines: 5, follow: true, signal: stop.signal, onLine })
  expect(found).toEqual(['first', 'begun', 'last'])
})

test('where one type cannot be followed, none is', async () => {
  api.answers['GET /formation'] = [
    { type: 'web', command: 'bin/heroku-web', quantity: 1, size: 'eco' },
    { type: 'worker', command: 'bundle exec sidekiq', quantity: 1, size: 'eco' },
  ]
  const open = (_request: unknown, response: { write(text: string): void }) => response.write('\n')
  api.answers['GET /log'] = inTurn(open, refusing(403))
  const following = new HerokuLogs(api.app).read({
    roles: ['web', 'sidekiq'],
    lines: 5,
    follow: true,
    onLine: () => {},
  })
  await expect(following).rejects.toMatchObject({ code: 'heroku-stream-refused' })
})
