import { expect, test } from 'vitest'
import type { Release } from '../../src/lib/backends/backend.js'
import { releaseLines } from '../../src/lib/status/releases.js'
import { toolboxOf } from '../support/toolbox-of.js'

const current = async () => ({ label: 'v4.5.3', image: 'mastodon:v4.5.3' })

test('releases are told as the platform keeps them, no more than asked for', async () => {
  const at = new Date('2026-11-22T09:00:00Z')
  const all: Release[] = [3, 2, 1].map(number => ({
    ...{ label: `v${number}`, at, user: 'ada@example.com', description: 'Deploy', current: number === 3 },
  }))
  const toolbox = toolboxOf({ releases: { current, list: async limit => all.slice(0, limit) } })
  const lines = await releaseLines(toolbox, 2)
  expect(lines.map(({ label, current: isCurrent }) => [label, isCurrent])).toEqual([
    ['v3', true],
    ['v2', false],
  ])
  expect(lines[0]?.at).toBe('2026-11-22T09:00:00.000Z')
})

test('where no list is kept the current one stands alone', async () => {
  const lines = await releaseLines(toolboxOf({ releases: { current } }), 15)
  expect(lines).toEqual([{ label: 'v4.5.3', at: null, user: null, description: 'mastodon:v4.5.3', current: true }])
  expect(await releaseLines(toolboxOf({ releases: { current: async () => undefined } }), 15)).toEqual([])
})

test('where nothing is known of releases that is said', async () => {
  await expect(releaseLines(toolboxOf({}), 15)).rejects.toMatchObject({ exitCode: 3, code: 'no-such-capability' })
})
