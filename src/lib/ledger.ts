/** One change, as it was (or would be) carried out and as an operator would do it by hand. */
export interface LedgerEntry {
  kind: 'command' | 'sql' | 'redis' | 'file'
  /** The exact command or statement, with values in place and secrets left out. */
  exact: string
  /** The plain docker, tootctl, SQL or editor line that does the same. */
  byHand: string
}

/** Collects every change of a run, in order: the source of `--dry-run` and of "By hand this would have been:". */
export class Ledger {
  readonly #entries: LedgerEntry[] = []

  record(entry: LedgerEntry): void {
    this.#entries.push(entry)
  }

  /** Records what is typed by hand as it is carried out. */
  command(line: string): void {
    this.record({ kind: 'command', exact: line, byHand: line })
  }

  get entries(): readonly LedgerEntry[] {
    return this.#entries
  }

  /** Returns the lines to type by hand, each once where the same line follows itself. */
  byHand(): string[] {
    return this.#entries.map(entry => entry.byHand).filter((line, at, all) => line !== all[at - 1])
  }
}
