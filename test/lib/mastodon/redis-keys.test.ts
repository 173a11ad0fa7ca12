import { expect, test } from 'vitest'
import { keyPattern, mayBeApart, redisKeysOf } from '../../../src/lib/mastodon/redis-keys.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion
const ERAS = ['1.3.3', '2.4.5', '3.5.13', '4.3.8', '4.5.3', '4.7.2']

function globsOf(version: string): string[] {
  return redisKeysOf(of(version)).flatMap(keys => keys.globs)
}

/** Which of {@link ERAS} the pattern belongs to. */
test.each<[string, string[]]>([
  ['feed:[a-z]*:[0-9]*', ERAS],
  ['cache:*', ERAS],
  ['queue:*', ERAS],
  ['uniquejobs:*', ERAS],
  ['sidekiq-scheduler:*', ERAS],
  ['stoplight:*', ERAS.slice(1)],
  ['unavailable_inboxes', ERAS.slice(1)],
  ['lock:create:*', ERAS.slice(2)],
  ['create:http*://*', ERAS.slice(1)],
  ['interactions:[0-9]*', ERAS.slice(1)],
  ['trending_links:*', ERAS.slice(2)],
  ['chewy:queue:*', ERAS.slice(2)],
  ['notif-group/[0-9]*', ERAS.slice(3)],
  ['worker_batch:*', ERAS.slice(4)],
  ['antispam:spammy_texts', ERAS.slice(4)],
  ['wrapstodon:[0-9]*:[0-9]*', ERAS.slice(5)],
])('%s was written by a version up to %o', (glob, versions) => {
  expect(ERAS.filter(version => globsOf(version).includes(glob))).toEqual(versions)
})

test('what an earlier version has left is Mastodon’s too', () => {
  const left = redisKeysOf(of('4.7.2')).filter(keys => keys.before !== undefined)
  expect(left.flatMap(keys => keys.globs)).toContain('spam_check:[0-9]*')
})

test('no pattern stands twice, and none takes every key', () => {
  const globs = globsOf('4.7.2')
  expect(new Set(globs).size).toBe(globs.length)
  expect(globs.filter(glob => !/^(?:[a-z0-9]|\[0-9\])/.test(glob))).toEqual(
    globs.filter(glob => glob.startsWith('*:[0-9]*:[0-9a-f]')),
  )
})

test('the namespace stands before the key; the cache has its own', () => {
  const [feeds] = redisKeysOf(of('4.3.8')).filter(keys => keys.kind === 'feeds')
  const [cache] = redisKeysOf(of('4.3.8')).filter(keys => keys.kind === 'cache')
  if (feeds === undefined || cache === undefined) throw new Error('there are none')
  expect(keyPattern(feeds, 'feed:*', '')).toBe('feed:*')
  expect(keyPattern(feeds, 'feed:*', 'a*b:')).toBe('a\\*b:feed:*')
  expect(keyPattern(cache, 'cache:*', '')).toBe('cache:*')
  expect(keyPattern(cache, 'cache:*', 'town:')).toBe('town_cache:*')
})

test.each([
  ['2.3.3', []],
  ['2.4.0', ['cache']],
  ['3.3.0', ['cache']],
  ['3.4.0', ['cache', 'sidekiq']],
  ['4.7.2', ['cache', 'sidekiq']],
])('%s reads a server of its own for %o', (version, roles) => {
  expect((['main', 'cache', 'sidekiq'] as const).filter(role => mayBeApart(of(version), role))).toEqual(roles)
})
