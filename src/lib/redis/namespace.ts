import type { RedisKeyKind } from '../mastodon/redis-keys.js'
import { shellQuote } from '../text.js'
import type { RedisDatabase } from './access.js'
import { classifier, type Ownership, scan } from './owned.js'

/** Names at a time: what one script holds the server up with. */
const BATCH = 500

/**
 * Gives each key another name, unless it is gone by now; returns how many there were. Where the name is taken, what both
 * hold becomes one: jobs are put where they are taken next, numbers are added, and of anything else the taken name's stays.
 * A script, so that a batch costs one answer; RENAMENX copies nothing.
 */
const SCRIPT = `local function chunks(list, size, use)
  for i = 1, #list, size do use({unpack(list, i, math.min(i + size - 1, #list))}) end
end
local merge = {
  list = function(from, to)
    chunks(redis.call('LRANGE', from, 0, -1), 1000, function(part) redis.call('RPUSH', to, unpack(part)) end)
  end,
  set = function(from, to)
    chunks(redis.call('SMEMBERS', from), 1000, function(part) redis.call('SADD', to, unpack(part)) end)
  end,
  zset = function(from, to)
    local flat = redis.call('ZRANGE', from, 0, -1, 'WITHSCORES')
    for i = 1, #flat, 2 do redis.call('ZADD', to, flat[i + 1], flat[i]) end
  end,
  string = function(from, to)
    local more = redis.call('GET', from)
    if string.match(more, '^%d+$') and string.match(redis.call('GET', to), '^%d+$') then redis.call('INCRBY', to, more) end
  end,
}
local renamed = 0
for i = 1, #KEYS, 2 do
  local from, to = KEYS[i], KEYS[i + 1]
  if redis.call('EXISTS', from) == 1 then
    if redis.call('RENAMENX', from, to) == 0 then
      local kind = redis.call('TYPE', from).ok
      if merge[kind] and redis.call('TYPE', to).ok == kind then merge[kind](from, to) end
      redis.call('DEL', from)
    end
    renamed = renamed + 1
  end
end
return renamed`

/** Locks of sidekiq-unique-jobs hold whole names inside, which would be wrong: a job takes its lock anew when it is due. */
const UNIQUE = /^(?:uniquejobs(?::|$)|unique:keys$)/

/** What stands before the names now, and from then on: `NAMESPACE:` or nothing. */
export interface Prefixes {
  from: string
  to: string
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
      const kind = isWithin(name, prefix) || isOfNamespace(name) ? undefined : kindOf(name)
      if (kind !== undefined && kind !== 'cache') count.set(kind, (count.get(kind) ?? 0) + 1)
    }
  }
  return count
}

/**
 * Gives the keys of Mastodon the names with the other prefix, but for the cache, which is made anew. Safe to repeat, and
 * to take back with the prefixes exchanged. What no pattern of this version knows keeps its name.
 *
 * @returns how many keys got another name
 * @throws OutcomeUnknownError when the connection is lost in the middle.
 */
export async function renameOwned(
  redis: RedisDatabase,
  ownership: Ownership,
  { from, to }: Prefixes,
  onProgress: (keys: number) => void = () => {},
): Promise<number> {
  let sum = 0
  let told = false
  for await (const pairs of batches(redis, ownership, { from, to })) {
    const renamed = await redis.writeAs({ ...wordsFor(redis, { from, to }), told }, 'EVAL', ...script(pairs))
    told = true
    sum += Number(renamed ?? pairs.length)
    onProgress(sum)
  }
  return sum
}

/** Removes the locks of unique jobs that stand without a prefix; returns how many there were. */
export async function dropBareLocks(redis: RedisDatabase): Promise<number> {
  let sum = 0
  for await (const names of scan(redis)) {
    const locks = names.filter(name => UNIQUE.test(name)).map(name => Buffer.from(name, 'latin1'))
    if (locks.length === 0) continue
    const words = { exact: 'DEL uniquejobs:…', told: sum > 0 }
    sum += Number((await redis.writeAs(words, 'DEL', ...locks)) ?? locks.length)
  }
  return sum
}

type Pair = readonly [former: string, next: string]

async function* batches(redis: RedisDatabase, ownership: Ownership, { from, to }: Prefixes): AsyncGenerator<Pair[]> {
  const kindOf = classifier(ownership, from)
  const batch: Pair[] = []
  for await (const names of scan(redis)) {
    for (const name of names) {
      const others = from === '' && (isWithin(name, to) || isOfNamespace(name))
      const kind = others ? undefined : kindOf(name)
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

/** A process of Sidekiq under another namespace: no host has a colon in its name. */
function isOfNamespace(name: string): boolean {
  return /^[^:]*:.*:\d+:[0-9a-f]{12}(?:$|:work|-signals)/.test(name)
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
