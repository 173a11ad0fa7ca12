import { inRange, type MastodonVersion, type VersionRange } from './version.js'

/** A queue that some Sidekiq process must listen to. */
export interface Queue extends VersionRange {
  name: string
  /** What stands still when nobody listens to it. */
  carries: string
  /** Only one process may listen to it: each one would start the regular jobs. */
  single?: boolean
}

/** Source: config/sidekiq.yml of each release. */
const QUEUES: readonly Queue[] = [
  { name: 'default', since: '1.3.0', carries: 'feeds, notifications and most other work' },
  { name: 'push', since: '1.3.0', carries: 'what is sent to other servers' },
  { name: 'ingress', since: '4.0.0', carries: 'what other servers send, and will not send again' },
  { name: 'mailers', since: '1.3.0', carries: 'mails' },
  { name: 'pull', since: '1.3.0', carries: 'what is fetched from other servers' },
  { name: 'scheduler', since: '3.3.0', carries: 'all regular jobs, cleaning up among them', single: true },
  { name: 'fasp', since: '4.4.0', carries: 'what auxiliary service providers are told and tell' },
]

/** The queues that must be listened to. */
export function queuesOf(version: MastodonVersion): readonly Queue[] {
  return QUEUES.filter(queue => inRange(version, queue))
}

/** The names of the queues that must be listened to and are not among `listened`. */
export function missingQueues(version: MastodonVersion, listened: Iterable<string>): readonly Queue[] {
  const heard = new Set(listened)
  return queuesOf(version).filter(queue => !heard.has(queue.name))
}

const SIDEKIQ_MAJORS: readonly (VersionRange & { majors: readonly number[] })[] = [
  { since: '3.5.0', before: '4.4.0', majors: [6] },
  { since: '4.4.0', before: '4.5.0', majors: [7] },
  { since: '4.5.0', before: '4.6.0', majors: [7, 8] },
  { since: '4.6.0', majors: [8] },
]

/**
 * The major versions of Sidekiq that a release may come with, for a health check that looks for `sidekiq N` among
 * the processes. 4.5 came with 7 first and with 8 in later patch releases. Empty before 3.5.0: not recorded.
 * Source: the health checks in docker-compose.yml of each release.
 */
export function sidekiqMajors(version: MastodonVersion): readonly number[] {
  return SIDEKIQ_MAJORS.find(row => inRange(version, row))?.majors ?? []
}

/**
 * What stands before every key of Sidekiq and the feeds in Redis: `NAMESPACE:` or nothing.
 * REDIS_NAMESPACE is honoured from 1.4.1 to 4.3; from 4.4.0 on the app does not start while it is set.
 */
export function redisKeyPrefix(version: MastodonVersion, namespace: string | undefined): string {
  return namespace && inRange(version, { since: '1.4.1', before: '4.4.0' }) ? `${namespace}:` : ''
}
