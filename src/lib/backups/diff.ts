import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RefusedError } from '../errors.js'
import { COMPARED_COLUMNS, type Columns, NEEDED, PICKINGS, type RelationId } from '../mastodon/step-back.js'
import { lacks } from '../open-toolbox.js'
import { type Database, openDatabase } from '../postgres/access.js'
import { extractStages, type Picked, type PickedRow, readPicked } from '../postgres/extract.js'
import { openPipeline, type Pipeline } from '../postgres/pipeline.js'
import type { Toolbox } from '../toolbox.js'
import { dumpTools } from './database.js'
import { People, type PeopleDiff } from './diff/people.js'
import { type BoostsDiff, Posts, type PostsDiff } from './diff/posts.js'
import { type RelationDiff, Relations } from './diff/relations.js'
import type { Manifest } from './manifest.js'
import { type DumpSource, fed, feed } from './verify.js'

export { stepBackText } from './diff/text.js'

/** Plain SQL whose rows are written by COPY: that of one database alone. */
export interface SqlSource {
  sql(): Promise<Readable>
}

/** What is different between a backup and the live database; all times in ISO 8601. */
export interface StepBack extends PeopleDiff {
  /** When the backup was begun, where its manifest tells. */
  takenAt: string | null
  /** The newest follow, sign-up or report in it: it is not older than that. */
  newestRow: string | null
  /** Since `takenAt`, or else since `newestRow`. */
  ageSeconds: number | null
  posts: PostsDiff
  boosts: BoostsDiff
  /** Of local people, save for `serversDomainBlocks`, `reports` and `moderation` (the log of moderators' actions). */
  relations: Record<RelationId, RelationDiff>
  /** What could not be compared: tables that the live database has not got, or `roles`. */
  notCompared: string[]
}

/**
 * Compares a dump with the live database and counts what going back to it means; nothing is restored or changed.
 *
 * The dump is decoded once, where PostgreSQL's programs are, and only what concerns local people comes here. One state
 * of the live database is read. What is held is eight bytes for each local post, and a batch of rows. Passwords and
 * addresses are compared in memory and are part of no result.
 *
 * @returns counts of zero, and {@link StepBack.notCompared}, where the live database is none of Mastodon's
 * @throws RefusedError when the dump cannot be read to its end, or holds no local accounts before what is theirs
 */
export async function stepBack(
  toolbox: Toolbox,
  source: DumpSource | SqlSource,
  manifest: Manifest | null,
  onProgress?: (bytes: number) => void,
): Promise<StepBack> {
  if (toolbox.backend.postgres === undefined) throw lacks(toolbox.backend, 'postgres', 'PostgreSQL')
  const { ledger, dryRun } = toolbox
  const db = await openDatabase(toolbox.backend.postgres, { ledger, dryRun, purpose: 'compare' })
  try {
    return await db.snapshot(async () => {
      await db.query("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
      const columns = await columnsOf(db)
      const comparison = new Comparison(db, columns)
      const missing = NEEDED.filter(table => !columns.has(table))
      const picked = missing.length > 0 ? undefined : await extract(toolbox, db, source, comparison, onProgress)
      const age = ageOf(manifest?.startedAt ?? null, picked?.newest ?? null, toolbox.clock.now())
      return { ...age, ...(await comparison.finish(missing)) }
    })
  } finally {
    await db.close()
  }
}

class Comparison {
  readonly #db: Database
  readonly #columns: Columns
  readonly #posts = new Posts()
  readonly #people: People
  readonly #relations: Relations

  constructor(db: Database, columns: Columns) {
    this.#db = db
    this.#columns = columns
    this.#people = new People(db, columns)
    this.#relations = new Relations(db, columns)
  }

  async take(id: string, rows: readonly PickedRow[]): Promise<void> {
    if (id === 'posts') return this.#posts.take(rows)
    if (id === 'accounts') return this.#people.takeAccounts(rows)
    if (id === 'users') return this.#people.takeUsers(rows)
    if (id === 'securityKeys') return this.#people.takeSecurityKeys(rows)
    return this.#relations.take(id, rows)
  }

  async finish(missing: readonly string[]) {
    if (missing.length > 0) return { ...nothing(), notCompared: [...missing] }
    const people = await this.#people.finish()
    const relations = await this.#relations.finish()
    const posts = await this.#posts.finish(this.#db, this.#columns)
    return { ...people, ...posts, relations, notCompared: people.roles === null ? ['roles'] : [] }
  }
}

async function columnsOf(db: Database): Promise<Columns> {
  const rows = await db.query<{ table: string; column: string }>(COMPARED_COLUMNS.sql, COMPARED_COLUMNS.params)
  const columns = new Map<string, Set<string>>()
  for (const { table, column } of rows) columns.set(table, (columns.get(table) ?? new Set()).add(column))
  return columns
}

async function extract(
  toolbox: Toolbox,
  db: Database,
  source: DumpSource | SqlSource,
  comparison: Comparison,
  onProgress?: (bytes: number) => void,
): Promise<Picked> {
  const { tools, equipment } = await dumpTools(toolbox)
  const [row] = await db.query<{ schema: string }>('SELECT current_schema()::text AS schema')
  const form = 'sql' in source ? 'sql' : source.zstd ? 'custom in zstd' : 'custom'
  const stages = extractStages(form, PICKINGS, { schema: row?.schema ?? 'public', equipment })
  const running = await openPipeline(tools, stages, { what: 'pg_restore', effect: 'read', fed: true })
  let failure: unknown
  const take = async (id: string, rows: readonly PickedRow[]) => {
    await comparison.take(id, rows).catch(error => {
      failure = error
      running.run.kill()
      throw error
    })
  }
  const read = readPicked(running.run.stdout, take)
  read.catch(() => undefined)
  try {
    await sendInto(running, source, onProgress)
    return mustBeWhole(await read)
  } catch (error) {
    // That the programs were ended is what came of it.
    throw failure ?? error
  }
}

async function sendInto(running: Pipeline, source: DumpSource | SqlSource, onProgress?: (bytes: number) => void) {
  if ('sql' in source) await fed(pipeline(await source.sql(), running.run.stdin), running)
  else await feed(source, running, onProgress ? { onProgress } : {})
}

function mustBeWhole(picked: Picked): Picked {
  const missing = NEEDED.filter(table => !PICKINGS.some(({ id, table: of }) => of === table && picked.present.has(id)))
  if (picked.end === 'whole' && missing.length === 0) return picked
  if (picked.end === 'cut' || picked.end === 'missing')
    throw new RefusedError({
      code: 'dump-not-whole',
      message: 'The dump could not be decoded to its end.',
      cause: 'It is cut off inside of a table.',
    })
  throw new RefusedError({
    code: 'dump-not-comparable',
    message: 'The dump cannot be compared with the live database.',
    cause:
      missing.length > 0
        ? `It holds no rows of ${missing.join(', ')}.`
        : 'Its tables do not stand in the order in which pg_dump writes them.',
    next: 'Restore it beside the live database, and look there.',
  })
}

/** Rails keeps UTC in columns without a time zone. */
function ageOf(takenAt: string | null, newest: string | null, now: Date) {
  const row = newest === null ? undefined : new Date(`${newest.replace(' ', 'T')}Z`)
  const newestRow = row === undefined || Number.isNaN(row.getTime()) ? null : row.toISOString()
  const since = takenAt ?? newestRow
  const ageSeconds = since === null ? null : Math.max(0, Math.round((now.getTime() - Date.parse(since)) / 1000))
  return { takenAt, newestRow, ageSeconds }
}

function nothing() {
  const none = () => ({ made: 0, removed: 0 })
  return {
    posts: { written: { count: 0, open: 0, oldest: null, newest: null }, deleted: 0 },
    boosts: { made: 0, takenBack: 0 },
    signUps: { count: 0, confirmed: 0 },
    accounts: { deleted: 0, suspended: 0, reinstated: 0 },
    ...{ passwords: 0, emails: 0, twoFactor: { turnedOn: 0, turnedOff: 0 }, roles: 0 },
    relations: {
      ...{ blocks: none(), mutes: none(), peoplesDomainBlocks: none(), serversDomainBlocks: none() },
      ...{ follows: none(), followers: none(), reports: none(), moderation: none() },
    },
  }
}
