import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Output } from '../../../src/lib/output.js'
import { draw } from '../../../src/lib/runbook/draw.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Returns the lines of progress in a log, of what is told so many milliseconds apart. */
async function linesOf(told: readonly string[], apart: number): Promise<string[]> {
  const stderr = new PassThrough()
  const output = new Output({ stderr: stderr as unknown as NodeJS.WriteStream })
  const drawing = await draw(output, 'Restore', [{ id: 'restore', title: 'Restore' }])
  for (const text of told) {
    drawing.progress('restore', text)
    vi.setSystemTime(Date.now() + apart)
  }
  const text = String(stderr.read() ?? '')
  return text.split('\n').flatMap(line => (line === '' ? [] : [line.trim()]))
}

const megabytes = (count: number) => Array.from({ length: count }, (_, at) => `${at} MB`)

test('a counter is told every five seconds in a log, not at each of its steps', async () => {
  expect(await linesOf(megabytes(1_000), 20)).toEqual(['0 MB', '250 MB', '500 MB', '750 MB'])
})

test('one that counts slowly is told each time, and never twice the same', async () => {
  expect(await linesOf(['1 MB', '1 MB', '2 MB', '2 MB'], 6_000)).toEqual(['1 MB', '2 MB'])
})

test('what says something else is told at once', async () => {
  const told = ['1 of 3: AddQuotes', 'AddQuotes took 0.2 s', '2 of 3: AddFasp', '3 of 3: AddRules']
  expect(await linesOf(told, 10)).toEqual(told)
})
