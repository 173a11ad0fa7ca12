import { expect, test } from 'vitest'
import { readsRedis, replyText } from '../../../../src/lib/runbooks/db/redis-command.js'

test.each(['GET key', 'llen queue:default', 'ZRANGE retry 0 -1', 'CONFIG GET maxmemory', 'memory usage key', 'PING'])(
  '%s only reads',
  line => {
    expect(readsRedis(line.split(' '))).toBe(true)
  },
)

test.each([
  'SET key value',
  'FLUSHALL',
  'CONFIG SET save ""',
  'CONFIG',
  'EVAL script 0',
  'SORT list STORE other',
  'GETDEL key',
  'DEBUG SLEEP 10',
  'CLIENT KILL 1',
  'SUBSCRIBE channel',
  'constructor',
  '',
])('%s may write, or has no end', line => {
  expect(readsRedis(line.split(' '))).toBe(false)
})

test('replies are told in lines', () => {
  expect(replyText(null)).toBe('(nil)')
  expect(replyText(7)).toBe('7')
  expect(replyText([])).toBe('(empty)')
  expect(replyText(['a', ['b', 'c'], null])).toBe('1) a\n2) 1) b\n   2) c\n3) (nil)')
})
