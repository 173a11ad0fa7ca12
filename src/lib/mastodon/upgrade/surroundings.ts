import type { Role } from '../../backends/backend.js'
import type { Migration } from '../migrations.js'

/**
 * What is known of an instance before an upgrade, as plain data: a runbook gathers it, the plan judges it. What could
 * not be looked at is null, and then a need is `unknown` rather than met.
 */
export interface UpgradeSurroundings {
  /** As the app prints it: `4.2.9`, `4.3.2+glitch`. */
  installed: string
  schema: SchemaFound | null
  servers: ServersFound
  /** Ruby and Node.js: `shipped` where each release brings its own, as images and platforms that build do. */
  runtimes: RuntimesFound | 'shipped' | null
  variables: VariablesFound | null
  services: readonly ServiceFound[] | null
  /** The queues that the Sidekiq processes listen to. */
  queues: readonly string[] | null
  can: Capabilities
}

/** What the platform can do: by this an upgrade differs, never by the platform's name. */
export interface Capabilities {
  /** Processes run images that are named in files: a release is another tag. */
  images: boolean
  /** Processes of another release can run beside those that serve. */
  beside: boolean
  /** A changed variable takes effect at once: the platform starts the processes anew by itself. */
  appliesAtOnce: boolean
}

export interface SchemaFound {
  /** The versions in schema_migrations. */
  applied: readonly string[]
  /** The migrations of the installed release; null where its files cannot be listed. */
  files: readonly Migration[] | null
}

export interface ServersFound {
  /** PostgreSQL's `server_version_num`, like 150018. */
  postgres: number | null
  /** `redis_version`, like `7.0.15`. */
  redis: string | null
}

export interface RuntimesFound {
  ruby: string | null
  node: string | null
}

/** Names alone: their values may be secrets. */
export interface VariablesFound {
  /** Those that have a value. */
  set: readonly string[]
  /** Secrets whose value the app takes for none: a placeholder. */
  unusable: readonly string[]
}

export interface ServiceFound {
  name: string
  role: Role
  image: string | null
  command: string | null
  healthCommand: string | null
}
