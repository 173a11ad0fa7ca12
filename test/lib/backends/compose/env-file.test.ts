import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changedEnvFile, spellingOf } from '../../../../src/lib/backends/compose/env-file.js'

describe('changing an env file', () => {
  const text = [
    '# The instance',
    'LOCAL_DOMAIN=example.org   # never change',
    '',
    'export A=1',
    'A=2',
    'PEM="line one',
    'B=not an assignment',
    'line three"',
    "Q='x'",
    '',
  ].join('\n')

  test('keeps comments, order, blank lines and values that span lines', () => {
    expect(changedEnvFile(text, { B: 'new' })).toBe(`${text}B=new\n`)
    expect(changedEnvFile(text, {})).toBe(text)
  })

  test('replaces the line that counts, which is the last', () => {
    expect(changedEnvFile(text, { A: '3' })).toBe(text.replace('A=2', 'A=3'))
    expect(changedEnvFile('export A=1\n', { A: '3' })).toBe('export A=3\n')
  })

  test('replaces and removes a value that spans lines as a whole', () => {
    expect(changedEnvFile(text, { PEM: 'short' })).toContain('A=2\nPEM=short\nQ=')
    expect(changedEnvFile(text, { PEM: null, A: null })).toBe(
      "# The instance\nLOCAL_DOMAIN=example.org   # never change\n\nQ='x'\n",
    )
  })

  test('appends behind a last line without its end, and keeps the file’s kind of line ends', () => {
    expect(changedEnvFile('A=1', { B: '2' })).toBe('A=1\nB=2\n')
    expect(changedEnvFile('A=1\r\n', { B: '2' })).toBe('A=1\r\nB=2\r\n')
    expect(changedEnvFile('', { B: '2' })).toBe('B=2\n')
  })

  test('refuses by name what has no spelling', () => {
    for (const value of ['a\nb', 'a\u0000', 'ends\\', `it's \\n`, `it's $(x`]) {
      expect(() => changedEnvFile('', { GOOD: '1', BAD: value })).toThrow(
        expect.objectContaining({ exitCode: 2, message: 'BAD cannot be written to an env file.' }),
      )
    }
    expect(() => changedEnvFile('', { 'A B': '1' })).toThrow(expect.objectContaining({ exitCode: 2 }))
  })
})

describe('the spelling of a value', () => {
  test.each([
    ['plain', 'plain'],
    ['two words', 'two words'],
    ["it's", "it's"],
    ['a=b', 'a=b'],
    ['', ''],
    ['a#b', "'a#b'"],
    ['$x', "'$x'"],
    [' x', "' x'"],
    ['a\\b', "'a\\b'"],
    [`"q"`, `'"q"'`],
    [`it's $5`, `"it's \\$5"`],
    [`'"\\`, undefined],
  ])('%j is %j', (value, spelling) => {
    expect(spellingOf(value)).toBe(spelling)
  })

  const letters = fc.constantFrom(...`$#'"\\= ab{}():;&|nr\`~!-0x`, 'é', '$(', '\\n', '${', '}')
  const values = fc.array(letters, { maxLength: 14 }).map(parts => parts.join(''))

  test('is read back by dotenv, whatever surrounds it', () => {
    const writable = values.filter(value => spellingOf(value) !== undefined)
    fc.assert(
      fc.property(fc.array(writable, { minLength: 3, maxLength: 3 }), list => {
        const changes = Object.fromEntries(list.map((value, at) => [`V${at}`, value]))
        expect(dotenvReads(changedEnvFile("# c\nOLD='x'\n", changes))).toEqual({ OLD: 'x', ...changes })
      }),
      { numRuns: process.env.MSTDN_TEST_FULL === '1' ? 20_000 : 1000 },
    )
  })

  test('unquoted wherever that is possible, for readers that take quotes as part of the value', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_.:/@%+=-][ A-Za-z0-9_.:/@%+='"-]*[A-Za-z0-9]$/), value => {
        expect(spellingOf(value)).toBe(value)
      }),
    )
  })
})

/**
 * How the dotenv gem 2.x reads a file: lines by one pattern over the whole text; `\n` in double quotes before the
 * other escapes; escapes and variables everywhere but in single quotes. Variables are all unset here.
 */
function dotenvReads(text: string): Record<string, string> {
  const line =
    /^\s*(?:export\s+)?([\w.]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|[^#\r\n]+)?\s*(?:#.*)?$/gm
  return Object.fromEntries([...text.matchAll(line)].map(([, key = '', raw = '']) => [key, dotenvValue(raw)]))
}

function dotenvValue(raw: string): string {
  const stripped = raw.trim()
  const quoted = /^(['"])(.*)\1$/s.exec(stripped)
  const inner = quoted?.[2] ?? stripped
  if (quoted?.[1] === "'") return inner
  const broken = quoted?.[1] === '"' ? inner.replaceAll('\\n', '\n').replaceAll('\\r', '\r') : inner
  const plain = broken.replace(/\\([^$])/gs, '$1')
  const substituted = plain.replace(/(\\)?(\$)(?!\()\{?([A-Z0-9_]+)?\}?/gi, (all, escaped, _dollar, name) =>
    escaped ? all.slice(1) : name ? '' : all,
  )
  return substituted.replace(/(\\)?\$\(((?:[^()]|\([^()]*\))+)\)/g, (all, escaped) => (escaped ? all.slice(1) : ''))
}
