import type { Toolbox } from '../toolbox.js'

/** A migration's file, without what it does on the way back. */
export interface MigrationText {
  id: string
  text: string
}

const FOLDERS = ['db/migrate', 'db/post_migrate']

/**
 * Returns the migrations of the app's files in which this word stands.
 *
 * @param release of a release that was fetched, in place of the installed one
 */
export async function migrationsNaming(toolbox: Toolbox, word: string, release?: string): Promise<MigrationText[]> {
  const read = async (argv: readonly string[]) =>
    // A code of 1 means that there is none; of 2, that there is no second folder, before 2.5.0.
    (await toolbox.app.oneOff().run({ argv, effect: 'read', ...(release === undefined ? {} : { release }) })).stdout
  const files = (await read(['grep', '-rlwF', '-e', word, ...FOLDERS])).split('\n').filter(Boolean)
  return files.length === 0 ? [] : textsOf(await read(['grep', '-H', '', ...files]))
}

/** Returns the files of what `grep -H '' FILE…` printed: each line with its file before it. */
export function textsOf(printed: string): MigrationText[] {
  const texts = new Map<string, string[]>()
  for (const line of printed.split('\n')) {
    const [, id, text] = /\/(\d{14})_\w+\.rb:(.*)$/.exec(line) ?? []
    if (id !== undefined) texts.set(id, [...(texts.get(id) ?? []), text ?? ''])
  }
  return [...texts].map(([id, lines]) => ({ id, text: onTheWayUp(lines) }))
}

function onTheWayUp(lines: readonly string[]): string {
  const text = lines.filter(line => !/^\s*#/.test(line)).join('\n')
  return text.replace(/\bdef (?:self\.)?down\b[\s\S]*?(?=\n\s*def |$(?![\s\S]))/, '')
}

const TABLE = /\bcreate_(?:join_)?table[\s(]+[:"'](\w+)|\bCREATE TABLE\s+(?:IF NOT EXISTS\s+)?"?(\w+)/g

/** Whether the migration makes this table (ActiveRecord::Migration, or SQL). */
export function makesTable({ text }: MigrationText, name: string): boolean {
  return [...text.matchAll(TABLE)].some(([, ruby, sql]) => (ruby ?? sql) === name)
}

/** `add_concurrent_index` is Mastodon's own (lib/mastodon/migration_helpers.rb, 1.4 to 3.x). */
const INDEX =
  /\badd(?:_concurrent)?_index[\s(]+[:"'](?<table>\w+)["']?\s*,\s*(?<columns>\[[^\]]*\]|[:"']\w+["']?)(?<rest>[^\n]*(?:\n\s+[a-z_]+:[^\n]*)*)/g
const REFERENCE = /\badd_(?:reference|belongs_to)[\s(]+[:"'](?<table>\w+)["']?\s*,\s*[:"'](?<column>\w+)/g
const RENAMED = /\brename_index[\s(]+[:"']\w+["']?\s*,\s*[:"']\w+["']?\s*,\s*[:"'](?<name>\w+)/g
const SQL_INDEX = /\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF NOT EXISTS\s+)?"?(?<name>\w+)/g

/** Whether the migration makes this index: by its name, or by the one that Rails gives it after table and columns. */
export function makesIndex({ text }: MigrationText, name: string): boolean {
  const groups = (pattern: RegExp) => [...text.matchAll(pattern)].map(match => match.groups ?? {})
  const made = [
    ...groups(INDEX).map(({ table = '', columns = '', rest = '' }) => nameIn(rest) ?? defaultName(table, columns)),
    ...groups(REFERENCE).map(({ table = '', column = '' }) => defaultName(table, `${column}_id`)),
    ...[...groups(RENAMED), ...groups(SQL_INDEX)].map(group => group.name),
  ]
  return made.includes(name)
}

function nameIn(options: string): string | undefined {
  return /\bname(?::|\s*=>)\s*[:"'](\w+)/.exec(options)?.[1]
}

function defaultName(table: string, columns: string): string {
  return `index_${table}_on_${(columns.match(/\w+/g) ?? []).join('_and_')}`
}
