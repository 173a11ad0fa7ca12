// Prints for how long nobody gets an answer from web during an upgrade on docker compose: with mstdn-ops, as its report
// says it and as a load of ten requests a second sees it, beside the usual `down; rails db:migrate; up -d` on a like stack,
// the two by turns; and what the same load sees of an upgrade with two web containers. Mastodon is the stand-in of the
// tests: it starts within a second, where the real one takes ten and more, which both ways wait for.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Stack, startStack } from '../test/e2e/compose/bed/bed.js'
import { buildImages } from '../test/e2e/compose/bed/images.js'
import { fitHealthCheck, upgradedByHand, upgradedByTool } from '../test/e2e/compose/bed/upgrades.js'
import { cli } from '../test/support/cli.js'

const PAIRS = [
  ['4.2.9', '4.3.8'],
  ['4.3.8', '4.5.3'],
] as const

const rounds = Number(process.env.ROUNDS ?? 1)
const state = mkdtempSync(join(tmpdir(), 'mstdn-ops-bench-'))
const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(2)} s`

function toolOn({ projectDir }: Stack) {
  const env = { XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') }
  return (...words: string[]) => cli(words, { cwd: projectDir, env, timeoutMs: 600_000 })
}

async function fitStack(): Promise<Stack> {
  const stack = await startStack({ version: '4.2.9', variant: 'lean' })
  await fitHealthCheck(stack)
  return stack
}

async function oneWeb(): Promise<void> {
  const [mine, usual] = [await fitStack(), await fitStack()]
  try {
    for (const [from, to] of PAIRS) {
      const { seen, reported } = await upgradedByTool(mine, to, toolOn(mine))
      const byHand = await upgradedByHand(usual, from, to)
      const ratio = (seen.downMs / byHand.downMs).toFixed(2)
      console.log(
        `${from} to ${to}: reported ${seconds(reported.milliseconds)}, seen ${seconds(seen.downMs)} (${seen.failed} of ${seen.asked} failed), ` +
          `by hand ${seconds(byHand.downMs)} (${byHand.failed} of ${byHand.asked}), ratio ${ratio}`,
      )
    }
  } finally {
    await Promise.all([mine.stop(), usual.stop()])
  }
}

async function twoWebs(): Promise<void> {
  const stack = await fitStack()
  try {
    await stack.compose('up', '-d', '--wait', '--no-recreate', '--scale', 'web=2', 'web')
    for (const [from, to] of PAIRS) {
      const { seen } = await upgradedByTool(stack, to, toolOn(stack))
      console.log(`${from} to ${to} with two web containers: ${seen.failed} of ${seen.asked} failed`)
    }
  } finally {
    await stack.stop()
  }
}

await buildImages([...new Set(PAIRS.flat())])
try {
  for (let round = 0; round < rounds; round += 1) {
    await oneWeb()
    await twoWebs()
  }
} finally {
  rmSync(state, { recursive: true, force: true })
}
