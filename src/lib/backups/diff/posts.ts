import {
  type Columns,
  type IdRange,
  type LivePost,
  livePosts,
  type SummedPosts,
  summedPosts,
} from '../../mastodon/step-back.js'
import type { Database } from '../../postgres/access.js'
import type { PickedRow } from '../../postgres/extract.js'
import { type IdPart, IdSet, MODULI } from './id-set.js'

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

/** Rows that are read at once: what lives longer than a few of them grows the heap for good. */
const BATCH = 1_000
/** Ids that are compared at once, by their sums. */
const PART = 1_000
/** Where more ranges than these differ, all posts are read. */
const RANGES = 100

/**
 * Compares the posts: their ids are held, eight bytes for each. The live database sums up its own by the same parts, and
 * only the posts of parts that differ are read.
 */
export class Posts {
  readonly #posts = new IdSet()
  readonly #boosts = new IdSet()

  take(rows: readonly PickedRow[]): void {
    for (const { id, reblog_of_id: boosted } of rows) (boosted ? this.#boosts : this.#posts).add(id ?? '')
  }

  /** To be called inside of the database's snapshot. */
  async finish(db: Database, columns: Columns): Promise<{ posts: PostsDiff; boosts: BoostsDiff }> {
    const written = { count: 0, open: 0, oldest: Number.POSITIVE_INFINITY, newest: Number.NEGATIVE_INFINITY }
    let made = 0
    const count = () => {
      made += 1
    }
    const [posts, boosts] = [sideOf(this.#posts, false), sideOf(this.#boosts, true)]
    const summed = await summedUp(db, columns, posts, boosts)
    const there = await compare(db, columns, posts, { summed, onNew: post => note(written, post) })
    const boosted = await compare(db, columns, boosts, { summed, onNew: count })
    return {
      posts: { written: inWords(written), deleted: posts.ids.size - there },
      boosts: { made, takenBack: boosts.ids.size - boosted },
    }
  }
}

/** What the backup has of one kind. */
interface Side {
  ids: IdSet
  parts: IdPart[]
  isBoosts: boolean
}

function sideOf(ids: IdSet, isBoosts: boolean): Side {
  return { ids, parts: ids.parts(PART), isBoosts }
}

interface Comparing {
  /** What the live database says of each part. */
  summed: ReadonlyMap<string, SummedPosts>
  /** Is told the live posts that the backup has not got. */
  onNew(post: LivePost): void
}

async function summedUp(db: Database, columns: Columns, posts: Side, boosts: Side): Promise<Comparing['summed']> {
  const firsts = ({ parts }: Side) => parts.map(({ first }) => String(first))
  const { sql, params } = summedPosts(columns, { posts: firsts(posts), boosts: firsts(boosts) }, MODULI)
  const rows = await db.query<SummedPosts>(sql, params)
  return new Map(rows.map(row => [keyOf(row.boost, row.part), row]))
}

function keyOf(isBoosts: boolean, part: number): string {
  return `${isBoosts} ${part}`
}

/** Returns how many of the backup's posts are live. */
async function compare(db: Database, columns: Columns, side: Side, { summed, onNew }: Comparing): Promise<number> {
  const { ids, parts, isBoosts } = side
  const isOther = parts.map((part, at) => !isSame(part, summed.get(keyOf(isBoosts, at + 1))))
  const some = rangesOf(parts, [summed.has(keyOf(isBoosts, 0)), ...isOther])
  const isWhole = some.length > RANGES
  const ranges = isWhole ? [{ from: null, below: null }] : some
  let found = parts.filter((_, at) => !isWhole && !isOther[at]).reduce((sum, { n }) => sum + n, 0)
  for (const range of ranges) {
    for await (const posts of all(db, livePosts(columns, isBoosts, range))) {
      for (const post of posts) {
        if (ids.has(post.id)) found += 1
        else onNew(post)
      }
    }
  }
  return found
}

function isSame({ n, sum, mixed }: IdPart, live: SummedPosts | undefined): boolean {
  return live?.n === n && live.sum === String(sum) && live.mixed === String(mixed)
}

/** @param isOther whether what comes before the first part is another, and then each part */
function rangesOf(parts: readonly IdPart[], isOther: readonly boolean[]): IdRange[] {
  const bound = (at: number) => (parts[at] === undefined ? null : String(parts[at].first))
  const ranges: IdRange[] = []
  for (const [at, other] of isOther.entries()) {
    if (!other) continue
    const last = isOther[at - 1] ? ranges.pop() : undefined
    ranges.push({ from: last ? last.from : bound(at - 1), below: bound(at) })
  }
  return ranges
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

async function* all(db: Database, sql: string): AsyncGenerator<LivePost[]> {
  await db.query("SELECT set_config('cursor_tuple_fraction', '1', true)")
  await db.query(`DECLARE posts NO SCROLL CURSOR FOR ${sql}`)
  for (;;) {
    const rows = await db.query<LivePost>(`FETCH ${BATCH} FROM posts`)
    yield rows
    if (rows.length < BATCH) break
  }
  await db.query('CLOSE posts')
}
