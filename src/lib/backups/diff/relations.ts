import {
  type Columns,
  countKnown,
  countRelation,
  RELATIONS,
  type Relation,
  type RelationId,
} from '../../mastodon/step-back.js'
import type { Database } from '../../postgres/access.js'
import type { PickedRow } from '../../postgres/extract.js'

/** Rows that are in one of the two alone. */
export interface RelationDiff {
  /** Since the backup. */
  made: number
  removed: number
}

/** Compares rows that are there or not. Nothing is held: the live database looks up what the dump has. */
export class Relations {
  readonly #db: Database
  readonly #columns: Columns
  readonly #then = new Map<string, number>()
  readonly #still = new Map<string, number>()

  constructor(db: Database, columns: Columns) {
    this.#db = db
    this.#columns = columns
  }

  async take(id: string, rows: readonly PickedRow[]): Promise<void> {
    const relation = RELATIONS.find(known => known.id === id)
    if (relation === undefined) throw new Error(`nothing is compared by the name ${id}`)
    const keys = rows.map(row => keyOf(relation, row)).filter(key => key !== undefined)
    add(this.#then, id, keys.length)
    if (this.#has(relation)) add(this.#still, id, await this.#count(countKnown(relation, keys)))
  }

  async finish(): Promise<Record<RelationId, RelationDiff>> {
    const found: [RelationId, RelationDiff][] = []
    for (const relation of RELATIONS) {
      const now = this.#has(relation) ? await this.#count(countRelation(relation)) : 0
      const [then, still] = [this.#then.get(relation.id) ?? 0, this.#still.get(relation.id) ?? 0]
      // A damaged index lets a row stand twice.
      found.push([relation.id, { made: Math.max(0, now - still), removed: then - still }])
    }
    return Object.fromEntries(found) as Record<RelationId, RelationDiff>
  }

  #has({ table, keys }: Relation): boolean {
    return keys.every(({ column }) => this.#columns.get(table)?.has(column))
  }

  async #count({ sql, params }: { sql: string; params: readonly unknown[] }): Promise<number> {
    const [row] = await this.#db.query<{ n: number }>(sql, params)
    return row?.n ?? 0
  }
}

/** The values in the order of the keys; undefined where one is NULL. */
function keyOf({ keys }: Relation, row: PickedRow): string[] | undefined {
  const values = keys.map(({ column }) => row[column])
  return values.every(value => typeof value === 'string') ? values : undefined
}

function add(counts: Map<string, number>, id: string, count: number): void {
  counts.set(id, (counts.get(id) ?? 0) + count)
}
