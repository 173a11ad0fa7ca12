import type { Equipment, Stage } from './pipeline.js'

/** How a dump is compressed: by pg_dump's own zstd, by zstd behind it, or by pg_dump's gzip. */
export type Compression = 'own-zstd' | 'zstd' | 'gzip'

/** Returns the best that is there: zstd is three times quicker than gzip, and smaller (measured on 1 GB, 15.18). */
export function compressionOf({ ownZstd, programs }: Equipment): Compression {
  if (ownZstd) return 'own-zstd'
  return programs.has('zstd') ? 'zstd' : 'gzip'
}

/** The name that a dump has in a backup. */
export function dumpName(compression: Compression): string {
  return compression === 'zstd' ? 'database.dump.zst' : 'database.dump'
}

const SETTINGS: Readonly<Record<Compression, string[]>> = {
  'own-zstd': ['--compress=zstd:1'],
  zstd: ['-Z0'],
  gzip: ['-Z1'],
}

/**
 * Milliseconds. Our own session holds every table already, so that pg_dump waits only where somebody asks for a whole
 * table behind us: who waits for us, while pg_dump waits for them, would wait without end.
 */
const LOCK_WAIT = 60_000

/** Returns the programs that write the database, as the snapshot shows it, in PostgreSQL's custom format. */
export function dumpStages(compression: Compression, snapshot: string, equipment: Equipment): Stage[] {
  const how = ['--no-password', `--lock-wait-timeout=${LOCK_WAIT}`, `--snapshot=${snapshot}`]
  const dump = ['pg_dump', '-Fc', ...SETTINGS[compression], ...how]
  const stages = [{ name: 'pg_dump', words: dump }]
  if (compression === 'zstd') stages.push({ name: 'zstd', words: ['zstd', '-1', '-T2', '-q', '-c'] })
  return stages.map(stage => niced(stage, equipment))
}

/** Returns the programs that read a dump whole and print each table with the rows that they saw of it. */
export function decodeStages(zstd: boolean, equipment: Equipment): Stage[] {
  const stages = [
    ...(zstd ? [{ name: 'zstd', words: ['zstd', '-dc', '-q'] }] : []),
    { name: 'pg_restore', words: ['pg_restore', '--section=data', ...toStdout(equipment)] },
    { name: 'awk', words: ['awk', COUNT_ROWS] },
  ]
  return stages.map(stage => niced(stage, equipment))
}

/** From 12 on it must be said; early minor releases of what came before would write a file called `-`. */
export function toStdout({ version }: Pick<Equipment, 'version'>): string[] {
  return version >= 120_000 ? ['-f', '-'] : []
}

/** The app's own work comes first. */
export function niced(stage: Stage, { programs }: Equipment): Stage {
  return programs.has('nice') ? { ...stage, words: ['nice', '-n', '10', ...stage.words] } : stage
}

/** A row of COPY's text format is one line: line feeds inside of values are written as \n. Rails' versions are told. */
const COUNT_ROWS = `copying && $0 == "\\\\." { print rows "\\t" copying; copying = ""; next }
copying { rows++; if (versions) print "version\\t" $0; next }
/^COPY .* FROM stdin;$/ { copying = substr($0, 6, length($0) - 17); rows = 0; versions = (copying ~ /^([^ ]*[.])?schema_migrations [(]version[)]$/) }
END { print (copying ? "cut" : "whole") }`

export interface DecodedTable {
  schema: string
  table: string
  rows: number
}

/** Returns what {@link decodeStages} printed, or undefined when it does not tell that it saw the end. */
export function decodedTables(printed: string): DecodedTable[] | undefined {
  const lines = printed.trimEnd().split('\n')
  if (lines.pop() !== 'whole') return undefined
  return lines.filter(isCount).map(line => {
    const [rows = '', copied = ''] = line.split('\t')
    const [schema = '', table = ''] = identifiersIn(copied)
    return { schema, table, rows: Number(rows) }
  })
}

function isCount(line: string): boolean {
  return /^\d+\t/.test(line)
}

/** Returns the migrations that the dumped database has had, ascending, from what {@link decodeStages} printed. */
export function decodedVersions(printed: string): string[] {
  return (printed.match(/(?<=^version\t).+$/gm) ?? []).sort()
}

/**
 * Reads `schema.table (columns)` with the names quoted where they must be. Programs of before March 2018 (9.6.8, 10.3)
 * leave the schema out, having said before which one is meant: Mastodon's is `public`.
 */
function identifiersIn(text: string): string[] {
  const names = /^(?:((?:"(?:[^"]|"")*"|[^".\s(])+)\.)?((?:"(?:[^"]|"")*"|[^".\s(])+)/.exec(text)
  return [names?.[1] ?? 'public', names?.[2] ?? ''].map(name =>
    name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name,
  )
}
