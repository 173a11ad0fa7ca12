import type { Readable } from 'node:stream'
import { niced, toStdout } from './dump.js'
import type { Equipment, Stage } from './pipeline.js'

/** Rows of one table that are picked out of a dump, and what is told of each. */
export interface Picking {
  id: string
  table: string
  /** What is told of a row; columns that the dump has not got are left out. */
  columns: readonly string[]
  /** Only rows in which this column is NULL, where the dump has it. */
  empty?: string
  /** The values of this column are remembered for {@link of}. */
  remember?: string
  /** Only rows in which this column holds a remembered value. */
  of?: string
  /** Only rows in which this column holds none. */
  notOf?: string
  /** The greatest value of this column is told at the end: a time in ISO 8601. */
  dated?: string
}

/** How the bytes of a dump become SQL. */
export type DumpForm = 'custom' | 'custom in zstd' | 'sql'

/**
 * Returns the programs that read a dump and print what is picked, so that little leaves the place where they run.
 *
 * @param schema of the tables; in dumps of PostgreSQL 10.2 and older the names stand without one
 */
export function extractStages(
  form: DumpForm,
  pickings: readonly Picking[],
  { schema, equipment }: { schema: string; equipment: Equipment },
): Stage[] {
  const tables = [...new Set(pickings.map(({ table }) => table))].flatMap(table => ['-t', table])
  const stages = [
    ...(form === 'custom in zstd' ? [{ name: 'zstd', words: ['zstd', '-dc', '-q'] }] : []),
    ...(form === 'sql'
      ? []
      : [{ name: 'pg_restore', words: ['sh', '-c', RESTORE, 'sh', ...toStdout(equipment), ...tables] }]),
    { name: 'awk', words: ['env', 'LC_ALL=C', 'awk', extraction(pickings, schema)] },
  ]
  return stages.map(stage => niced(stage, equipment))
}

/** pg_restore stops after the last table that is asked for, and whoever feeds it would fail: the rest is read away. */
const RESTORE = `trap : TERM; pg_restore --section=data "$@" || exit; cat >/dev/null`

/** In POSIX awk. The places of the columns stand in COPY's own line, and differ by version. */
function extraction(pickings: readonly Picking[], schema: string): string {
  const start = pickings.map((picking, at) => definition(picking, at + 1)).join('\n')
  return `BEGIN { FS = "\\t"; count = ${pickings.length}; schema = "${awkText(schema)}."
${start} }
${PROGRAM}`
}

function definition(picking: Picking, at: number): string {
  const { id, table, columns, empty = '', remember = '', of = '', notOf = '', dated = '' } = picking
  const parts = { id, table, columns: columns.join(' '), empty, remember, of, notOf, dated }
  return Object.entries(parts)
    .map(([name, value]) => `spec_${name}[${at}] = "${awkText(value)}"`)
    .join('; ')
}

function awkText(text: string): string {
  return text.replaceAll(/["\\]/g, '\\$&')
}

/** A row is one line, and COPY escapes tabs and line feeds inside of values: what is printed is what COPY wrote. */
const PROGRAM = `copying && $0 == "\\\\." { copying = 0; if (remembering) ready = 1; next }
copying { for (k = 1; k <= active; k++) row(k); next }
/^COPY .* FROM stdin;$/ { begin(substr($0, 6, length($0) - 17)) }
END { print "!\\t" (copying ? "cut" : bad ? bad : "whole") "\\t" newest }
function begin(what,   name, list, total, names, i, s) {
  copying = 1; active = 0; remembering = 0
  i = index(what, " ("); name = substr(what, 1, i - 1); list = substr(what, i + 2, length(what) - i - 2)
  gsub(/"/, "", name); gsub(/"/, "", list)
  if (index(name, schema) == 1) name = substr(name, length(schema) + 1)
  split("", place); total = split(list, names, ", ")
  for (i = 1; i <= total; i++) place[names[i]] = i
  for (s = 1; s <= count; s++) if (spec_table[s] == name) open(s)
}
function at(name) { return (name in place) ? place[name] : 0 }
function open(s,   total, names, i, header) {
  active++
  id[active] = spec_id[s]; empty[active] = at(spec_empty[s]); remember[active] = at(spec_remember[s])
  of[active] = at(spec_of[s]); notof[active] = at(spec_notOf[s]); dated[active] = at(spec_dated[s])
  if (remember[active]) remembering = 1
  total = split(spec_columns[s], names, " "); width[active] = 0; header = "#\\t" id[active]
  for (i = 1; i <= total; i++) if (at(names[i])) {
    column[active, ++width[active]] = at(names[i]); header = header "\\t" names[i]
  }
  print header
  if (spec_of[s] != "" && !(ready && of[active])) { bad = "unready"; active-- }
}
function row(k,   i, out) {
  if (empty[k] && $(empty[k]) != "\\\\N") return
  if (of[k] && !($(of[k]) in known)) return
  if (notof[k] && ($(notof[k]) in known)) return
  if (remember[k]) known[$(remember[k])] = 1
  if (dated[k] && $(dated[k]) ~ /^[0-9]/ && ($(dated[k]) "") > newest) newest = $(dated[k]) ""
  out = id[k]
  for (i = 1; i <= width[k]; i++) out = out "\\t" $(column[k, i])
  print out
}`

/** A row that was picked: NULL is null, and a column that the dump has not got is absent. */
export type PickedRow = Readonly<Record<string, string | null | undefined>>

export interface Picked {
  /** `unready`: a table came before the one whose values are to be remembered; `missing`: no end was seen. */
  end: 'whole' | 'cut' | 'unready' | 'missing'
  /** See {@link Picking.dated}; as the dump writes it. */
  newest: string | null
  /** The pickings whose table the dump holds. */
  present: ReadonlySet<string>
}

/** Rows handed on at once: what lives longer than a few of them grows the heap for good. */
const BATCH = 500

/** Reads what {@link extractStages} prints and hands it on in batches, one after another. */
export async function readPicked(
  printed: Readable,
  take: (id: string, rows: readonly PickedRow[]) => void | Promise<void>,
): Promise<Picked> {
  const headers = new Map<string, string[]>()
  let last: string[] = []
  let batch: { id: string; rows: PickedRow[] } = { id: '', rows: [] }
  const handOn = async (next: string) => {
    if (batch.rows.length > 0) await take(batch.id, batch.rows)
    batch = { id: next, rows: [] }
  }
  for await (const lines of linesOf(printed)) {
    for (const line of lines) {
      const fields = line.split('\t')
      const mark = fields[0] ?? ''
      if (mark === '!') last = fields.slice(1)
      else if (mark === '#') headers.set(fields[1] ?? '', fields.slice(2))
      else {
        if (mark !== batch.id || batch.rows.length >= BATCH) await handOn(mark)
        batch.rows.push(rowOf(headers.get(mark) ?? [], fields))
      }
    }
  }
  await handOn('')
  const [end = 'missing', newest = ''] = last
  return { end: end as Picked['end'], newest: newest === '' ? null : newest, present: new Set(headers.keys()) }
}

async function* linesOf(stream: Readable): AsyncGenerator<string[]> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield lines
  }
}

/** The first field is the picking's. */
function rowOf(columns: readonly string[], fields: readonly string[]): PickedRow {
  const row: Record<string, string | null> = {}
  for (const [at, name] of columns.entries()) row[name] = copiedValue(fields[at + 1] ?? '')
  return row
}

const ESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** Returns the value of a field in COPY's text format. Source: PostgreSQL, src/backend/commands/copyto.c. */
export function copiedValue(field: string): string | null {
  if (field === '\\N') return null
  if (!field.includes('\\')) return field
  return field.replaceAll(/\\(.)/g, (_, letter: string) => ESCAPED[letter] ?? letter)
}
