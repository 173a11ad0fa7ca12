import { type Columns, type LivePost, livePosts } from '../../mastodon/step-back.js'
import type { Database } from '../../postgres/access.js'
import type { PickedRow } from '../../postgres/extract.js'
import { IdSet } from './id-set.js'

/** Posts of local people, boosts left out. */
export interface PostsDiff {
  /** Written since the backup. */
  written: {
    count: number
    /** Public or unlisted. */
    open: number
    /** ISO 8601. */
    oldest: string | null
    newest: string | null
  }
  /** Deleted since the backup. */
  deleted: number
}

export interface BoostsDiff {
  made: number
  takenBack: number
}

/** Rows that are read at once. */
const BATCH = 5_000

/** Compares the posts: their ids are held, eight bytes for each. */
export class Posts {
  readonly #posts = new IdSet()
  readonly #boosts = new IdSet()

  take(rows: readonly PickedRow[]): void {
    for (const { id, reblog_of_id: boosted } of rows) (boosted ? this.#boosts : this.#posts).add(id ?? '')
  }

  /** To be called inside of the database's snapshot. */
  async finish(db: Database, columns: Columns): Promise<{ posts: PostsDiff; boosts: BoostsDiff }> {
    const written = { count: 0, open: 0, oldest: Number.POSITIVE_INFINITY, newest: Number.NEGATIVE_INFINITY }
    const found = { posts: 0, boosts: 0 }
    let made = 0
    for await (const post of all(db, columns)) {
      if (post.boost) {
        if (this.#boosts.has(post.id)) found.boosts += 1
        else made += 1
      } else if (this.#posts.has(post.id)) found.posts += 1
      else note(written, post)
    }
    return {
      posts: { written: inWords(written), deleted: this.#posts.size - found.posts },
      boosts: { made, takenBack: this.#boosts.size - found.boosts },
    }
  }
}

interface Written {
  count: number
  open: number
  /** Milliseconds since 1970. */
  oldest: number
  newest: number
}

function note(written: Written, { created_at, open }: LivePost): void {
  written.count += 1
  if (open) written.open += 1
  written.oldest = Math.min(written.oldest, created_at.getTime())
  written.newest = Math.max(written.newest, created_at.getTime())
}

function inWords({ oldest, newest, ...rest }: Written): PostsDiff['written'] {
  const time = (at: number) => (Number.isFinite(at) ? new Date(at).toISOString() : null)
  return { ...rest, oldest: time(oldest), newest: time(newest) }
}

async function* all(db: Database, columns: Columns): AsyncGenerator<LivePost> {
  await db.query("SELECT set_config('cursor_tuple_fraction', '1', true)")
  await db.query(`DECLARE posts NO SCROLL CURSOR FOR ${livePosts(columns)}`)
  for (;;) {
    const rows = await db.query<LivePost>(`FETCH ${BATCH} FROM posts`)
    yield* rows
    if (rows.length < BATCH) break
  }
  await db.query('CLOSE posts')
}
