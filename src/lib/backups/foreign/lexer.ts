import { printableLine } from '../../text.js'
import { DumpProblem } from './dump-problem.js'

/** One piece of a dump outside of COPY's data. */
export type Piece =
  | { type: 'statement'; text: string; rows: number }
  /** A comment that fills its line. */
  | { type: 'comment'; text: string }
  /** A command for psql, without its line feed. */
  | { type: 'command'; text: string }

const LONGEST_STATEMENT = 16 * 1024 * 1024
/** In the order of the groups of {@link TOKEN}. */
const KINDS = ['space', 'comment', 'word', 'number', 'name', 'quote', 'dollar', 'colons', 'end', 'sign'] as const
type Kind = (typeof KINDS)[number]
const TOKEN =
  /([ \t\n]+)|(--[^\n]*)|([A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|("(?:[ !#-~]|"")+")|(')|(\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)|(::|:=)|(;)|([(),.[\]+\-*/<>=~!@#%^&|?])/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: they may stand in a literal
const BARE = /[\u0000-\u0008\u000a-\u001f\u007f-\u00ff]/g

interface Literal {
  kind: 'plain' | 'escape' | 'dollar'
  /** What closes it. */
  mark: string
}

/**
 * What psql's lexers of several versions, or with other settings, might read as something else than this one. A dump
 * may change the settings by SQL on its way, so that all that depends on them is refused or written anew.
 */
const UNSAFE_AFTER: Readonly<Record<string, RegExp>> = {
  word: /['$\u0080-\u00ff]/y,
  number: /['"$A-Za-z_\u0080-\u00ff]/y,
}
const UNSAFE_SIGNS = /\/\*|&['"]/y

/**
 * Cuts a dump into statements, comments and commands, a line at a time.
 *
 * Comments inside of statements are left out, and every literal leaves as an escape string in ASCII (`E'…'`), also what
 * stood between dollars: its meaning hangs on no setting, so that nothing in it can be a command for psql.
 */
export class Lexer {
  #parts: string[] = []
  #length = 0
  #depth = 0
  #rows = 0
  #inValues = false
  #literal: Literal | undefined

  /** Whether a statement or a literal is still open. */
  get open(): boolean {
    return this.#parts.length > 0
  }

  /** Takes a line with its line feed, a letter for each byte. @throws DumpProblem */
  line(line: string): Piece[] {
    if (!this.open && line.startsWith('\\')) return [{ type: 'command', text: line.trimEnd() }]
    if (!this.open && line.startsWith('--')) return [{ type: 'comment', text: line.trimEnd() }]
    const pieces: Piece[] = []
    let at = 0
    while (at < line.length) at = this.#literal ? this.#inside(this.#literal, line, at) : this.#token(line, at, pieces)
    return pieces
  }

  #token(line: string, at: number, pieces: Piece[]): number {
    const { kind, text } = tokenAt(line, at)
    const next = at + text.length
    if (kind === 'quote') return this.#begin({ kind: 'plain', mark: "'" }, next)
    if (kind === 'dollar') return this.#beginDollars(line, at, text)
    if (line[next] === "'" && /^e$/i.test(text)) return this.#begin({ kind: 'escape', mark: "'" }, next + 1)
    refuseUnsafe(kind, line, at, next)
    if (kind === 'end' && this.#depth === 0) pieces.push(this.#finish(line.slice(next)))
    else if (kind !== 'comment') this.#keep(kind, text)
    return next
  }

  #keep(kind: Kind, text: string): void {
    if (kind === 'space' && !this.open) return
    if (text === '(') this.#parenthesis()
    if (text === ')') this.#depth = Math.max(0, this.#depth - 1)
    if (kind === 'word') this.#word(text.toLowerCase())
    this.#add(text)
  }

  #parenthesis(): void {
    if (this.#inValues && this.#depth === 0) this.#rows += 1
    this.#depth += 1
  }

  /** psql does not end a statement inside of the body that `begin` opens; no function of Mastodon has one. */
  #word(word: string): void {
    if (word === 'values' && this.#depth === 0) this.#inValues = true
    if (word !== 'begin' || !/^create\s+(or\s+replace\s+)?(function|procedure)\s/i.test(this.#parts.join(''))) return
    throw new DumpProblem('strange', 'a function whose body is no text.')
  }

  #add(text: string): void {
    this.#length += text.length
    if (this.#length > LONGEST_STATEMENT) throw new DumpProblem('strange', 'a statement is longer than 16 MiB.')
    this.#parts.push(text)
  }

  #finish(rest: string): Piece {
    const text = `${this.#parts.join('').trimEnd()};`
    const rows = this.#inValues ? this.#rows : 0
    if (/^copy\b/i.test(text) && rest !== '\n') throw new DumpProblem('strange', 'something follows COPY on its line.')
    this.#parts = []
    this.#length = 0
    this.#rows = 0
    this.#inValues = false
    return { type: 'statement', text, rows }
  }

  #begin(literal: Literal, next: number): number {
    this.#literal = literal
    this.#add("E'")
    return next
  }

  #beginDollars(line: string, at: number, mark: string): number {
    if (!/[\s(,=]/.test(line[at - 1] ?? ' ')) throw unreadable(line, at)
    return this.#begin({ kind: 'dollar', mark }, at + mark.length)
  }

  #inside({ kind, mark }: Literal, line: string, at: number): number {
    const end = CONTENT_END[kind](line, at, mark)
    this.#add(ESCAPED[kind](line.slice(at, end)))
    if (end === undefined) return line.length
    this.#literal = undefined
    this.#add("'")
    return end + mark.length
  }
}

/** Where the literal ends; undefined where it goes on in the next line. */
const CONTENT_END: Readonly<Record<Literal['kind'], (line: string, at: number, mark: string) => number | undefined>> = {
  plain: (line, at) => endBy(/(?:[^']|'')*/y, line, at),
  escape: (line, at) => endBy(/(?:[^'\\]|''|\\(?:.|\n))*/y, line, at),
  dollar: (line, at, mark) => (line.includes(mark, at) ? line.indexOf(mark, at) : undefined),
}

function endBy(content: RegExp, line: string, at: number): number | undefined {
  content.lastIndex = at
  content.exec(line)
  return content.lastIndex < line.length ? content.lastIndex : undefined
}

/** Returns a literal's content as that of an escape string in ASCII. */
const ESCAPED: Readonly<Record<Literal['kind'], (content: string) => string>> = {
  plain: content => content.replaceAll('\\', '\\\\').replace(BARE, code),
  escape: escapedAgain,
  dollar: content => content.replaceAll('\\', '\\\\').replaceAll("'", "''").replace(BARE, code),
}

/** A backslash before a letter that is no ASCII would take the backslash of its code for its own. */
function escapedAgain(content: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they may stand in a literal
  const odd = /\\[\u0000-\u001f\u007f-\u00ff]/.test(content.replaceAll('\\\\', ''))
  if (odd) throw new DumpProblem('damaged', 'an escape in a literal is none.')
  return content.replace(BARE, code)
}

function code(letter: string): string {
  if (letter === '\n') return '\\n'
  return `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`
}

function tokenAt(line: string, at: number): { kind: Kind; text: string } {
  TOKEN.lastIndex = at
  const found = TOKEN.exec(line)
  if (!found) throw unreadable(line, at)
  let group = 1
  while (found[group] === undefined) group += 1
  return { kind: KINDS[group - 1] ?? 'sign', text: found[0] }
}

function refuseUnsafe(kind: Kind, line: string, at: number, next: number): void {
  const after = UNSAFE_AFTER[kind]
  if (after) {
    after.lastIndex = next
    if (after.test(line)) throw unreadable(line, next)
  }
  UNSAFE_SIGNS.lastIndex = at
  if (kind === 'sign' && UNSAFE_SIGNS.test(line)) throw unreadable(line, at)
}

function unreadable(line: string, at: number): DumpProblem {
  if (line[at] === '\\') return new DumpProblem('command', `the command ${commandName(line.slice(at))} inside of SQL.`)
  const letter = printableLine(line[at] ?? '')
  return new DumpProblem('damaged', `"${letter}" stands where pg_dump writes none.`)
}

/** Returns the name of a psql command, without its arguments: they may hold anything. */
export function commandName(text: string): string {
  return printableLine(/^\\(?:[a-z_?]+|.)?/is.exec(text)?.[0] ?? '').slice(0, 20)
}
