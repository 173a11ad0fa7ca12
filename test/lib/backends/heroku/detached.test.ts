import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runDetached, untilDetachedOver } from '../../../../src/lib/backends/heroku/detached.js'
import { type Answers, cut, type FakeApi, inTurn, logOf, refusing, startFakeApi } from './fake-api.js'

vi.setConfig({ testTimeout: 60_000 })

let folder: string
let file: string
let api: FakeApi
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-detached-'))
  file = join(folder, 'mark')
  api = await startFakeApi({})
})
afterEach(() => {
  vi.useRealTimers()
  api.stop()
  rmSync(folder, { recursive: true })
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const envelope = (mark: string, text: string) =>
  logOf(`app[run.1]: mstdn-ops-${mark} out 1:${base64(text)}`, `app[run.1]: mstdn-ops-${mark} end 0 1 0`)
const running = (mark: string) => [{ name: 'run.1', type: 'run', command: `sh -c x mstdn-ops mstdn-ops-${mark} rake` }]
const run = () => runDetached(api.app, { argv: ['rake'], effect: 'write' }, { file, byHand: 'by hand' })

function answer(more: Answers): void {
  Object.assign(api.answers, {
    'GET ': { stack: { name: 'heroku-24' } },
    'POST /dynos': { name: 'run.1' },
    'GET /dynos': [],
    'POST /log-sessions': { logplex_url: `${api.url}/log` },
    'GET /log': envelope('mark1', 'done\n'),
    ...more,
  })
}
const mark = () => readFileSync(file, 'utf8')
const sent = (request: string) => api.seen.filter(one => one === request).length

test('a look that fails ends no run', async () => {
  answer({ 'GET /dynos': inTurn(refusing(429), running('mark1'), refusing(403), []) })
  expect(await run()).toEqual({ stdout: 'done\n', stderr: '', exitCode: 0, planned: false })
  expect(mark).toThrow()
})

test('looks that fail for ten minutes leave it unknown, and the mark stays', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const later = inTurn(refusing(429))
  answer({
    'GET /dynos': (request: never, response: never) => {
      vi.setSystemTime(Date.now() + 301_000)
      later(request, response)
    },
  })
  await expect(run()).rejects.toMatchObject({ code: 'still-running', exitCode: 8 })
  expect(mark()).toBe('mstdn-ops-mark1')
  await expect(untilDetachedOver(api.app, file)).rejects.toMatchObject({ code: 'still-running' })
  expect(mark()).toBe('mstdn-ops-mark1')
})

test('a start that is refused leaves no mark', async () => {
  answer({ 'POST /dynos': refusing(422, 'Too many.') })
  await expect(run()).rejects.toMatchObject({ exitCode: 3 })
  expect(mark).toThrow()
})

test('a lost answer to the start: looks that show nothing say that nothing runs', async () => {
  answer({ 'POST /dynos': cut, 'GET /log': logOf() })
  const before = Date.now()
  await expect(run()).rejects.toMatchObject({ code: 'one-off-not-started', exitCode: 3 })
  expect(Date.now() - before).toBeGreaterThan(5_000)
  expect(mark).toThrow()
})

test('a lost answer to the start, and a look that fails: it may run, and the mark stays', async () => {
  answer({ 'POST /dynos': cut, 'GET /log': logOf(), 'GET /dynos': inTurn(refusing(429), []) })
  await expect(run()).rejects.toMatchObject({ code: 'still-running', exitCode: 8 })
  expect(mark()).toBe('mstdn-ops-mark1')
  expect(sent('POST /dynos')).toBe(1)
})

test('a former run whose dyno is there is followed, and none is started', async () => {
  writeFileSync(file, 'mstdn-ops-former')
  answer({ 'GET /dynos': inTurn(running('former'), []), 'GET /log': envelope('former', 'of old\n') })
  expect(await run()).toMatchObject({ stdout: 'of old\n' })
  expect(sent('POST /dynos')).toBe(0)
})

test.each([
  ['does not hold its end', logOf('app[run.1]: mstdn-ops-former start')],
  ['cannot be read', refusing(403)],
])('a former run that is gone and whose log %s: another is started under another mark', async (_name, first) => {
  writeFileSync(file, 'mstdn-ops-former')
  answer({ 'GET /log': inTurn(first, envelope('mark1', 'anew\n')) })
  expect(await run()).toMatchObject({ stdout: 'anew\n' })
  expect(sent('POST /dynos')).toBe(1)
})
