import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { demoCounts, people, type Stack, startStack } from './bed/bed.js'

// Beside other stacks on a small machine each process takes its time.
vi.setConfig({ testTimeout: 180_000 })

const cachedMedia = "SELECT count(*) FROM media_attachments WHERE remote_url <> '' AND file_file_name IS NOT NULL"

function commandsOn(stack: () => Stack) {
  const ops = (...words: string[]): Promise<CliResult> => cli([...words, '-C', stack().projectDir])
  const json = async (...words: string[]) => JSON.parse((await ops(...words, '--json')).stdout)
  return { ops, json }
}

describe('4.5.3, by tootctl', () => {
  let stack: Stack
  const { ops, json } = commandsOn(() => stack)
  beforeAll(async () => {
    stack = await startStack({ version: '4.5.3', running: 'servers' })
  })
  afterAll(() => stack?.stop())

  test('cache:clear empties the cache and says how it is done by hand', async () => {
    await stack.redis('SET', 'cache:something', '1')
    const { stdout, exitCode } = await ops('cache:clear')
    expect({ exitCode, left: await stack.redis('EXISTS', 'cache:something') }).toEqual({ exitCode: 0, left: '0' })
    expect(stdout).toMatch(/^The cache is cleared\.$/m)
    expect(stdout).toMatch(/By hand this would have been:\n {2}docker compose .*web bin\/tootctl cache clear$/m)
  })

  test('a dry run only shows the line', async () => {
    const { changes, result } = await json('media:remove', '--days', '3', '--dry-run')
    expect({ sent: changes[0]?.endsWith('web bin/tootctl media remove --days 3'), result }).toEqual({
      ...{ sent: true, result: null },
    })
    expect(await stack.psql(cachedMedia)).toBe(String(demoCounts.cachedMedia))
  })

  test('feeds:build builds one feed or all, and knows who is there', async () => {
    const feed = `feed:home:${people.alice}`
    await stack.redis('DEL', feed)
    expect((await ops('feeds:build', 'alice')).exitCode).toBe(0)
    expect(Number(await stack.redis('ZCARD', feed))).toBeGreaterThan(0)
    expect((await ops('feeds:build', 'nobody')).exitCode).toBe(3)
    expect((await json('feeds:build')).result.said).toMatch(/^Regenerated feeds for \d+ accounts/)
  })

  test('feeds:clear wants a yes', async () => {
    const refused = await ops('feeds:clear')
    expect({ exitCode: refused.exitCode, next: refused.stderr.includes('--yes') }).toEqual({ exitCode: 2, next: true })
    expect((await ops('feeds:clear', '--yes')).exitCode).toBe(0)
    expect(await stack.redis('KEYS', 'feed:*')).toBe('')
  })

  test('push:clear says why there is nothing to do', async () => {
    const { exitCode, stderr } = await ops('push:clear')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('OStatus was removed in 3.0.0')
  })

  test('media:refresh knows what it is to fetch, and fetches it', async () => {
    expect((await ops('media:refresh')).exitCode).toBe(2)
    expect((await ops('media:refresh', '--domain', 'nowhere.example')).exitCode).toBe(3)
    expect((await ops('media:refresh', '--status', '7')).exitCode).toBe(3)
    const { result } = await json('media:refresh', '--domain', 'remote.example')
    expect(result.said).toMatch(/^Downloaded \d+ media attachments/)
  })

  test('a flag that came later is refused, and nothing is removed', async () => {
    const { exitCode, stderr } = await ops('media:remove', '--keep-interacted')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('it needs Mastodon 4.6.0')
    expect(await stack.psql(cachedMedia)).toBe(String(demoCounts.cachedMedia))
  })

  test('daily leaves to the server what a setting makes it do by itself', async () => {
    const setting = "INSERT INTO settings (var, value) VALUES ('media_cache_retention_period', E'--- 14\\n')"
    await stack.psql(setting)
    const { stdout, stderr } = await ops('daily')
    expect(stderr).toContain('the server does it by itself: media_cache_retention_period is 14')
    expect(stdout).toContain('cached media of other servers (after 14 days)')
    expect(await stack.psql(cachedMedia)).toBe(String(demoCounts.cachedMedia))
    await stack.psql("DELETE FROM settings WHERE var = 'media_cache_retention_period'")
  })

  test('daily removes what the server does not, and what it is asked for', async () => {
    const { result, steps } = await json(
      'daily',
      '--media-days',
      '3',
      '--preview-cards-days',
      '180',
      '--prune-accounts',
    )
    expect(steps.map((step: { id: string }) => step.id)).toEqual([
      'media.remove',
      'previewCards.remove',
      'accounts.prune',
      'drop-expired',
    ])
    expect(result.done[0].said).toMatch(/^Removed [1-9]\d* media attachments/)
    expect(Number(await stack.psql(cachedMedia))).toBeLessThan(demoCounts.cachedMedia)
    expect((await stack.containers()).filter(container => container.oneOff)).toEqual([])
  })

  test('assets:precompile does not run in vain', async () => {
    const { exitCode, stderr } = await ops('assets:precompile')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('The image brings its compiled assets along')
  })
})

describe('2.4.5, by rake', () => {
  let stack: Stack
  const { ops, json } = commandsOn(() => stack)
  beforeAll(async () => {
    stack = await startStack({ version: '2.4.5', running: 'servers', variant: 'lean' })
  })
  afterAll(() => stack?.stop())

  test('assets:precompile compiles where the folders are kept, and looks', async () => {
    const { result } = await json('assets:precompile', '--ignore-memory')
    expect(result.manifests).toContain('public/packs/manifest.json')
  })

  test('assets:precompile tells a compilation that failed', async () => {
    await stack.faults({ STANDIN_ASSETS_FAIL: '1' })
    const { exitCode, stderr } = await ops('assets:precompile', '--ignore-memory')
    await stack.faults({})
    expect(exitCode).toBe(5)
    expect(stderr).toContain('Compilation failed')
  })

  test('feeds and subscriptions are cleared by their tasks', async () => {
    await stack.redis('SET', 'feed:home:1', '1')
    const { byHand } = await json('feeds:clear', '--yes')
    expect(byHand[0]).toContain('bundle exec rake mastodon:feeds:clear_all')
    expect(await stack.redis('EXISTS', 'feed:home:1')).toBe('0')
    expect((await ops('push:clear')).exitCode).toBe(0)
    expect(await stack.psql('SELECT count(*) FROM subscriptions')).toBe('0')
  })

  test('feeds of one user cannot be built by themselves', async () => {
    const { exitCode, stderr } = await ops('feeds:build', 'alice')
    expect(exitCode).toBe(3)
    expect(stderr).toContain('it needs Mastodon 2.6.0')
  })

  test('media:remove hands the days over, and media:refresh came later', async () => {
    const { byHand } = await json('media:remove', '--days', '3')
    expect(byHand[0]).toContain('-e NUM_DAYS=3')
    expect(Number(await stack.psql(cachedMedia))).toBeLessThan(demoCounts.cachedMedia)
    expect((await ops('media:refresh', '--domain', 'remote.example')).exitCode).toBe(3)
  })

  test('daily runs no task that does nothing any more', async () => {
    const { steps, result } = await json('daily')
    expect(steps.map((step: { id: string }) => step.id)).toEqual(['media.remove', 'drop-expired'])
    expect(result.automatic).toContain('feeds of people who are away')
  })
})
