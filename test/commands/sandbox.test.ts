import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { cli } from '../support/cli.js'

vi.setConfig({ testTimeout: 90_000 })

let home: string
let env: NodeJS.ProcessEnv
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'mstdn-ops-sandbox-commands-'))
  env = { XDG_STATE_HOME: join(home, 'state'), MSTDN_OPS_BACKEND: 'sandbox' }
})
afterEach(async () => {
  await cli(['sandbox:stop', '--delete'], { env })
  rmSync(home, { recursive: true, force: true })
})

it('starts once, is worked on, stops, and is removed with its runs', async () => {
  expect(await cli(['rows'], { env })).toMatchObject({
    exitCode: 3,
    stderr: expect.stringContaining('mstdn-ops sandbox:start'),
  })
  expect((await cli(['sandbox:start', '--dry-run'], { env })).stdout).toContain('would be started')
  expect(existsSync(join(home, 'state'))).toBe(false)

  const started = await cli(['sandbox:start', '--statuses', '20'], { env })
  expect(started).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^The sandbox runs, shaped as Mastodon 4\.5\.3/),
  })
  const again = await cli(['sandbox:start', '--statuses', '30', '--json'], { env })
  expect(JSON.parse(again.stdout)).toMatchObject({ state: 'ran already' })
  expect(again.stdout).not.toMatch(/postgresql:|redis:\/\//)
  expect(again.stderr).toContain('--statuses counts for a new one')

  expect((await cli(['rows', '--exact'], { env })).stdout).toMatch(/^statuses +20 /m)
  const [estimated, exact] = await Promise.all([['rows'], ['rows', '--exact']].map(words => total(words)))
  expect(estimated, 'what the server estimates of a database that nobody writes to').toBe(exact)
  expect(await cli(['accounts:disable-2fa', 'alice'], { env })).toMatchObject({ exitCode: 0 })
  expect(await cli(['accounts:make-admin', 'bob'], { env })).toMatchObject({ exitCode: 3, stdout: '' })

  expect((await cli(['sandbox:stop'], { env })).stdout).toBe('The sandbox is stopped.\n')
  expect((await cli(['rows'], { env })).stderr).toContain('The sandbox does not run.')
  expect((await cli(['sandbox:start'], { env })).exitCode).toBe(0)
  expect((await cli(['runs'], { env })).stdout).toContain('accounts:disable-2fa')
  expect((await cli(['sandbox:stop', '--delete'], { env })).stdout).toMatch(/is stopped\. Its data in .* is removed\./)
  expect(existsSync(join(home, 'state/mstdn-ops/sandbox'))).toBe(false)
  expect(existsSync(join(home, 'state/mstdn-ops/sandbox-data'))).toBe(false)
})

async function total(words: string[]): Promise<number> {
  return JSON.parse((await cli([...words, '--json'], { env })).stdout).rows
}

it('touches no folder that holds something else', async () => {
  const other = { ...env, MSTDN_OPS_SANDBOX_DIR: home }
  writeFileSync(join(home, 'letter'), 'dear')
  expect(await cli(['sandbox:start'], { env: other })).toMatchObject({
    exitCode: 3,
    stderr: expect.stringContaining('letter'),
  })
  expect((await cli(['sandbox:stop', '--delete'], { env: other })).stdout).toBe('The sandbox did not run.\n')
  expect(existsSync(join(home, 'letter'))).toBe(true)
})
