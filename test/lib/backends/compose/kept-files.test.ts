import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KeptFiles } from '../../../../src/lib/backends/compose/kept-files.js'
import type { Stack } from '../../../../src/lib/backends/compose/stack.js'

const NAME = 'docker-compose.yml'
/** The comment is in Latin-1, which is no UTF-8. */
const FORMER = Buffer.from('# caf\xe9\nservices:\n  web:\n    image: town:v1\n', 'latin1')

let dir: string
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'mstdn-ops-kept-')))
})
afterEach(() => rmSync(dir, { recursive: true }))

test('files are kept and put back byte for byte; nothing is left when they are forgotten', async () => {
  const path = join(dir, NAME)
  writeFileSync(path, FORMER)
  const identity = { name: 'town', dir, files: [path], envFiles: [], here: true }
  const files = new KeptFiles({ project: { identity } } as unknown as Pick<Stack, 'project'>)
  await files.keep(path, 'one')
  expect(await files.kept('one')).toMatchObject([{ path, isBack: true }])
  // Another character that is no UTF-8, in the same place.
  writeFileSync(path, Buffer.from(FORMER.toString('latin1').replace('\xe9', '\xe8'), 'latin1'))
  expect(await files.kept('one')).toMatchObject([{ path, isBack: false }])
  await files.putBack('one')
  expect(readFileSync(path).equals(FORMER)).toBe(true)
  // As a run leaves it that is killed while it keeps.
  writeFileSync(`${path}.mstdn-ops-one.part`, 'half')
  await files.forget('one')
  expect(readdirSync(dir)).toEqual([NAME])
})
