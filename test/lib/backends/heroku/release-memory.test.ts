import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ReleaseMemory } from '../../../../src/lib/backends/heroku/release-memory.js'
import { type FakeApi, inTurn, startFakeApi } from './fake-api.js'

let cache: string
let api: FakeApi
let asked: number
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'mstdn-ops-cache-'))
  vi.stubEnv('XDG_CACHE_HOME', cache)
  api = await startFakeApi({})
  asked = 0
})
afterEach(() => {
  vi.unstubAllEnvs()
  api.stop()
  rmSync(cache, { recursive: true })
})

const current = (slug: string) => [
  { version: 9, current: false, slug: { id: 'failed' } },
  { version: 8, current: true, slug: { id: slug } },
]
const releases = (answer: unknown) => Object.assign(api.answers, { 'GET /releases': answer })
const recall = (exitCode = 0) =>
  new ReleaseMemory(api.app).recall({ argv: ['version'], effect: 'read' }, async () => {
    asked += 1
    return { stdout: `answer ${asked}`, stderr: '', exitCode, planned: false }
  })
const folder = () => join(cache, 'mstdn-ops', 'releases')

test('an answer is kept for the code that is current, not for a newer release that failed', async () => {
  releases(current('one'))
  expect(await recall()).toMatchObject({ stdout: 'answer 1' })
  expect(await recall()).toEqual({ stdout: 'answer 1', stderr: '', exitCode: 0, planned: false })
  releases(current('two'))
  expect(await recall()).toMatchObject({ stdout: 'answer 2' })
  expect(readdirSync(folder()).filter(name => !name.endsWith('.json'))).toEqual([])
})

test('where a deploy came in between, or no release is current, nothing is kept', async () => {
  releases(inTurn(current('one'), current('two'), current('one')))
  await recall()
  expect(await recall()).toMatchObject({ stdout: 'answer 2' })
  releases([{ version: 9, current: false, slug: { id: 'one' } }])
  expect(await recall()).toMatchObject({ stdout: 'answer 3' })
})

test.each([126, 127, 137])('what ended with %i is not kept', async code => {
  releases(current('one'))
  await recall(code)
  expect(await recall(code)).toMatchObject({ stdout: 'answer 2' })
})

test.each(['', '{"stdout":"a', 'null', '{"stdout":"a"}'])('a file that holds %j is none', async text => {
  releases(current('one'))
  await recall()
  for (const name of readdirSync(folder())) writeFileSync(join(folder(), name), text)
  expect(await recall()).toMatchObject({ stdout: 'answer 2' })
  expect(await recall()).toMatchObject({ stdout: 'answer 2' })
})
