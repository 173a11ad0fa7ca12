/* biome-ignore-all lint/suspicious/noControlCharactersInRegex: finding control characters is this file's purpose */

/** C0 and C1 controls except tab and newline, and the marks that reorder text (Unicode Bidi_Control, line separators). */
const UNPRINTABLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Returns the text with control and reordering characters made visible as `\u{…}`: what a terminal may be shown. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, char => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
}

/** Like {@link printable}, and on one line: for names inside sentences and table cells. */
export function printableLine(text: string): string {
  return printable(text).replaceAll('\n', '\\n').replaceAll('\t', ' ')
}

/** Returns the word quoted for a POSIX shell, unquoted where that is safe. */
export function shellQuote(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word
  // Single quotes inside are easier to read between double ones, where nothing else is special.
  if (word.includes("'") && !/["$`\\!]/.test(word)) return `"${word}"`
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** Returns the words as one line that a POSIX shell reads back as the same words. */
export function shellLine(words: readonly string[]): string {
  return words.map(shellQuote).join(' ')
}

/** Returns the number with thousands separated by commas, as the field writes row counts. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

/** Returns a size in binary units with one decimal, like `1.2 GiB`. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}

/** Returns a duration given in seconds as its largest fitting unit, like `35 s`, `4 min`, `3 h`, `12 days`. */
export function humanDuration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

/** Returns `1 row`, `2 rows`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`
}
