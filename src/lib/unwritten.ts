/** A text of the operator's that may hold a secret: it is used, and stands in no journal, plan or message. */
export class Unwritten {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get text(): string {
    return this.#text
  }

  /** What a journal has of it. */
  toJSON(): string {
    return 'not written down'
  }
}
