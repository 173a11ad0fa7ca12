import { text } from 'node:stream/consumers'
import { mediaFolder } from '../../backups/media-folder.js'
import { messageOf, RefusedError } from '../../errors.js'
import { supports } from '../../mastodon/catalogue.js'
import { mediaBucket } from '../../mastodon/media.js'
import type { Database } from '../../postgres/access.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { printableLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'

/** Under this key a run notes what it found. */
const NOTE = 'gone-media'
/** So many files are looked for at most. */
const FILES = 2_000
/** Of so many rows about they are taken at random: a large instance has tens of millions. */
const ROWS = 200_000
const DOMAINS = 3
/** Milliseconds after which a slow disk is given up. */
const LIMIT_MS = 60_000

/** Cached media that the restored state believes in, and whose files are no more. */
export interface GoneMedia {
  /** How many were looked for: all, or a sample. */
  looked: number
  whole: boolean
  gone: number
  /** The servers that most of those came from. */
  domains: string[]
}

/** Returns what a run found; why nothing could be found out, in a sentence; null where it did not look. */
export function goneMedia(noted: (key: string) => string | undefined): GoneMedia | { unknown: string } | null {
  return JSON.parse(noted(NOTE) ?? 'null') as GoneMedia | { unknown: string } | null
}

/** Media that were removed since the backup are missing from it again. The instance serves already: nothing is refused. */
export function goneMediaStep(): Step {
  return {
    id: 'gone-media',
    title: 'Look for cached media of other servers whose files are gone',
    effect: 'read',
    repeatable: true,
    needed: async ({ toolbox }) =>
      supports('media.refresh', await toolbox.app.version()) || 'this release does not fetch them again',
    run: async context => {
      if (context.dryRun) return
      const found = await look(context).catch((error: unknown) => ({ unknown: messageOf(error) }))
      await context.note(NOTE, JSON.stringify(found))
    },
  }
}

async function look({ toolbox }: StepContext): Promise<GoneMedia | { unknown: string }> {
  const bucket = mediaBucket(await toolbox.app.config())
  if (bucket !== undefined) return { unknown: `They are in the bucket ${bucket}, which is not looked into.` }
  const { rows, whole } = await believedIn(await toolbox.database())
  const missing = new Set(rows.length === 0 ? [] : await missingAmong(toolbox, rows))
  const gone = rows.filter(({ id }) => missing.has(id))
  return { looked: rows.length, whole, gone: gone.length, domains: mostOf(gone.map(({ domain }) => domain)) }
}

interface Cached {
  /** A digit string. */
  id: string
  domain: string | null
}

/** Returns some of the cached files at random, in bounded time: those of which the name is set (all versions). */
async function believedIn(database: Database): Promise<{ rows: Cached[]; whole: boolean }> {
  const [table] = await database.query<{ rows: number }>(
    "SELECT reltuples::bigint AS rows FROM pg_class WHERE oid = 'media_attachments'::regclass",
  )
  const percent = Math.min(100, (100 * ROWS) / Math.max(table?.rows ?? 0, 1))
  const rows = await database.query<Cached>(
    `SELECT m.id::text AS id, a.domain FROM (SELECT id, account_id FROM media_attachments TABLESAMPLE SYSTEM (${percent})
       WHERE remote_url <> '' AND file_file_name IS NOT NULL
       ORDER BY random() LIMIT ${FILES + 1}) m LEFT JOIN accounts a ON a.id = m.account_id`,
  )
  return { rows: rows.slice(0, FILES), whole: percent === 100 && rows.length <= FILES }
}

/**
 * Prints the ids of which there is no file. What is not in the folder of copies may have been fetched before 3.1.4. The
 * name is not looked at, for that of a converted file ends otherwise.
 */
const LOOKED = `export LC_ALL=C; cd "$1" || exit 9
while read -r id dirs; do for dir in $dirs; do for d in cache/"$dir" "$dir"; do
set -- "$d"/original/*; [ -e "$1" ] && continue 3; done; done; echo "$id"; done`

async function missingAmong(toolbox: Toolbox, rows: readonly Cached[]): Promise<string[]> {
  const { place, path } = await mediaFolder(toolbox)
  const run = await place.open({ what: 'sh', script: LOOKED, args: [path], effect: 'read', fed: true })
  // Why it ended early is told by its code.
  run.stdin.on('error', () => undefined)
  run.stdin.end(rows.map(({ id }) => `${[id, ...foldersOf(id)].join(' ')}\n`).join(''))
  const limit = setTimeout(() => run.kill(), LIMIT_MS)
  const printed = await text(run.stdout)
  const { exitCode, stderr } = await run.ended.finally(() => clearTimeout(limit))
  if (exitCode === 0) return printed.split('\n').filter(Boolean)
  const message = `The folder ${path} of ${place.where} could not be looked into: ${printableLine(stderr.trim())}`
  throw new RefusedError({ code: 'media-not-read', message })
}

/**
 * Returns where the files of an id may be: `:class/:attachment/:id_partition` (config/initializers/paperclip.rb). The last
 * is the id by threes, of at least nine digits, and of at least twelve from ten on; what is over at its end falls away
 * (lib/paperclip/interpolations.rb of kt-paperclip). Early paperclip knew no twelve: ids of ten and eleven have two.
 */
function foldersOf(id: string): string[] {
  const padded = id.length > 9 ? [id.padStart(12, '0'), id] : [id.padStart(9, '0')]
  const folders = padded.map(digits => ['media_attachments', 'files', ...(digits.match(/\d{3}/g) ?? [])].join('/'))
  return [...new Set(folders)]
}

/** Returns the most frequent first. */
function mostOf(domains: readonly (string | null)[]): string[] {
  const counts = new Map<string, number>()
  for (const domain of domains) if (domain !== null) counts.set(domain, (counts.get(domain) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a).flatMap(([domain], at) => (at < DOMAINS ? [domain] : []))
}
