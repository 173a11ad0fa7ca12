import { shellLine } from '../text.js'
import type { Database } from './access.js'
import { quoteIdent, quoteLiteral } from './quote.js'

/** Ids left free above the greatest: what was given out while nobody looked. */
const MARGIN = 1_000n

export interface RaisedSequence {
  sequence: string
  /** The last id that counts as given out; ids may be larger than a JavaScript number holds. */
  value: bigint
}

/**
 * Raises the sequences of a database so that no id comes again that it or another one has given out: above the last
 * value of both, and above the greatest id of each column that takes its ids from the sequence, plus a margin. Returns
 * what was set, by name.
 *
 * An id made by `timestamp_id()` holds its time; its table's sequence gives the low 16 bits only, and no column
 * depends on it, so it goes on from its last value alone. Ids of statuses are such from 2.0.0 on, of accounts from
 * 4.2.0. Source: lib/mastodon/snowflake.rb @v2.0.0, and the defaults of the columns in db/schema.rb.
 *
 * @param from the database whose ids were given out before
 */
export async function raiseSequences(from: Database, to: Database): Promise<RaisedSequence[]> {
  return raiseAbove(await idsGivenOut(from), to)
}

/** Returns the greatest id that each sequence of a database has given out, by name. */
export async function idsGivenOut(database: Database): Promise<ReadonlyMap<string, bigint>> {
  return new Map([...(await headsOf(database))].map(([sequence, { used }]) => [sequence, used]))
}

/** Does as {@link raiseSequences} where the other database is no more, by what was noted of it. */
export async function raiseAbove(old: ReadonlyMap<string, bigint>, to: Database): Promise<RaisedSequence[]> {
  return raise(old, to, [...(await headsOf(to))])
}

/**
 * Raises those sequences alone that would give out again what the other database has given out: tables that migrations
 * have made since begin with 1. Returns what was set; done again it sets nothing.
 */
export async function raiseLow(old: ReadonlyMap<string, bigint>, to: Database): Promise<RaisedSequence[]> {
  const heads = [...(await headsOf(to))]
  return raise(
    old,
    to,
    heads.filter(([sequence, { used }]) => used < (old.get(sequence) ?? 0n)),
  )
}

/** Its ledger entry is the caller's to make: {@link raiseLine} says in one line what are dozens of calls. */
async function raise(
  old: ReadonlyMap<string, bigint>,
  to: Database,
  heads: readonly [string, Head][],
): Promise<RaisedSequence[]> {
  const raised = heads.map(([sequence, head]) => {
    const used = greatest(head.used, old.get(sequence) ?? 0n)
    return { sequence, value: smallest(used + MARGIN, head.maximum) }
  })
  if (raised.length > 0) await to.write(`SELECT ${raised.map(setval).join(',\n  ')}`, [], { recordAs: '' })
  return raised
}

/** Makes the statements that set the sequences of another database above this one's. `pg_sequences` came with 10. */
const SETVALS =
  `SELECT format($$SELECT setval(to_regclass(%1$L), greatest(%2$s, nextval(to_regclass(%1$L))) + ${MARGIN});$$,
quote_ident(sequencename), coalesce(last_value, 0)) FROM pg_sequences WHERE schemaname = current_schema()`.replace(
    '\n',
    ' ',
  )

/** Returns the line that prints, from what was given out in a database, the statements that another one needs. */
export function setvalsLine(database: string): string {
  return shellLine(['psql', '-At', '-d', database, '-c', SETVALS])
}

/** Returns the line that raises the sequences of one database above those of another by hand. */
export function raiseLine(from: string, to: string): string {
  return `${setvalsLine(from)} | ${shellLine(['psql', '-q', '-o', '/dev/null', '-d', to])}`
}

function setval({ sequence, value }: RaisedSequence): string {
  return `setval(${quoteLiteral(quoteIdent(sequence))}, ${value})`
}

interface Head {
  /** The greatest id that was given out; 0 where none was. */
  used: bigint
  maximum: bigint
}

interface SequenceRow {
  name: string
  /** A digit string, as are all ids here. */
  maximum: string
}

/** The standard's view leaves out those of identity columns; the catalog that knows all came with PostgreSQL 10. */
const SEQUENCES = `SELECT c.relname::text AS name, coalesce(i.maximum_value, '9223372036854775807')::text AS maximum
FROM pg_class c LEFT JOIN information_schema.sequences i
  ON i.sequence_schema = current_schema() AND i.sequence_name = c.relname
WHERE c.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace AND coalesce(i.increment::bigint, 1) > 0
ORDER BY 1`

async function headsOf(db: Database): Promise<ReadonlyMap<string, Head>> {
  const sequences = await db.query<SequenceRow>(SEQUENCES)
  if (sequences.length === 0) return new Map()
  const [given, held] = [await lastValues(db, sequences), await greatestIds(db)]
  return new Map(
    sequences.map(({ name, maximum }) => {
      const used = greatest(given.get(name) ?? 0n, held.get(name) ?? 0n)
      return [name, { used, maximum: BigInt(maximum) }]
    }),
  )
}

/** A sequence that was never asked says its first value, which is not given out yet. */
async function lastValues(db: Database, sequences: readonly SequenceRow[]): Promise<ReadonlyMap<string, bigint>> {
  const each = sequences.map(
    ({ name }) =>
      `SELECT ${quoteLiteral(name)} AS name, (CASE WHEN is_called THEN last_value ELSE 0 END)::text AS id FROM ${quoteIdent(name)}`,
  )
  return idsOf(await db.query<IdRow>(each.join('\nUNION ALL ')))
}

interface IdRow {
  name: string
  id: string | null
}

interface ColumnRow {
  sequence: string
  table: string
  column: string
}

/** The columns whose default asks the sequence, and identity columns; whom it belongs to says nothing. */
const COLUMNS = `SELECT s.relname::text AS sequence, c.relname::text AS "table", a.attname::text AS "column"
FROM pg_class s JOIN pg_depend d ON d.refobjid = s.oid AND d.refclassid = 'pg_class'::regclass
  AND d.classid = 'pg_attrdef'::regclass
JOIN pg_attrdef f ON f.oid = d.objid JOIN pg_class c ON c.oid = f.adrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.adnum
WHERE s.relkind = 'S' AND c.relkind = 'r' AND s.relnamespace = current_schema()::regnamespace
  AND c.relnamespace = s.relnamespace
UNION SELECT s.relname, c.relname, a.attname
FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
  AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND c.relkind = 'r' AND s.relnamespace = current_schema()::regnamespace
  AND c.relnamespace = s.relnamespace`

async function greatestIds(db: Database): Promise<ReadonlyMap<string, bigint>> {
  const columns = await db.query<ColumnRow>(COLUMNS)
  const each = columns.map(
    ({ sequence, table, column }) =>
      `SELECT ${quoteLiteral(sequence)} AS name, max(${quoteIdent(column)})::text AS id FROM ${quoteIdent(table)}`,
  )
  return each.length === 0 ? new Map() : idsOf(await db.query<IdRow>(each.join('\nUNION ALL ')))
}

function idsOf(rows: readonly IdRow[]): ReadonlyMap<string, bigint> {
  const ids = new Map<string, bigint>()
  for (const { name, id } of rows) ids.set(name, greatest(ids.get(name) ?? 0n, BigInt(id ?? 0)))
  return ids
}

function greatest(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function smallest(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
