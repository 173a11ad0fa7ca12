import { UsageError } from './errors.js'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
}

/**
 * Reads a size like `500MB`, `1GB` (10⁹ bytes), `1GiB` (2³⁰ bytes) or a number of bytes.
 *
 * @throws UsageError naming the flag for anything else.
 */
export function bytesOf(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = UNITS[unit.toUpperCase()]
  const bytes = Math.round(Number(number) * (factor ?? Number.NaN))
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new UsageError({
    code: 'bad-size',
    message: `${flag} is "${text}", which is no size.`,
    next: 'Write it like 500MB, 1GB or 1073741824.',
  })
}

/**
 * Reads a percentage from 1 to 100, with or without its sign.
 *
 * @throws UsageError naming the flag for anything else.
 */
export function percentOf(flag: string, text: string): number {
  const [, number] = /^(\d+(?:\.\d+)?)\s*%?$/.exec(text.trim()) ?? []
  const percent = Number(number)
  if (percent >= 1 && percent <= 100) return percent
  throw new UsageError({
    code: 'bad-percentage',
    message: `${flag} is "${text}", which is no percentage.`,
    next: 'Write it like 80%, from 1% to 100%.',
  })
}

const MILLISECONDS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, min: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8 }

/** A hundred years: a date that far away can still be written. */
const LONGEST = 36_525 * 8.64e7

/**
 * Reads a duration like `90s`, `30m`, `24h`, `7d`, `2w` and returns it in milliseconds.
 *
 * @throws UsageError naming the flag for anything else, and for more than a hundred years.
 */
export function durationOf(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d+)\s*([a-z]+)$/.exec(text.trim().toLowerCase()) ?? []
  const factor = MILLISECONDS[unit]
  const duration = Number(number) * (factor ?? Number.NaN)
  if (duration > 0 && duration <= LONGEST) return duration
  const what = duration > LONGEST ? 'more than a hundred years' : 'no length of time'
  throw new UsageError({
    code: 'bad-duration',
    message: `${flag} is "${text}", which is ${what}.`,
    next: 'Write it like 24h, 7d or 30m.',
  })
}
