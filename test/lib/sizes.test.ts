import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/lib/errors.js'
import { bytesOf, durationOf, percentOf } from '../../src/lib/sizes.js'

describe('a size', () => {
  it.each([
    ['1', 1],
    ['500MB', 500_000_000],
    ['1GB', 1_000_000_000],
    ['1.5 GiB', 1_610_612_736],
    ['2kib', 2048],
  ])('%s is %d bytes', (text, bytes) => expect(bytesOf('--budget-bytes', text)).toBe(bytes))

  it.each(['', '0', '-1', '1x', 'GB', '1e9', '99999999999TB'])('%j is refused by the name of its flag', text => {
    expect(() => bytesOf('--budget-bytes', text)).toThrow(UsageError)
    expect(() => bytesOf('--budget-bytes', text)).toThrow('--budget-bytes')
  })
})

describe('a length of time', () => {
  it.each([
    ['90s', 90_000],
    ['30 min', 1_800_000],
    ['7D', 604_800_000],
    ['36525d', 3_155_760_000_000],
  ])('%s is %d ms', (text, duration) => expect(durationOf('--keep-old', text)).toBe(duration))

  it.each(['', '7', '0d', '-1d', '1y', '7 days ago'])('%j is refused by the name of its flag', text => {
    expect(() => durationOf('--keep-old', text)).toThrow(UsageError)
    expect(() => durationOf('--keep-old', text)).toThrow('--keep-old')
  })

  it.each(['999999999d', '36526d', `${'9'.repeat(400)}s`])('%j is too long for a date to be named', text => {
    expect(() => durationOf('--keep-old', text)).toThrow(/--keep-old .* more than a hundred years/)
  })
})

describe('a percentage', () => {
  it.each([
    ['80%', 80],
    ['80', 80],
    ['99.5 %', 99.5],
  ])('%s', (text, percent) => expect(percentOf('--warn-at', text)).toBe(percent))

  it.each(['', '0', '101%', '-5', 'most'])('%j is refused', text => {
    expect(() => percentOf('--warn-at', text)).toThrow(UsageError)
  })
})
