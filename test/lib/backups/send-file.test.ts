import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendFile } from '../../../src/lib/backups/send-file.js'
import { localPlace } from '../../support/local-place.js'

const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-send-'))
const path = join(dir, 'dump')
// Not a whole number of pieces.
const bytes = randomBytes(5_000_001)
beforeAll(() => writeFileSync(path, bytes))
afterAll(() => rmSync(dir, { recursive: true }))

const reader = (script: string) => localPlace().open({ what: 'sh', script, effect: 'read', fed: true })

test('a file arrives as it is, however slowly it is read', async () => {
  const run = await reader('head -c 1000000; sleep 0.3; cat')
  const hash = createHash('sha256')
  run.stdout.on('data', piece => hash.update(piece))
  const told: number[] = []
  await sendFile(path, run.stdin, sent => told.push(sent))
  expect((await run.ended).exitCode).toBe(0)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
  expect(told.at(-1)).toBe(bytes.length)
})

test('who stops reading is no crash, and one that is not there is told', async () => {
  const run = await reader('head -c 1 >/dev/null')
  const read = text(run.stdout)
  await expect(sendFile(path, run.stdin)).rejects.toMatchObject({
    code: expect.stringMatching(/EPIPE|ECONNRESET|STREAM/),
  })
  await Promise.all([read, run.ended])
  const waiting = await reader('cat')
  await expect(sendFile(join(dir, 'none'), waiting.stdin)).rejects.toMatchObject({ code: 'ENOENT' })
  waiting.kill()
})
