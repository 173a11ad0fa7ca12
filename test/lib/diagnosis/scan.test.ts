import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scanLog } from '../../../src/lib/diagnosis/scan.js'
import { type Place, Tally } from '../../../src/lib/diagnosis/tally.js'
import { KNOWN_PROBLEMS } from '../../../src/lib/mastodon/known-problems.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const FULL_DISK = '2026-11-22 18:50:55.171 UTC [1] FATAL:  could not write to file "x": No space left on device'

async function scanned(
  chunks: readonly Buffer[],
): Promise<{ bytes: number; lines: number; found: [string, Place[]][] }> {
  const tally = new Tally()
  const read = await scanLog(
    (async function* () {
      yield* chunks
    })(),
    'x.log',
    tally,
  )
  return { ...read, found: tally.found.map(({ problem, places }) => [problem.id, places]) }
}

const disk = (place: Partial<Place>) => [['disk-full', [expect.objectContaining(place)]]]

describe('a log', () => {
  test('each problem is listed once, with how often, where last, and when', async () => {
    const log = ['fine', FULL_DISK, 'fine', `web-1  | ${FULL_DISK}`, FULL_DISK.replace('18:50', '19:00'), 'fine'].join(
      '\n',
    )
    expect(await scanned([Buffer.from(log)])).toMatchObject({
      lines: 6,
      found: [
        [
          'disk-full',
          [
            { source: 'x.log', count: 2, line: 5, time: '2026-11-22 19:00:55.171 UTC' },
            { source: 'x.log web-1', count: 1, line: 4, time: '2026-11-22 18:50:55.171 UTC' },
          ],
        ],
      ],
    })
  })

  test('wherever its bytes are cut', async () => {
    const bytes = Buffer.from(`é\n${FULL_DISK}\r\n\n\u001b[31m${FULL_DISK}\u001b[0m\nfine 🐘`)
    const whole = await scanned([bytes])
    expect(whole).toMatchObject({ lines: 5, found: disk({ count: 2, line: 4 }) })
    const property = fc.asyncProperty(
      fc.array(fc.nat(bytes.length), { maxLength: 8 }).map(cuts => [0, ...cuts.sort((a, b) => a - b), bytes.length]),
      async cuts => {
        expect(await scanned(cuts.slice(1).map((end, at) => bytes.subarray(cuts[at], end)))).toEqual(whole)
      },
    )
    await fc.assert(property, { numRuns: FULL ? 2_000 : 100 })
  })

  test.each([
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from([0xff, 0xc3, 0x28, 0x80]), Buffer.from(` ${FULL_DISK}`)])],
    ['UTF-16, as a PowerShell redirects', Buffer.from(`\ufefffine\r\n${FULL_DISK}\r\n`, 'utf16le')],
    ['zero bytes', Buffer.from(`a\0b\0 ${FULL_DISK}`)],
    ['one line of many megabytes', Buffer.from(`${'x'.repeat(3_000_000)} ${FULL_DISK} ${'y'.repeat(3_000_000)}`)],
    ['a line of the engine that was cut off', Buffer.from(`{"log":"${FULL_DISK.replaceAll('"', '\\"')}`)],
  ])('%s', async (_what, bytes) => {
    expect((await scanned([bytes])).found).toEqual(disk({ count: 1 }))
  })

  test('an empty one', async () => {
    expect(await scanned([])).toEqual({ bytes: 0, lines: 0, found: [] })
  })

  test('what it shows is shortened, masked, and on one printable line', async () => {
    const line = `PG::DuplicateTable from a@b.example at postgres://u:pass@db/x \u202e\u0007 No space left on device ${'x'.repeat(900)}`
    const { found } = await scanned([Buffer.from(line)])
    const text = found[0]?.[1][0]?.text ?? ''
    expect(text).toHaveLength(200)
    expect(text).toContain('from [E-MAIL] at postgres://[CREDENTIALS]@db/x \\u{202e}\\u{7} No space')
  })

  test('names of processes without end do not fill the memory', async () => {
    const log = Array.from({ length: 5_000 }, (_, at) => `p${at} | ${FULL_DISK}`).join('\n')
    expect((await scanned([Buffer.from(log)])).found[0]?.[1]).toHaveLength(20)
  })
})

test('a line that is made to be slow', async () => {
  const words = new Set(KNOWN_PROBLEMS.flatMap(({ signs }) => signs.map(({ word }) => word)))
  for (const word of words) {
    const start = performance.now()
    await scanned([Buffer.from(`"${word} " (: `.repeat(FULL ? 100_000 : 2_000))])
    expect(performance.now() - start, word).toBeLessThan(FULL ? 20_000 : 2_000)
  }
}, 600_000)
