import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeStream } from '../../../src/lib/backups/sink.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-sink-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Takes its time for each piece, and has room for some. */
function slowReader() {
  let bytes = 0
  const stream = new Writable({
    highWaterMark: 1024,
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      setTimeout(done, 5)
    },
  })
  return { stream, read: () => bytes }
}

test('who reads beside gets all, also what was not yet read at the end', async () => {
  const pieces = Array.from({ length: 10 }, () => Buffer.alloc(300))
  const beside = slowReader()
  const { bytes } = await writeStream(Readable.from(pieces), join(folder, 'dump'), { beside: beside.stream })
  await finished(beside.stream)
  expect({ bytes, read: beside.read() }).toEqual({ bytes: 3000, read: 3000 })
})

test('where the source breaks off, who reads beside is not told that this was the end', async () => {
  const beside = slowReader()
  const source = Readable.from(
    (async function* () {
      yield Buffer.alloc(300)
      throw new Error('broken off')
    })(),
  )
  await expect(writeStream(source, join(folder, 'dump'), { beside: beside.stream })).rejects.toThrow('broken off')
  expect(beside.stream).toMatchObject({ destroyed: true, writableFinished: false })
})
