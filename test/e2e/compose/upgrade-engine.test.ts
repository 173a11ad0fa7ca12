import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Stack, startStack } from './bed/bed.js'
import { buildImages } from './bed/images.js'
import { fitHealthCheck } from './bed/upgrades.js'
import { BrokenRun } from './broken-run.js'
import { powerLost } from './engine.js'

/** Every stack of this engine is thrown over, so that the suite leaves the file out: vitest.config.ts, bed/README.md. */
const PATIENCE = 600_000
const POST = '20240322161611'

/** What is said when it is there, what it waits at, and what is done afterwards. */
const MOMENTS = [
  ['  2 of ', { STANDIN_SLEEP_MIGRATION: '20240221195424:20' }, '--undo'],
  ['Start the processes with', {}, '--undo'],
  ['Look whether 4.3.8 works', {}, '--undo'],
  ['RemoveObsoleteRoles', { STANDIN_SLEEP_MIGRATION: `${POST}:20` }, undefined],
] as const

describe.each(['4.2.9'])('an upgrade from %s', version => {
  let stack: Stack
  let story: BrokenRun
  beforeAll(async () => {
    await buildImages([version, '4.3.8'])
    stack = await startStack({ version, variant: 'lean', healthSeconds: 1 })
    story = new BrokenRun(stack)
    await fitHealthCheck(stack)
  }, 300_000)
  afterAll(async () => {
    story?.remove()
    await stack?.stop()
  })

  const composeText = () => readFileSync(join(stack.projectDir, 'docker-compose.yml'), 'utf8')

  async function serving(): Promise<string[]> {
    const found = (await stack.containers()).filter(({ image }) => image.includes('mastodon'))
    return found
      .map(({ service, image, state, health }) => `${service} ${image.split(':')[1]} ${state} ${health}`)
      .sort()
  }

  const ofRelease = (release: string) =>
    ['sidekiq', 'streaming', 'web'].map(name => `${name} v${release} running healthy`)

  async function complaints(): Promise<string[]> {
    const { stdout } = await story.tool('doctor', '--json')
    const { checks } = JSON.parse(stdout) as { checks: { id: string; state: string }[] }
    return checks.filter(({ state }) => state === 'bad').map(({ id }) => id)
  }

  test.each(MOMENTS)(
    'tool, engine and containers killed together at "%s": doctor names it, and resume ends well',
    async (said, faults, how) => {
      const [former, before] = [composeText(), await complaints()]
      await stack.faults(faults)
      const run = story.start(['upgrade', '--to', '4.3.8', '--yes', '--no-backup', '--confirm', stack.domain])
      await run.until(said)
      await powerLost(stack, run.pid)
      await run.ended
      await stack.faults({})
      const asked = () => Promise.all([stack.psql('SELECT 1'), stack.redis('PING')]).catch(String)
      await expect.poll(asked, { timeout: 120_000, interval: 500 }).toEqual(['1', 'PONG'])
      expect(await complaints()).toContain('unfinished-run')
      const { exitCode, stderr } = await story.tool('resume', ...(how === undefined ? [] : [how]))
      expect(exitCode, stderr).toBe(0)
      expect(await serving()).toEqual(ofRelease(how === undefined ? '4.3.8' : version))
      if (how !== undefined) {
        expect(composeText()).toBe(former)
        expect(readdirSync(stack.projectDir).filter(name => name.includes('mstdn-ops'))).toEqual([])
      }
      await story.expectOver(how === undefined ? 'done' : 'undone')
      expect(await complaints()).toEqual(before)
    },
    PATIENCE,
  )
})
