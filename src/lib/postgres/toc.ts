import type { Stage } from './pipeline.js'

/** An entry of a dump's table of contents. */
interface TocEntry {
  id: number
  /** What follows its numbers, like `EXTENSION - pg_trgm` or `TABLE public accounts mastodon`. */
  what: string
}

/** What is left of the dump is read too, or the program before it would complain. */
const LIST = 'pg_restore -l; code=$?; cat >/dev/null; exit "$code"'

/** Returns the programs that print a dump's table of contents. */
export function listStages(zstd: boolean): Stage[] {
  return [
    ...(zstd ? [{ name: 'zstd', words: ['zstd', '-dc', '-q'] }] : []),
    { name: 'pg_restore', words: ['sh', '-c', LIST] },
  ]
}

/**
 * Returns the ids of what the owner of a database may restore into it, who is no superuser; undefined where that is all.
 * Extensions that are there already, comments on extensions (often the server's own), and the schema that every database
 * has are left out.
 */
export function restorableIds(printed: string, extensions: readonly string[]): number[] | undefined {
  const entries = entriesIn(printed)
  const kept = entries.filter(entry => !isLeftOut(entry, extensions))
  return kept.length === entries.length ? undefined : kept.map(({ id }) => id)
}

function entriesIn(printed: string): TocEntry[] {
  const lines = printed.split('\n').flatMap(line => {
    const [, id, what] = /^(\d+); \d+ \d+ (.*)$/.exec(line) ?? []
    return id === undefined || what === undefined ? [] : [{ id: Number(id), what }]
  })
  return lines
}

function isLeftOut({ what }: TocEntry, extensions: readonly string[]): boolean {
  const [, extension] = /^EXTENSION - (.+?) *$/.exec(what) ?? []
  if (extension !== undefined) return extensions.includes(extension)
  return /^(COMMENT - EXTENSION|(COMMENT - )?SCHEMA (- )?public)(?= |$)/.test(what)
}

/** Returns the program that restores these entries alone; a list needs no more than their ids. */
export function restoreStage(flags: readonly string[], ids: readonly number[] | undefined): Stage {
  const words = ['pg_restore', '--no-owner', '--no-acl', '--exit-on-error', '--no-password', ...flags]
  if (ids === undefined) return { name: 'pg_restore', words }
  const script = `exec "$@" -L /dev/fd/4 4<<'LIST'\n${ids.join('\n')}\nLIST`
  return { name: 'pg_restore', words: ['sh', '-c', script, 'pg_restore', ...words] }
}
