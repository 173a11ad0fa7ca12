/** A piece of a text in a compose file: plain, or a variable as compose interpolates it (compose-spec, interpolation). */
export type Piece =
  | { kind: 'text'; raw: string; value: string }
  | { kind: 'variable'; raw: string; name: string; operator: Operator; word: string }

type Operator = '' | ':-' | '-' | ':?' | '?' | ':+' | '+'

export type Variables = ReadonlyMap<string, string>

const OPERATORS: readonly Operator[] = [':-', ':?', ':+', '-', '?', '+']

/** Returns the pieces of the text; undefined where compose would call it wrong. */
export function piecesOf(text: string): Piece[] | undefined {
  const pieces: Piece[] = []
  for (let at = 0; at < text.length; ) {
    const piece = text[at] === '$' ? variableAt(text, at) : plainAt(text, at)
    if (piece === undefined) return undefined
    pieces.push(piece)
    at += piece.raw.length
  }
  return pieces
}

function plainAt(text: string, at: number): Piece {
  const end = text.indexOf('$', at)
  const raw = text.slice(at, end === -1 ? undefined : end)
  return { kind: 'text', raw, value: raw }
}

function variableAt(text: string, at: number): Piece | undefined {
  if (text[at + 1] === '$') return { kind: 'text', raw: '$$', value: '$' }
  const bare = /^\$([A-Za-z_]\w*)/.exec(text.slice(at))
  if (bare) return { kind: 'variable', raw: bare[0], name: bare[1] ?? '', operator: '', word: '' }
  const end = closingBrace(text, at)
  if (end === undefined) return undefined
  const raw = text.slice(at, end + 1)
  const name = /^\$\{([A-Za-z_]\w*)/.exec(raw)?.[1]
  if (name === undefined) return undefined
  const rest = raw.slice(2 + name.length, -1)
  const operator = rest === '' ? '' : OPERATORS.find(one => rest.startsWith(one))
  return operator === undefined
    ? undefined
    : { kind: 'variable', raw, name, operator, word: rest.slice(operator.length) }
}

/** A default may hold variables of its own: `${A:-${B}}`. */
function closingBrace(text: string, at: number): number | undefined {
  if (text[at + 1] !== '{') return undefined
  let depth = 0
  for (let next = at + 1; next < text.length; next += 1) {
    if (text[next] === '{') depth += 1
    if (text[next] === '}') depth -= 1
    if (depth === 0) return next
  }
  return undefined
}

/** Returns what compose makes of the text; undefined where it would complain. */
export function interpolated(text: string, variables: Variables): string | undefined {
  const values = piecesOf(text)?.map(piece => meaningOf(piece, variables))
  return values === undefined || values.includes(undefined) ? undefined : values.join('')
}

export function meaningOf(piece: Piece, variables: Variables): string | undefined {
  if (piece.kind === 'text') return piece.value
  const value = variables.get(piece.name)
  const isThere = piece.operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
  switch (piece.operator) {
    case ':-':
    case '-':
      return isThere ? value : interpolated(piece.word, variables)
    case ':+':
    case '+':
      return isThere ? interpolated(piece.word, variables) : ''
    case ':?':
    case '?':
      return isThere ? value : undefined
    default:
      return value ?? ''
  }
}

/** Whether the piece takes what stands behind its `:-` or `-`. */
export function takesDefault(piece: Piece, variables: Variables): boolean {
  if (piece.kind === 'text' || !piece.operator.endsWith('-')) return false
  const value = variables.get(piece.name)
  return value === undefined || (piece.operator === ':-' && value === '')
}
