import type { TableCount } from '../manifest.js'
import type { LeftOut, RowsOf } from './statements.js'

/** One database of a dump, as far as it was read. */
export interface DatabasePart {
  /** Its name; undefined where the dump does not tell (pg_dump without --create). */
  database: string | undefined
  /** Every table that it makes, and its rows. */
  tables: TableCount[]
  /** Tables, as `schema.table`, whose rows were left out when the dump was made (--exclude-table-data). */
  withoutRows: string[]
  /** The versions in schema_migrations. */
  versions: string[]
  /** Statements that are not restored, by the reason. */
  leftOut: Partial<Record<LeftOut, number>>
  /** What it holds that is not restored, and for which it is refused; null where there is no such thing. */
  strange: string | null
}

/** Collects what a scan meets of one database. */
export class PartOfDump {
  complete = false
  strange: string | undefined
  readonly versions: string[] = []
  readonly #counts = new Map<string, TableCount>()
  readonly #leftOut = new Map<LeftOut, number>()
  readonly #filled = new Set<string>()
  #byCopy = false

  constructor(readonly database: string | undefined) {}

  /** Whether it makes any table: what stands before `\connect` makes none. */
  get hasTables(): boolean {
    return this.#counts.size > 0
  }

  made(table: { schema: string; table: string }): void {
    this.#counts.set(keyOf(table), { schema: table.schema, table: table.table, rows: 0 })
  }

  has(table: { schema: string; table: string }): boolean {
    return this.#counts.has(keyOf(table))
  }

  filled(table: Omit<RowsOf, 'columns'>, rows: number, by: 'COPY' | 'INSERT'): void {
    const count = this.#counts.get(keyOf(table))
    if (count) count.rows += rows
    this.#filled.add(keyOf(table))
    this.#byCopy ||= by === 'COPY'
  }

  leaveOut(reason: LeftOut): void {
    this.#leftOut.set(reason, (this.#leftOut.get(reason) ?? 0) + 1)
  }

  /** Returns what was found. pg_dump writes a COPY for an empty table, too, but no INSERT. */
  found(): DatabasePart {
    const tables = [...this.#counts.values()]
    const withoutRows = [...this.#counts.keys()].filter(key => this.#byCopy && !this.#filled.has(key))
    const { database, versions, strange = null } = this
    return {
      database,
      tables,
      withoutRows,
      versions: [...versions],
      leftOut: Object.fromEntries(this.#leftOut),
      strange,
    }
  }
}

function keyOf({ schema, table }: { schema: string; table: string }): string {
  return `${schema}.${table}`
}
