import { UsageError } from '../errors.js'

/** Returns the name quoted as an SQL identifier. */
export function quoteIdent(name: string): string {
  return `"${storable(name).replaceAll('"', '""')}"`
}

/** Returns the text quoted as an SQL literal, right whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${storable(text).replaceAll("'", "''")}'`
  return quoted.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

function storable(text: string): string {
  if (!text.includes('\0')) return text
  throw new UsageError({ code: 'nul-in-text', message: 'PostgreSQL stores no NUL character', next: 'leave it out' })
}

/**
 * Returns the parameter in PostgreSQL's text form; the same is sent and written into ledgers.
 *
 * Dates are in UTC: Rails keeps UTC in columns without a time zone.
 */
export function encodeParam(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`
  if (Array.isArray(value)) return `{${value.map(encodeElement).join(',')}}`
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

function encodeElement(value: unknown): string {
  if (Array.isArray(value)) return encodeParam(value) ?? 'NULL'
  const text = encodeParam(value)
  if (text === null) return 'NULL'
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** What `$1` inside it does not mean a parameter: strings, quoted names, comments, dollar quotes. Then the parameter. */
const TOKEN =
  /\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\$(\d+)/g

export interface LiteralOptions {
  /** Positions, from 1, of parameters that are left out of the text. */
  secretParams?: readonly number[]
}

/** Returns the statement with its parameters written in, as it could be typed into psql. */
export function withLiterals(sql: string, params: readonly unknown[] = [], options: LiteralOptions = {}): string {
  return sql.replace(TOKEN, (token, _tag, position: string | undefined) => {
    if (position === undefined) return token
    if (options.secretParams?.includes(Number(position))) return "'[secret]'"
    return literal(params[Number(position) - 1])
  })
}

function literal(value: unknown): string {
  const text = encodeParam(value)
  if (text === null) return 'NULL'
  if (typeof value === 'boolean') return text
  // In brackets, for `-$1` would begin a comment and `-1::int` would cast before it negates.
  if (typeof value === 'number' || typeof value === 'bigint') return text.startsWith('-') ? `(${text})` : text
  return quoteLiteral(text)
}
