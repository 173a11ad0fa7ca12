import type { Toolbox } from '../../toolbox.js'
import { theUser } from '../accounts/user.js'
import { appOperation } from './app-operation.js'

/** Empties the Rails cache. */
export const clearCache = appOperation<object, 'cache.clear'>({
  name: 'cache:clear',
  operation: 'cache.clear',
  title: () => 'Clear the cache',
  params: () => ({}),
})

export interface FeedsBuildOptions {
  /** The local name or the e-mail address of one user; without it the feeds of everybody. */
  user?: string
  concurrency?: number
  skipFilled?: boolean
}

/** Builds home feeds anew from the database. */
export const buildFeeds = appOperation<FeedsBuildOptions, 'feeds.build'>({
  name: 'feeds:build',
  operation: 'feeds.build',
  long: true,
  title: ({ user }) => (user === undefined ? 'Build the home feeds of everybody' : `Build the home feed of ${user}`),
  params: async (toolbox, { user, concurrency, skipFilled }) => ({
    ...(user === undefined ? {} : { username: (await theUser(toolbox, user)).username }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(skipFilled ? { skipFilledTimelines: true } : {}),
  }),
})

/** Empties the home feeds: each is built anew when its owner comes back, or by feeds:build. */
export const clearFeeds = appOperation<object, 'feeds.clear'>({
  name: 'feeds:clear',
  operation: 'feeds.clear',
  title: () => 'Clear the home feeds of everybody',
  params: () => ({}),
  isDone: areFeedsGone,
  consent: async () => ({
    kind: 'yes',
    question: 'Everybody sees an empty home feed until it is built anew. Go on?',
  }),
})

/** Home feeds are the keys feed:home:ID (app/lib/feed_manager.rb, all versions). */
async function areFeedsGone(toolbox: Toolbox): Promise<boolean> {
  const redis = await toolbox.redis()
  let cursor = '0'
  do {
    const page = await redis.read('SCAN', cursor, 'MATCH', redis.key('feed:home:*'), 'COUNT', 1000)
    const [next, keys] = page as [string, string[]]
    if (keys.length > 0) return false
    cursor = String(next)
  } while (cursor !== '0')
  return true
}

/** Ends subscriptions to remote accounts that nobody follows (up to 2.5). */
export const clearPush = appOperation<object, 'push.clear'>({
  name: 'push:clear',
  operation: 'push.clear',
  title: () => 'End subscriptions to remote accounts that nobody follows',
  params: () => ({}),
})
