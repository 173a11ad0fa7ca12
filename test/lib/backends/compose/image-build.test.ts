import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { composeBackend } from '../../../../src/lib/backends/compose/index.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { type Answer, inspected, lineOf, ScriptedRunner } from './scripted-runner.js'

const FROM = 'town/mastodon:v4.5.3'
const TO = 'town/mastodon:v4.6.3'

let dir: string
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'mstdn-ops-build-')))
  writeFileSync(join(dir, 'docker-compose.yml'), 'services: {}')
})
afterEach(() => rmSync(dir, { recursive: true }))

/** Fetches 4.6.3 where web is built like this; returns what was asked of the engine and what the override said. */
async function fetched(build: object | undefined, { exitCode = 0 } = {}) {
  const seen: { lines: string[]; override?: object } = { lines: [] }
  let here = false
  const answer = (line: string): Answer => {
    if (line.includes('version')) return { stdout: '2.26.1' }
    if (line.includes('ps -a --filter'))
      return { stdout: ['town', dir, `${dir}/docker-compose.yml`, '', FROM].join('\t') }
    if (line.includes('ps -aq')) return { stdout: 'web' }
    if (line.includes('docker inspect')) return { stdout: JSON.stringify([inspected({ service: 'web', image: FROM })]) }
    if (line.includes('config --format json'))
      return { stdout: JSON.stringify({ name: 'town', services: { web: { image: FROM, command: 'puma', build } } }) }
    if (line.includes('image inspect')) return here ? { stdout: 'id' } : { exitCode: 1, stderr: 'No such image' }
    return undefined
  }
  const runner = new ScriptedRunner(invocation => {
    const line = lineOf(invocation)
    if (invocation.effect !== 'write') return answer(line)
    seen.lines.push(line.replace(/^.*? (pull|build) /, '$1 '))
    if (line.includes(' build '))
      seen.override = JSON.parse(readFileSync(join(dir, '.mstdn-ops-release-NONCE.yml'), 'utf8'))
    here = exitCode === 0
    return { exitCode, stderr: exitCode === 0 ? '' : 'Step 1/2\nno space left on device' }
  })
  const output = new Output({ logLevel: 'error' })
  const parts = { runner, output, ledger: new Ledger(), nonce: () => 'NONCE', terminal: true }
  const backend = await composeBackend({ projectDir: dir }, parts)
  await backend.releases?.change?.fetch('4.6.3', () => undefined)
  return seen
}

const services = (build?: object) => ({ services: { web: { image: TO, ...(build && { build }) } } })

test('an image that no service builds is pulled', async () => {
  expect(await fetched(undefined)).toEqual({ lines: [`pull ${TO}`] })
})

test('one that is built is built under its new name, by the argument that names the version', async () => {
  const args = { MASTODON_VERSION: 'v4.5.3', BASE: 'ghcr.io/mastodon/mastodon:v4.5.3-slim', OTHER: '14.5.3' }
  const changed = { MASTODON_VERSION: 'v4.6.3', BASE: 'ghcr.io/mastodon/mastodon:v4.6.3-slim' }
  const built = { lines: ['build web'], override: services({ args: changed }) }
  expect(await fetched({ context: dir, args })).toEqual(built)
})

test('by what is checked out of a repository', async () => {
  const context = 'https://code.example/town/mastodon.git#v4.5.3'
  const override = services({ context: context.replace('4.5.3', '4.6.3') })
  expect(await fetched({ context })).toEqual({ lines: ['build web'], override })
})

test('or where the folder holds the release; otherwise nothing is built', async () => {
  await expect(fetched({ context: dir })).rejects.toMatchObject({ code: 'build-of-which-release', exitCode: 3 })
  mkdirSync(join(dir, 'lib/mastodon'), { recursive: true })
  const numbers = { major: 4, minor: 6, patch: 3 }
  const text = Object.entries(numbers).map(([name, number]) => `    def ${name}\n      ${number}\n    end\n`)
  writeFileSync(
    join(dir, 'lib/mastodon/version.rb'),
    `module Mastodon\n  module Version\n${text.join('\n')}  end\nend\n`,
  )
  expect(await fetched({ context: dir })).toEqual({ lines: ['build web'], override: services() })
})

test('a build that fails says why', async () => {
  const args = { VERSION: '4.5.3' }
  const failed = { code: 'image-not-built', why: 'no space left on device' }
  await expect(fetched({ context: dir, args }, { exitCode: 1 })).rejects.toMatchObject(failed)
})
