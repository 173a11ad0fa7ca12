/** Shorter values are too common as ordinary words to be replaced everywhere. */
const SHORTEST_SECRET = 6

/** What a run hands to the operator once, like a new password (see RunReport). */
const REVEALED = 'revealed'

/**
 * Knows the secret values of this process and takes them out of any text.
 *
 * Values are registered as soon as they are read, so that neither logs, errors, plans nor JSON can show them.
 */
export class Redactor {
  readonly #names = new Map<string, string>()

  /**
   * Registers a secret; values under six characters are ignored, since they would blank out ordinary words. A value
   * keeps its first name, which is the one that the operator gave it.
   */
  add(name: string, value: string | undefined): void {
    if (value === undefined) return
    const forms = formsOf(value).filter(form => form.length >= SHORTEST_SECRET && !this.#names.has(form))
    for (const form of forms) this.#names.set(form, name)
  }

  /** Returns the text with every registered value replaced by `[NAME]`. */
  text(text: string): string {
    let clean = text
    for (const [value, name] of this.#longestFirst()) clean = clean.replaceAll(value, `[${name}]`)
    return clean
  }

  /** Returns a copy of plain data (arrays, records, strings) with every string redacted, but for what is `revealed` on purpose. */
  data<T>(data: T): T {
    if (typeof data === 'string') return this.text(data) as T
    if (Array.isArray(data)) return data.map(item => this.data(item)) as T
    if (data === null || typeof data !== 'object' || data instanceof Date) return data
    const clean = ([key, value]: [string, unknown]) => [key, key === REVEALED ? value : this.data(value)]
    return Object.fromEntries(Object.entries(data).map(clean)) as T
  }

  #longestFirst() {
    return [...this.#names].sort(([a], [b]) => b.length - a.length)
  }
}

/** A value may also turn up as JSON, as part of a URL or as a quoted shell word. */
function formsOf(value: string): string[] {
  return [
    ...new Set([value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value), value.replaceAll("'", `'\\''`)]),
  ]
}
