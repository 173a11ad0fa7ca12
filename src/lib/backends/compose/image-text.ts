import { interpolated, meaningOf, type Piece, piecesOf, takesDefault, type Variables } from './interpolation.js'

/** How a text of a compose file comes to mean another image. */
export interface ImageChange {
  /** What is to stand in the compose file; the same as before where a variable alone changes. */
  text: string
  /** Variables that are to have another value, where they are set. */
  variables: ReadonlyMap<string, string>
}

/**
 * Returns the smallest change by which the text means the wanted image: a variable where one holds what differs, the
 * default behind it where that is in force, else the words themselves.
 *
 * @param fixed variables whose value cannot be changed any more
 * @returns undefined where compose could not read the text
 */
export function changedImage(
  text: string,
  wanted: string,
  variables: Variables,
  fixed: Variables = new Map(),
): ImageChange | undefined {
  const pieces = piecesOf(text)
  if (pieces === undefined || interpolated(text, variables) === undefined) return undefined
  const context = { variables: overlaid(variables, fixed), fixed }
  const [name, tag] = splitAtTag(pieces)
  if (tag === undefined) return partChanged(name, wanted, context)
  const [wantedName, wantedTag] = splitReference(wanted)
  const first = partChanged(name, wantedName, context)
  const known = overlaid(fixed, first.variables)
  const second = partChanged(tag, wantedTag, { variables: overlaid(variables, known), fixed: known })
  return { text: first.text + second.text, variables: overlaid(first.variables, second.variables) }
}

function overlaid(below: Variables, above: Variables): Variables {
  return new Map([...below, ...above])
}

interface Context {
  /** As they are, and over them what is to change. */
  variables: Variables
  fixed: Variables
}

/** `name` and `:tag@digest`, the latter beginning with a colon or an at sign. */
function splitReference(reference: string): [string, string] {
  const found = /^(.*?)((?::[^:/@]+)?(?:@.+)?)$/s.exec(reference)
  return [found?.[1] ?? reference, found?.[2] ?? '']
}

/** Splits where the name ends, if that stands in plain text: else a variable holds it, and the whole is one part. */
function splitAtTag(pieces: readonly Piece[]): [Piece[], Piece[] | undefined] {
  for (const [at, piece] of pieces.entries()) {
    if (piece.kind !== 'text') continue
    const later = pieces.slice(at + 1)
    const colon = tagStart(piece.value, later)
    if (colon === -1) continue
    const [before, after] = [piece.raw.slice(0, colon), piece.raw.slice(colon)]
    return [
      [...pieces.slice(0, at), ...plain(before)],
      [...plain(after), ...later],
    ]
  }
  return [[...pieces], undefined]
}

/** A colon before a slash belongs to a port. */
function tagStart(text: string, later: readonly Piece[]): number {
  if (later.some(piece => piece.kind === 'text' && piece.value.includes('/'))) return -1
  const from = text.lastIndexOf('/') + 1
  const found = text.slice(from).search(/[:@]/)
  return found === -1 ? -1 : from + found
}

function plain(text: string): Piece[] {
  return text === '' ? [] : [{ kind: 'text', raw: text, value: text }]
}

/** A part that holds one variable keeps it where the words around it fit; else its words are replaced. */
function partChanged(pieces: readonly Piece[], wanted: string, { variables, fixed }: Context): ImageChange {
  const raw = pieces.map(piece => piece.raw).join('')
  const now = pieces.map(piece => meaningOf(piece, variables) ?? '').join('')
  if (now === wanted) return { text: raw, variables: NONE }
  const held = heldBy(pieces, wanted)
  if (held === undefined) return { text: keptHead(pieces, wanted, variables), variables: NONE }
  const { before, piece, after, value } = held
  if (takesDefault(piece, variables)) {
    return { text: `${before}\${${piece.name}${piece.operator}${value}}${after}`, variables: NONE }
  }
  const changeable = variables.has(piece.name) && !fixed.has(piece.name) && !piece.operator.endsWith('+')
  if (!changeable) return { text: wanted, variables: NONE }
  return { text: before + piece.raw + after, variables: new Map([[piece.name, value]]) }
}

/** The one variable stays where what it means, with the words before it, is how the wanted text begins. */
function keptHead(pieces: readonly Piece[], wanted: string, variables: Variables): string {
  const at = pieces.findIndex(piece => piece.kind === 'variable')
  const head = pieces.slice(0, at + 1)
  const value = head.map(piece => meaningOf(piece, variables) ?? '').join('')
  const isOne = pieces.filter(piece => piece.kind === 'variable').length === 1
  // Without braces, the name of the variable would go on into the words behind it.
  const isClosed = head.at(-1)?.raw.endsWith('}') === true
  if (!isOne || !isClosed || value === '' || !wanted.startsWith(value)) return wanted
  return head.map(piece => piece.raw).join('') + wanted.slice(value.length)
}

const NONE: Variables = new Map()

interface Held {
  before: string
  piece: Extract<Piece, { kind: 'variable' }>
  after: string
  /** The value with which the part is what is wanted. */
  value: string
}

/** A digest behind the variable goes: it is of the former image. */
function heldBy(pieces: readonly Piece[], wanted: string): Held | undefined {
  const variables = pieces.filter(piece => piece.kind === 'variable')
  const [piece] = variables
  if (piece === undefined || variables.length > 1) return undefined
  const at = pieces.indexOf(piece)
  const before = textOf(pieces.slice(0, at))
  const after = textOf(pieces.slice(at + 1)).replace(/@.*$/s, '')
  const fits = wanted.startsWith(before) && wanted.endsWith(after) && wanted.length > before.length + after.length
  return fits ? { before, piece, after, value: wanted.slice(before.length, wanted.length - after.length) } : undefined
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map(piece => (piece.kind === 'text' ? piece.value : piece.raw)).join('')
}
