import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Stack, startStack } from './bed/bed.js'
import { buildImages } from './bed/images.js'
import { fitHealthCheck, upgradedByHand, upgradedByTool } from './bed/upgrades.js'
import { BrokenRun } from './broken-run.js'

const PATIENCE = 600_000
const PAIRS = [
  ['4.2.9', '4.3.8'],
  ['4.3.8', '4.5.3'],
] as const

describe.each(PAIRS.slice(0, 1))('from %s', first => {
  const stacks: Stack[] = []
  const stories: BrokenRun[] = []
  const fitStack = async () => {
    const stack = await startStack({ version: first, variant: 'lean' })
    stacks.push(stack)
    stories.push(new BrokenRun(stack))
    await fitHealthCheck(stack)
    return stack
  }
  beforeAll(() => buildImages([...new Set(PAIRS.flat())]), 300_000)
  afterAll(async () => {
    for (const story of stories) story.remove()
    for (const stack of stacks) await stack.stop()
  })

  test(
    'one web container: nothing fails but while it is replaced, as the report says it, and far less than the usual way',
    async () => {
      const [mine, usual] = [await fitStack(), await fitStack()]
      for (const [from, to] of PAIRS) {
        const { seen, reported, bringMs } = await upgradedByTool(mine, to, (...words) => storyOf(mine).tool(...words))
        const byHand = await upgradedByHand(usual, from, to)
        const figures = JSON.stringify({ from, to, seen, reported, bringMs, byHand })
        expect(Math.abs(reported.milliseconds - seen.downMs), figures).toBeLessThan(300)
        expect(reported, figures).toMatchObject({ outages: 1, whole: true })
        expect(seen.downMs, figures).toBeLessThan(bringMs)
        expect(seen.downMs, figures).toBeLessThan(0.8 * byHand.downMs)
      }
    },
    PATIENCE,
  )

  test(
    'two web containers: no request fails',
    async () => {
      const stack = await fitStack()
      await stack.compose('up', '-d', '--wait', '--no-recreate', '--scale', 'web=2', 'web')
      for (const [, to] of PAIRS) {
        const { seen } = await upgradedByTool(stack, to, (...words) => storyOf(stack).tool(...words))
        expect(seen, to).toMatchObject({ failed: 0 })
      }
    },
    PATIENCE,
  )

  function storyOf(stack: Stack): BrokenRun {
    return stories[stacks.indexOf(stack)] as BrokenRun
  }
})
