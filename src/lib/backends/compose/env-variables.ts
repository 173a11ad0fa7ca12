const LINE = /^(\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=[^\S\n]*)(.*)$/gm

/** Returns the variables of a plain env file, as compose reads them: the last of a name counts. */
export function variablesIn(text: string): Map<string, string> {
  return new Map([...text.matchAll(LINE)].map(([, , name = '', rest = '']) => [name, spelt(rest).value]))
}

/** Returns the text with another value for a variable that it sets; quotes, comments and all other lines stay. */
export function changedVariable(text: string, name: string, value: string): string {
  const found = [...text.matchAll(LINE)].filter(match => match[2] === name).at(-1)
  if (found === undefined) return text
  const [, head = '', , rest = ''] = found
  const { quote, tail } = spelt(rest)
  const end = found.index + found[0].length
  return text.slice(0, found.index) + head + quote + value + quote + tail + text.slice(end)
}

/** Unquoted, a value ends before ` #`. */
function spelt(rest: string): { value: string; quote: string; tail: string } {
  const quoted = /^(["'])(.*?)\1(.*)$/s.exec(rest)
  if (quoted) return { value: quoted[2] ?? '', quote: quoted[1] ?? '', tail: quoted[3] ?? '' }
  const plain = /^(.*?)(\s+#.*|\s*)$/s.exec(rest)
  return { value: plain?.[1] ?? rest, quote: '', tail: plain?.[2] ?? '' }
}
