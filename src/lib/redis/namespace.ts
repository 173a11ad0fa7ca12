import type { RedisKeyKind } from '../mastodon/redis-keys.js'
import { shellQuote } from '../text.js'
import type { RedisDatabase } from './access.js'
import { classifier, type Ownership, scan } from './owned.js'

/** Names at a time: what one script holds the server up with. */
const BATCH = 500

/**
 * Gives each key another name, unless it is gone by now; returns how many got it, and the names that are taken. A script,
 * so that a batch costs one answer; RENAMENX copies nothing.
 */
const SCRIPT = `local renamed = 0
local taken = {}
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    if redis.call('RENAMENX', KEYS[i], KEYS[i + 1]) == 1 then renamed = renamed + 1 else taken[#taken + 1] = KEYS[i + 1] end
  end
end
return {renamed, taken}`

/** Locks of sidekiq-unique-jobs hold whole names inside, which would be wrong: a job takes its lock anew when it is due. */
const UNIQUE = /^(?:uniquejobs(?::|$)|unique:keys$)/

/** What stands before the names now, and from then on: `NAMESPACE:` or nothing. */
export interface Prefixes {
  from: string
  to: string
}

export interface Renamed {
  keys: number
  /** Names that were there already, so that a key kept its own. */
  taken: string[]
}

/**
 * Returns how many keys of Mastodon stand without a prefix beside those of the namespace, by kind: whoever they belong
 * to, another Mastodon or what looks like one, they would become one with ours.
 */
export async function countBare(
  redis: RedisDatabase,
  ownership: Ownership,
  prefix: string,
): Promise<Map<RedisKeyKind, number>> {
  const kindOf = classifier(ownership, '')
  const count = new Map<RedisKeyKind, number>()
  for await (const names of scan(redis)) {
    for (const name of names) {
      const kind = isWithin(name, prefix) ? undefined : kindOf(name)
      if (kind !== undefined && kind !== 'cache') count.set(kind, (count.get(kind) ?? 0) + 1)
    }
  }
  return count
}

/**
 * Gives the keys of Mastodon the names with the other prefix, but for the cache, which is made anew. Safe to repeat, and
 * to take back with the prefixes exchanged. What no pattern of this version knows keeps its name.
 *
 * @throws OutcomeUnknownError when the connection is lost in the middle.
 */
export async function renameOwned(
  redis: RedisDatabase,
  ownership: Ownership,
  { from, to }: Prefixes,
  onProgress: (keys: number) => void = () => {},
): Promise<Renamed> {
  const sum: Renamed = { keys: 0, taken: [] }
  let told = false
  for await (const pairs of batches(redis, ownership, { from, to })) {
    const reply = await redis.writeAs({ ...wordsFor(redis, { from, to }), told }, 'EVAL', ...script(pairs))
    told = true
    const [keys, taken] = (reply ?? [pairs.length, []]) as [number, string[]]
    sum.keys += keys
    sum.taken.push(...taken)
    onProgress(sum.keys)
  }
  return sum
}

type Pair = readonly [former: string, next: string]

async function* batches(redis: RedisDatabase, ownership: Ownership, { from, to }: Prefixes): AsyncGenerator<Pair[]> {
  const kindOf = classifier(ownership, from)
  const batch: Pair[] = []
  for await (const names of scan(redis)) {
    for (const name of names) {
      const kind = to !== '' && isWithin(name, to) ? undefined : kindOf(name)
      const bare = name.slice(latin(from).length)
      if (kind !== undefined && kind !== 'cache' && !UNIQUE.test(bare)) batch.push([name, latin(to) + bare])
    }
    while (batch.length >= BATCH) yield batch.splice(0, BATCH)
  }
  if (batch.length > 0) yield batch
}

function script(pairs: readonly Pair[]): (string | number | Buffer)[] {
  const names = pairs.flat().map(name => Buffer.from(name, 'latin1'))
  return [SCRIPT, names.length, ...names]
}

/** The cache has a prefix of its own: `NAMESPACE_cache:`. */
function isWithin(name: string, prefix: string): boolean {
  return [prefix, prefix.replace(/:$/, '_cache:')].some(start => name.startsWith(latin(start)))
}

function latin(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function wordsFor(redis: RedisDatabase, { from, to }: Prefixes): { exact: string; byHand: string } {
  const [former, next] = [shellQuote(from), shellQuote(to || '')].map(word => (word === "''" ? '' : word))
  const find = redis.byHand(['--scan', '--pattern', `${from}*`])
  const rename = redis
    .byHand(['RENAMENX', 'FORMER', 'NEXT'])
    .replace('FORMER', `${former}{}`)
    .replace('NEXT', `${next}{}`)
  return {
    exact: `RENAMENX ${from}NAME ${to}NAME (every key of Mastodon)`,
    byHand: `${find} | sed s/^${former}// | xargs -I {} ${rename}`,
  }
}
