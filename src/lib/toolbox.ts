import type { Backend } from './backends/backend.js'
import type { Instance } from './instance.js'
import type { Ledger } from './ledger.js'
import type { MastodonApp } from './mastodon/app.js'
import type { RedisRole } from './mastodon/redis-keys.js'
import type { Output } from './output.js'
import type { Database } from './postgres/access.js'
import type { RedisDatabase } from './redis/access.js'
import type { Runner } from './runner.js'

/** The present time; passed in so that tests need not wait. */
export interface Clock {
  now(): Date
}

/** The one record that is passed in: everything that a runbook, a check or a query may use. */
export interface Toolbox {
  readonly instance: Instance
  readonly backend: Backend
  readonly runner: Runner
  readonly ledger: Ledger
  readonly output: Output
  readonly clock: Clock
  readonly dryRun: boolean
  /** What is known of this Mastodon: version, domain, and its commands through the Catalogue. */
  readonly app: MastodonApp
  /** The instance's PostgreSQL, connected on first use. */
  database(): Promise<Database>
  /** Ends the session with the instance's PostgreSQL, which would be in the way of renaming; the next use connects anew. */
  letGoOfDatabase(): Promise<void>
  /** The instance's Redis with what has this role, the main one where none is named; connected on first use. */
  redis(role?: RedisRole): Promise<RedisDatabase>
  /** Ends the connections with Redis, which may lead through a process that is about to go; the next use connects anew. */
  letGoOfRedis(): Promise<void>
  close(): Promise<void>
}
