import { RefusedError } from '../../errors.js'
import type { Toolbox } from '../../toolbox.js'
import { sentOnce } from './sent-once.js'

/** Commands that change nothing and give an end (Redis 7, commands.json: flag `readonly`, and the harmless others). */
const READING = new Set(
  `bitcount bitpos dbsize dump echo exists expiretime geodist geohash geopos geosearch get getbit getrange hexists hget
  hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals info keys lastsave lcs lindex llen lolwut lpos lrange mget ping
  pexpiretime pfcount pttl randomkey scan scard sdiff sinter sintercard sismember smembers smismember srandmember sscan
  strlen sunion time ttl type xinfo xlen xpending xrange xrevrange zcard zcount zdiff zinter zintercard zlexcount zmscore
  zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore
  zunion role`.split(/\s+/),
)

/** Of these only some subcommands read. */
const READING_PARTS = new Map([
  ['acl', ['list', 'users', 'whoami', 'cat', 'getuser', 'log']],
  ['client', ['list', 'info', 'id', 'getname']],
  ['cluster', ['info', 'nodes', 'slots', 'shards']],
  ['command', ['count', 'docs', 'info', 'list']],
  ['config', ['get']],
  ['latency', ['doctor', 'history', 'latest']],
  ['memory', ['doctor', 'stats', 'usage']],
  ['object', ['encoding', 'freq', 'idletime', 'refcount']],
  ['slowlog', ['get', 'len']],
])

/** Whether the command only reads. */
export function readsRedis([name = '', part = '']: readonly string[]): boolean {
  const command = name.toLowerCase()
  return READING.has(command) || (READING_PARTS.get(command)?.includes(part.toLowerCase()) ?? false)
}

/**
 * Returns the server's reply to a command that only reads.
 *
 * @throws RefusedError for a command that may write.
 */
export async function readRedis(toolbox: Toolbox, words: readonly string[]): Promise<unknown> {
  if (!readsRedis(words)) throw writes(words[0] ?? '')
  const [command = '', ...args] = words
  return (await toolbox.redis()).read(command, ...args)
}

/** Carries out one writing command of the operator's. */
export const redisCommand = sentOnce<{ words: readonly string[] }>({
  name: 'redis:cli',
  title: 'Send the command to Redis',
  send: async (toolbox, { words }) => {
    const [command = '', ...args] = words
    return replyText(await (await toolbox.redis()).write(command, ...args))
  },
})

/** Returns a reply as lines: one for each element, nested ones indented. */
export function replyText(reply: unknown, indent = ''): string {
  if (reply === null || reply === undefined) return `${indent}(nil)`
  if (!Array.isArray(reply)) return `${indent}${Buffer.isBuffer(reply) ? reply.toString() : String(reply)}`
  if (reply.length === 0) return `${indent}(empty)`
  return reply
    .map((part, at) => {
      const text = replyText(part, `${indent}   `).trimStart()
      return `${indent}${at + 1}) ${text}`
    })
    .join('\n')
}

function writes(command: string): RefusedError {
  return new RefusedError({
    code: 'command-writes',
    message: `${command.toUpperCase()} is no command that only reads: it was not sent.`,
    next: 'Add --write to send it; with --dry-run it is only shown.',
  })
}
