import { expect, test } from 'vitest'
import { missingQueues, queuesOf, redisKeyPrefix, sidekiqMajors } from '../../../src/lib/mastodon/queues.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion
const names = (version: string) => queuesOf(of(version)).map(queue => queue.name)

test.each([
  ['1.3.0', ['default', 'push', 'mailers', 'pull']],
  ['3.2.2', ['default', 'push', 'mailers', 'pull']],
  ['3.3.0', ['default', 'push', 'mailers', 'pull', 'scheduler']],
  ['4.0.0', ['default', 'push', 'ingress', 'mailers', 'pull', 'scheduler']],
  ['4.3.8', ['default', 'push', 'ingress', 'mailers', 'pull', 'scheduler']],
  ['4.4.0', ['default', 'push', 'ingress', 'mailers', 'pull', 'scheduler', 'fasp']],
])('%s listens to %o', (version, queues) => {
  expect(names(version)).toEqual(queues)
})

test('a process list from before 4.0 misses the queue of what other servers send', () => {
  const old = ['default', 'push', 'mailers', 'pull', 'scheduler']
  expect(missingQueues(of('4.3.8'), old).map(queue => queue.name)).toEqual(['ingress'])
  expect(missingQueues(of('3.5.13'), old)).toEqual([])
})

test.each([
  ['3.4.10', []],
  ['3.5.13', [6]],
  ['4.3.8', [6]],
  ['4.4.0', [7]],
  ['4.5.3', [7, 8]],
  ['4.7.2', [8]],
])('%s comes with Sidekiq %o', (version, majors) => {
  expect(sidekiqMajors(of(version))).toEqual(majors)
})

test.each([
  ['1.3.3', ''],
  ['1.4.1', 'example:'],
  ['4.3.8', 'example:'],
  ['4.4.0', ''],
])('%s puts "%s" before its keys', (version, prefix) => {
  expect(redisKeyPrefix(of(version), 'example')).toBe(prefix)
  expect(redisKeyPrefix(of(version), undefined)).toBe('')
  expect(redisKeyPrefix(of(version), '')).toBe('')
})

test('only the queue of regular jobs is for one process alone', () => {
  expect(
    queuesOf(of('4.5.3'))
      .filter(queue => queue.single)
      .map(queue => queue.name),
  ).toEqual(['scheduler'])
})
