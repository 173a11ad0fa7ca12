import type { Leftover } from '../postgres/leftovers.js'
import type { Toolbox } from '../toolbox.js'

/** What Ruby writes before a name, and after it: a symbol, or a text. */
const BEFORE = `[( ]+[:"']`
const AFTER = `["', ):]`

/**
 * Returns what tells, as an extended expression of POSIX, that a migration makes this table, or an index of this name or
 * on the table of this one (ActiveRecord::Migration, all versions; add_concurrent_index is Mastodon's own up to 2.5).
 */
export function makes({ kind, name, table }: Pick<Leftover, 'kind' | 'name' | 'table'>): string {
  if (kind === 'table') return `create_(join_)?table${BEFORE}${name}(${AFTER}|$)|CREATE TABLE "?${name}"?( |$)`
  return `(add|rename)_(concurrent_)?index${BEFORE}${table}(${AFTER}|$)|create_table${BEFORE}${table}(${AFTER}|$)|["':]${name}(${AFTER}|$)`
}

/** Returns the ids of the migrations, of those that the app has in files, in which the expression is found. */
export async function migrationsThat(toolbox: Toolbox, expression: string): Promise<string[]> {
  const argv = ['grep', '-rlE', '-e', expression, 'db/migrate', 'db/post_migrate']
  // A code of 1 means that there is none; of 2, that there is no second folder, before 2.5.0.
  const { stdout } = await toolbox.app.oneOff().run({ argv, effect: 'read' })
  return stdout.split('\n').flatMap(line => /\/(\d{14})_\w+\.rb$/.exec(line.trim())?.[1] ?? [])
}
