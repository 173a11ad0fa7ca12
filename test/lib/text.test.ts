import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { grouped, humanBytes, humanDuration, plural, printable, printableLine, shellLine } from '../../src/lib/text.js'

describe('printable', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', '\\u{1b}[31mred\\u{1b}[0m'],
    ['abc\u202egnp.exe', 'abc\\u{202e}gnp.exe'],
    ['one\rtwo', 'one\\u{d}two'],
    ['\u0007\u009b2J', '\\u{7}\\u{9b}2J'],
    ['kept\ttab\nand line', 'kept\ttab\nand line'],
  ])('makes %j visible', (raw, shown) => {
    expect(printable(raw)).toBe(shown)
  })

  it('never lets a control or reordering character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), raw => {
        expect(printableLine(raw)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/u)
      }),
    )
  })
})

describe('shellLine', () => {
  it('is read back by a POSIX shell as the same words', async () => {
    const { execFileSync } = await import('node:child_process')
    const word = fc.string({ unit: 'binary' }).filter(text => !text.includes('\0') && text.isWellFormed())
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), words => {
        const shown = execFileSync('sh', ['-c', `printf '%s\\0' ${shellLine(words)}`])
        expect(shown.toString().split('\0').slice(0, -1)).toEqual(words)
      }),
      { numRuns: process.env.MSTDN_TEST_FULL ? 500 : 40 },
    )
  })
})

describe('numbers for people', () => {
  it.each([
    [grouped(9412), '9,412'],
    [humanBytes(0), '0 B'],
    [humanBytes(1536), '1.5 KiB'],
    [humanBytes(5 * 1024 ** 3), '5.0 GiB'],
    [humanDuration(35), '35 s'],
    [humanDuration(600), '10 min'],
    [humanDuration(3600 * 30), '30 h'],
    [humanDuration(86_400 * 12), '12 days'],
    [plural(1, 'row'), '1 row'],
    [plural(2000, 'row'), '2,000 rows'],
    [plural(2, 'query', 'queries'), '2 queries'],
  ])('writes %s as %s', (written, expected) => {
    expect(written).toBe(expected)
  })
})
