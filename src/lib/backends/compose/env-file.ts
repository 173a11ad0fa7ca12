import { UsageError } from '../../errors.js'
import type { ConfigChanges } from '../backend.js'

/** One or more lines of an env file: an assignment with its whole value, or anything else. */
interface Piece {
  lines: string[]
  key: string | undefined
  exported: boolean
}

const ASSIGNMENT = /^\s*(export\s+)?([\w.]+)(?:\s*=|:\s)\s*(.*)$/s

/**
 * Returns the text of the env file with the changes made (null removes); all other lines stay as they are.
 *
 * A key that stands several times counts by its last line, as compose and dotenv read it: that one is replaced.
 *
 * @throws UsageError naming the keys whose values cannot be written.
 */
export function changedEnvFile(text: string, changes: ConfigChanges): string {
  refuseUnwritable(changes)
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const pieces = piecesOf(text.split(/\r?\n/))
  const kept = pieces.filter(piece => piece.key === undefined || changes[piece.key] !== null)
  const last = new Map(kept.map((piece, at) => [piece.key, at]))
  const replaced = kept.map((piece, at) => (last.get(piece.key) === at ? changedPiece(piece, changes) : piece.lines))
  const added = Object.entries(changes).filter(([key, value]) => value !== null && !last.has(key))
  const lines = withLines(
    replaced.flat(),
    added.map(([key, value]) => `${key}=${spelling(value ?? '')}`),
  )
  return lines.join(newline)
}

function changedPiece(piece: Piece, changes: ConfigChanges): string[] {
  const value = piece.key === undefined ? undefined : changes[piece.key]
  if (value === undefined || value === null) return piece.lines
  return [`${piece.exported ? 'export ' : ''}${piece.key}=${spelling(value)}`]
}

/** Adds lines at the end, before the empty text that stands behind the last newline. */
function withLines(lines: string[], added: string[]): string[] {
  if (added.length === 0) return lines
  const ended = lines.at(-1) === '' ? lines.slice(0, -1) : lines
  return [...ended, ...added, '']
}

/** A quoted value may span lines, and what stands inside of it is no assignment. */
function piecesOf(lines: readonly string[]): Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < lines.length; ) {
    const match = ASSIGNMENT.exec(lines[at] ?? '')
    const count = match ? linesOfValue(lines, at, match[3] ?? '') : 1
    pieces.push({ lines: lines.slice(at, at + count), key: match?.[2], exported: match?.[1] !== undefined })
    at += count
  }
  return pieces
}

function linesOfValue(lines: readonly string[], at: number, value: string): number {
  const quote = value[0]
  if (quote !== '"' && quote !== "'") return 1
  let text = value
  for (let next = at + 1; next <= lines.length; next += 1) {
    if (isClosed(text, quote)) return next - at
    text += `\n${lines[next] ?? ''}`
  }
  return 1
}

function isClosed(text: string, quote: string): boolean {
  return new RegExp(`^${quote}(?:\\\\.|[^\\\\${quote}])*${quote}`, 's').test(text)
}

/* biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const OUTER_SPACE = /^[\s\ufeff]|[\s\ufeff]$/u

/**
 * Returns how the value is written so that compose 2 and dotenv (2.x and 3.x, the gem that Mastodon loads) read the
 * same; undefined where there is no such spelling.
 *
 * Unquoted comes first, for compose 1 and `docker run --env-file` take quotes as part of the value. Rules, both
 * readers taken together: unquoted ends at `#` and expands `$`, and dotenv drops backslashes; single quotes keep all
 * but a quote and a backslash at the end; double quotes need `\"`, `\\` and `\$`, where dotenv 2 makes line breaks
 * of `\n` and `\r` even behind an escaped backslash and keeps the backslash of an unclosed `\$(`.
 */
export function spellingOf(value: string): string | undefined {
  if (CONTROL.test(value)) return undefined
  if (!/[$#\\`]/.test(value) && !OUTER_SPACE.test(value) && !/^['"]/.test(value)) return value
  if (!value.includes("'") && !value.endsWith('\\')) return `'${value}'`
  if (value.endsWith('\\') || /\\[nr]|\$\(/.test(value)) return undefined
  return `"${value.replace(/[\\"$]/g, '\\$&')}"`
}

function spelling(value: string): string {
  return spellingOf(value) ?? ''
}

function refuseUnwritable(changes: ConfigChanges): void {
  const badNames = Object.keys(changes).filter(key => !/^[A-Za-z_]\w*$/.test(key))
  const badValues = Object.entries(changes).flatMap(([key, value]) =>
    value !== null && spellingOf(value) === undefined ? [key] : [],
  )
  if (badNames.length > 0) throw unwritable(badNames, 'A name consists of letters, digits and underscores.')
  if (badValues.length > 0) throw unwritable(badValues, CANNOT)
}

const CANNOT =
  'Docker Compose and dotenv read no spelling of such a value alike: it holds a control character, ends in a backslash, or joins a single quote with \\n, \\r or $(.'

function unwritable(keys: readonly string[], cause: string): UsageError {
  return new UsageError({
    code: 'value-not-writable',
    message: `${keys.join(', ')} cannot be written to an env file.`,
    cause,
    next: 'Choose another value.',
  })
}
