import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clearOverride, withServices } from '../../../../src/lib/backends/compose/release-override.js'
import type { Stack } from '../../../../src/lib/backends/compose/stack.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-override-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function stack(dryRun: boolean): Stack {
  const project = { identity: { dir }, withOverride: (path: string) => path }
  return { project, parts: { runner: { dryRun } } } as unknown as Stack
}

test('a dry run beside a run has a file of its own, and removes no other', async () => {
  const how = { services: {}, effect: 'read' } as const
  await withServices(stack(false), how, async () => {
    const own = readdirSync(dir)
    await withServices(stack(true), how, async () => expect(readdirSync(dir)).toHaveLength(2))
    await clearOverride(stack(true))
    expect(readdirSync(dir)).toEqual(own)
  })
  expect(readdirSync(dir)).toEqual([])
})

test('what killed runs have left goes, and nothing else', async () => {
  for (const name of ['.mstdn-ops-release-a1.yml', '.mstdn-ops-release-b-2.yml', '.mstdn-ops-release.yml.bak'])
    writeFileSync(join(dir, name), '{}')
  await clearOverride(stack(false))
  expect(readdirSync(dir)).toEqual(['.mstdn-ops-release.yml.bak'])
})
