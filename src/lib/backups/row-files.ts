import { createReadStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { RefusedError } from '../errors.js'
import type { Database } from '../postgres/access.js'
import type { TableCopy } from '../postgres/copy-rows.js'
import { quoteIdent } from '../postgres/quote.js'
import { BATCH, MOST_ROWS, type RowSource, sourceOf } from '../postgres/row-source.js'
import { type Shape, shapeOf } from '../postgres/shape.js'
import { readSum, type Written, writeStream } from './sink.js'

/**
 * Rows of a database in a folder: for each table that is copied a file with a line of JSON for each row, and beside them
 * a file that says what they are. Readable by their owner alone, for there are keys and password hashes in them.
 */

const INDEX = 'rows.json'

/** A file beside the rows, or of them. */
interface Sum extends Written {
  name: string
}

interface RowFile<Copy extends TableCopy> extends Sum {
  copy: Copy
  rows: number
}

export interface RowFiles<Copy extends TableCopy = TableCopy> {
  /** Of the database that they come from. */
  database: string
  /** The columns of all its tables. */
  columns: Readonly<Record<string, readonly string[]>>
  shape: Shape
  files: ReadonlyArray<RowFile<Copy>>
  /** What else lies there. */
  others: readonly Sum[]
}

interface Wanted<Copy extends TableCopy> {
  /** The names of all tables. */
  tables: readonly string[]
  copies: readonly Copy[]
  /** Writes the file of this name beside the rows. */
  beside: { name: string; write: (path: string) => Promise<void> }
  onProgress?: (table: string, rows: number) => void
}

/**
 * Writes rows of one state of the database into a new folder, in place of what a killed run has left there, and reads
 * them back. Returns the checksum of the file that holds all the others'.
 *
 * @throws RefusedError when the server counts other rows, or the disk gives back something else.
 */
export async function writeRows<Copy extends TableCopy>(
  from: Database,
  dir: string,
  wanted: Wanted<Copy>,
): Promise<string> {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const source = sourceOf(from)
  const columns = await source.columns(wanted.tables)
  const { name, write } = wanted.beside
  await write(join(dir, name))
  const others = [{ name, ...(await readSum(join(dir, name))) }]
  const index = await source.reading(async () => {
    const files: Array<RowFile<Copy>> = []
    for (const copy of wanted.copies.filter(({ table }) => columns.has(table)))
      files.push(await writeTable(from, source, { dir, copy, name: `${files.length + 1}.rows`, ...wanted }, columns))
    const shape = await shapeOf(from)
    return { database: from.name, columns: Object.fromEntries(columns), shape, files, others }
  })
  const { sha256 } = await writeStream(Readable.from([JSON.stringify(index)]), join(dir, INDEX))
  await openRows(dir, sha256)
  return sha256
}

type Placed<Copy extends TableCopy> = Pick<Wanted<Copy>, 'onProgress'> & { dir: string; name: string; copy: Copy }

async function writeTable<Copy extends TableCopy>(
  from: Database,
  source: RowSource,
  { dir, name, copy, onProgress }: Placed<Copy>,
  columns: ReadonlyMap<string, readonly string[]>,
): Promise<RowFile<Copy>> {
  let rows = 0
  async function* lines() {
    for await (const batch of source.rows(copy, columns.get(copy.table) ?? [])) {
      rows += batch.length
      onProgress?.(copy.table, rows)
      yield `${batch.join('\n')}\n`
    }
  }
  const written = await writeStream(Readable.from(lines()), join(dir, name))
  const [counted] = await from.query<{ rows: number }>(
    `SELECT count(*) AS rows FROM ${quoteIdent(copy.table)} WHERE ${copy.where ?? 'true'}`,
  )
  if (counted?.rows !== rows) throw bad(`The server counted ${counted?.rows} rows of ${copy.table}, and ${rows} came.`)
  return { name, ...written, copy, rows }
}

/**
 * Returns what is in the folder.
 *
 * @throws RefusedError when a file is missing, or is not what was written.
 */
export async function openRows<Copy extends TableCopy = TableCopy>(
  dir: string,
  sha256: string,
): Promise<RowFiles<Copy>> {
  await mustBe(dir, { name: INDEX, sha256 })
  const index = JSON.parse(await readFile(join(dir, INDEX), 'utf8')) as RowFiles<Copy>
  for (const file of [...index.files, ...index.others]) await mustBe(dir, file)
  return index
}

async function mustBe(dir: string, { name, sha256 }: Pick<Sum, 'name' | 'sha256'>): Promise<void> {
  const found = await readSum(join(dir, name)).catch(error => {
    throw bad((error as Error).message)
  })
  if (found.sha256 !== sha256) throw bad(`${join(dir, name)} is not what was written.`)
}

function bad(cause: string): RefusedError {
  return new RefusedError({
    code: 'kept-rows-bad',
    message: 'The files of what is kept do not hold what they must hold.',
    cause,
    next: 'Look at the disk of this machine, then run the command again.',
  })
}

/** Returns the files as a source of rows for the copies that they were written for. */
export function rowsIn(dir: string, { database, columns, files }: RowFiles): RowSource {
  const pathOf = ({ table, where }: TableCopy) => {
    const file = files.find(({ copy }) => copy.table === table && copy.where === where)
    if (file === undefined) throw new Error(`no rows of ${table} were written`)
    return join(dir, file.name)
  }
  return {
    name: beforeEmptied(database),
    columns: async tables => new Map(tables.flatMap(table => (columns[table] ? [[table, columns[table]]] : []))),
    reading: work => work(),
    rows: copy => batched(linesOf(pathOf(copy))),
    pairs: (copy, key, column) => batched(pairsOf(linesOf(pathOf(copy)), key, column)),
  }
}

/** Line feeds inside of values are escaped; what else some take for the end of a line is not. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

async function* pairsOf(lines: AsyncGenerator<string>, key: string, column: string): AsyncGenerator<string> {
  for await (const line of lines) {
    const row = JSON.parse(line) as Record<string, string | null>
    if (row[column] !== null) yield JSON.stringify({ key: row[key], [column]: row[column] })
  }
}

async function* batched(lines: AsyncGenerator<string>): AsyncGenerator<string[]> {
  let batch: string[] = []
  let length = 0
  for await (const line of lines) {
    batch.push(line)
    length += line.length
    if (length < BATCH && batch.length < MOST_ROWS) continue
    yield batch
    batch = []
    length = 0
  }
  if (batch.length > 0) yield batch
}

/** Returns what a ledger calls the database that the rows come from. */
export function beforeEmptied(database: string): string {
  return `${database}, before it was emptied`
}
