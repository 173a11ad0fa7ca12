import type { MastodonVersion } from './version.js'

/**
 * Returns a path that the web process answers without touching the database: /health, static from 3.4.0 on (3.0 to 3.3
 * test the database as well). Before 3.0.0 there is none but the instance's own description.
 */
export function webHealthPath(version: MastodonVersion): string {
  return version.atLeast('3.0.0') ? '/health' : INSTANCE_PATH
}

/** What the web process answers from the database (all versions; 401 in limited federation mode is an answer too). */
export const INSTANCE_PATH = '/api/v1/instance'

/** Returns the path that the streaming process answers on port 4000; undefined before 2.5.0, which has none. */
export function streamingHealthPath(version: MastodonVersion): string | undefined {
  return version.atLeast('2.5.0') ? '/api/v1/streaming/health' : undefined
}

/** What REDIS_NAMESPACE does: honoured from 1.4.1, announced to go in 4.3, stops the app from starting from 4.4.0. */
export function redisNamespaceState(version: MastodonVersion): 'honoured' | 'going' | 'fatal' {
  if (version.atLeast('4.4.0')) return 'fatal'
  return version.atLeast('4.3.0') ? 'going' : 'honoured'
}

/** Whether RAILS_ENV must be set: the app does not start without it from 3.3.0, and took `development` before. */
export function railsEnvIsMandatory(version: MastodonVersion): boolean {
  return version.atLeast('3.3.0')
}

/** Whether the encryption keys (ACTIVE_RECORD_ENCRYPTION_*) are a part of the release. */
export function hasEncryptionKeys(version: MastodonVersion): boolean {
  return version.atLeast('4.3.0')
}

/** Whether losing the encryption keys loses the private keys of local accounts: they are kept encrypted from 4.7.0. */
export function encryptsPrivateKeys(version: MastodonVersion): boolean {
  return version.atLeast('4.7.0')
}

/** Whether the release knows VAPID keys. */
export function hasPushKeys(version: MastodonVersion): boolean {
  return version.atLeast('1.5.0')
}

/**
 * Returns the Sidekiq majors that a health check command looks for (`grep '[s]idekiq\ [78]'`), empty when it names none.
 */
export function sidekiqMajorsIn(healthCommand: string): number[] {
  const [, named = ''] = /idekiq[\s\\]*(\[\d+\]|\d+)/i.exec(healthCommand) ?? []
  return named.startsWith('[') ? [...named.slice(1, -1)].map(Number) : named === '' ? [] : [Number(named)]
}

/**
 * Returns the words that fill the search index anew, which knows what the database held before it was replaced;
 * undefined before 2.8.0, which has no command for it (lib/mastodon/search_cli.rb @v2.8.0).
 */
export function reindexWords(version: MastodonVersion): readonly string[] | undefined {
  return version.atLeast('2.8.0') ? ['bin/tootctl', 'search', 'deploy'] : undefined
}
