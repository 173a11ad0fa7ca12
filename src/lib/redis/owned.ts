import { keyPattern, type RedisKeyKind, type RedisRole, redisKeysOf } from '../mastodon/redis-keys.js'
import type { MastodonVersion } from '../mastodon/version.js'
import { shellLine } from '../text.js'
import type { RedisDatabase } from './access.js'

/** What is Mastodon's in a Redis database that others may use as well: counted, and removed by kind. */

const KINDS: readonly RedisKeyKind[] = ['feeds', 'cache', 'jobs', 'sidekiq', 'volatile', 'lasting']

/** Jobs are removed only as they were saved: see `dropSavedJobs`. */
export type RemovableKind = Exclude<RedisKeyKind, 'jobs'>

/** Whose keys are looked for: of which version, and what this server holds of the three roles. */
export interface Ownership {
  version: MastodonVersion
  roles: readonly RedisRole[]
  /** What stands before the names, with its colon; that of the connection where it is absent. */
  prefix?: string
}

export interface KeyCount {
  byKind: Record<RedisKeyKind, number>
  /** Keys that no pattern of Mastodon's matches. */
  others: number
}

/** Keys asked for at a time, and removed at a time: what one answer or one command holds in memory, here and there. */
const SCANNED = 1_000
const REMOVED = 500

/** Keys of this tool, which are nobody's business. */
const OURS = 'mstdn-ops:'

/**
 * Returns how many keys there are of each kind, by one look at every name of the database.
 *
 * Exact while nobody writes: a key that comes or goes meanwhile may be counted or not, and one is counted twice where the
 * server shrinks its table.
 */
export async function countOwned(redis: RedisDatabase, ownership: Ownership): Promise<KeyCount> {
  const kindOf = classifier(ownership, ownership.prefix ?? redis.prefix)
  const count: KeyCount = { byKind: zero(), others: 0 }
  const ours = bytesOf(redis.key(OURS))
  for await (const names of scan(redis)) {
    for (const name of names) {
      const kind = kindOf(name)
      if (kind !== undefined) count.byKind[kind] += 1
      else if (!name.startsWith(ours)) count.others += 1
    }
  }
  return count
}

export interface UnlinkOptions {
  /** Gets the number of keys that were removed so far. */
  onProgress?: (removed: number) => void
}

/**
 * Removes the keys of these kinds and returns how many there were of each, or would be in a dry run. The ledger has one
 * line for each kind. Repeating is harmless, and goes on where a run was cut off.
 *
 * @throws OutcomeUnknownError when the connection is lost in the middle.
 */
export async function unlinkOwned(
  redis: RedisDatabase,
  ownership: Ownership,
  kinds: readonly RemovableKind[],
  options: UnlinkOptions = {},
): Promise<Record<RedisKeyKind, number>> {
  const { byKind } = await countOwned(redis, ownership)
  const present = kinds.filter(kind => byKind[kind] > 0)
  const removal = new Removal(redis, await verbOf(redis), options)
  const tellings = present.map(kind => [kind, wordsFor(redis, ownership, kind, byKind[kind], removal.verb)] as const)
  if (redis.dryRun) {
    for (const [, words] of tellings) await redis.writeAs(words, removal.verb)
    return { ...zero(), ...Object.fromEntries(present.map(kind => [kind, byKind[kind]])) }
  }
  return removal.of(classifier(ownership, ownership.prefix ?? redis.prefix), new Map(tellings))
}

interface Words {
  exact: string
  byHand: string
}

/** Collects names by kind and sends them in batches, so that memory does not grow with the number of keys. */
class Removal {
  readonly #redis: RedisDatabase
  readonly #options: UnlinkOptions
  readonly #removed = zero()
  readonly #waiting = new Map<RedisKeyKind, string[]>()
  readonly #told = new Set<RedisKeyKind>()

  constructor(
    redis: RedisDatabase,
    readonly verb: string,
    options: UnlinkOptions,
  ) {
    this.#redis = redis
    this.#options = options
  }

  async of(kindOf: (name: string) => RedisKeyKind | undefined, words: ReadonlyMap<RedisKeyKind, Words>) {
    for await (const names of scan(this.#redis)) {
      for (const name of names) {
        const kind = kindOf(name)
        if (kind !== undefined && words.has(kind)) this.#batch(kind).push(name)
      }
      await this.#send(words, REMOVED)
    }
    await this.#send(words, 1)
    return this.#removed
  }

  #batch(kind: RedisKeyKind): string[] {
    const batch = this.#waiting.get(kind) ?? []
    this.#waiting.set(kind, batch)
    return batch
  }

  async #send(words: ReadonlyMap<RedisKeyKind, Words>, atLeast: number): Promise<void> {
    for (const [kind, batch] of this.#waiting) {
      while (batch.length >= atLeast) await this.#remove(kind, batch.splice(0, REMOVED), words.get(kind))
    }
  }

  async #remove(kind: RedisKeyKind, names: string[], words: Words | undefined): Promise<void> {
    const telling = { ...words, told: this.#told.has(kind) }
    this.#told.add(kind)
    const keys = names.map(name => Buffer.from(name, 'latin1'))
    this.#removed[kind] += Number(await this.#redis.writeAs(telling, this.verb, ...keys))
    this.#options.onProgress?.(Object.values(this.#removed).reduce((sum, count) => sum + count, 0))
  }
}

/** UNLINK frees memory beside the server's work; it is there from Redis 4 on. */
async function verbOf(redis: RedisDatabase): Promise<'UNLINK' | 'DEL'> {
  const known = await redis.read('COMMAND', 'INFO', 'UNLINK').catch(() => undefined)
  return Array.isArray(known) && known[0] === null ? 'DEL' : 'UNLINK'
}

function wordsFor(redis: RedisDatabase, owned: Ownership, kind: RedisKeyKind, count: number, verb: string): Words {
  const globs = patterns(owned, owned.prefix ?? redis.prefix, kind)
  const find = redis.byHand(['--scan', '--pattern', 'PATTERN']).replace('PATTERN', '"$pattern"')
  return {
    exact: `${verb} … (${count} keys of kind ${kind}: ${globs.join(' ')})`,
    byHand: `for pattern in ${shellLine(globs)}; do ${find} | xargs -r -d '\\n' ${redis.byHand([verb])}; done`,
  }
}

/** Returns every name of the database, a batch at a time, a character for each byte: a name need not be text. */
export async function* scan(redis: RedisDatabase): AsyncGenerator<string[]> {
  let cursor = '0'
  do {
    const [next, names] = (await redis.readBytes('SCAN', cursor, 'COUNT', SCANNED)) as [Buffer, Buffer[]]
    yield names.map(name => name.toString('latin1'))
    cursor = next.toString()
  } while (cursor !== '0')
}

/**
 * Returns what tells the kind of a name. One look at all names with the patterns here, for a SCAN by pattern reads every
 * name too, and once for each.
 */
export function classifier(ownership: Ownership, prefix: string): (name: string) => RedisKeyKind | undefined {
  const tests = KINDS.flatMap(kind => {
    const globs = patterns(ownership, prefix, kind)
    return globs.length === 0 ? [] : [{ kind, test: new RegExp(`^(?:${globs.map(globSource).join('|')})$`, 's') }]
  })
  return name => tests.find(({ test }) => test.test(name))?.kind
}

function patterns({ version, roles }: Ownership, prefix: string, kind: RedisKeyKind): string[] {
  const rows = redisKeysOf(version).filter(row => row.kind === kind && roles.includes(row.role))
  return rows.flatMap(row => row.globs.map(glob => keyPattern(row, glob, prefix)))
}

/** The parts of a pattern as Redis reads it (its util.c, `stringmatchlen`): an escape, a class, `*`, `?`, or a character. */
const GLOB = /\\(?<escaped>.)|(?<set>\[[^\]]+\])|(?<star>\*+)|(?<any>\?)|(?<plain>.)/gs

/** Returns the source of an expression that matches what the pattern matches, for names of one character a byte. */
export function globSource(glob: string): string {
  return bytesOf(glob).replace(GLOB, (match, ...rest) => {
    const { escaped, set, star, any } = rest.at(-1)
    if (set) return set
    if (star) return '.*'
    if (any) return '.'
    return (escaped ?? match).replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
  })
}

/** Returns a character for each byte of the text as Redis has it. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function zero(): Record<RedisKeyKind, number> {
  return { feeds: 0, cache: 0, jobs: 0, sidekiq: 0, volatile: 0, lasting: 0 }
}
