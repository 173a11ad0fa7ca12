import { resolve } from 'node:path'
import { recipientProblem } from '../backups/recipient.js'
import { BACKENDS, type BackendKind, type BackupSettings, type Instance, type Mistake } from '../instance.js'
import { LOG_LEVELS } from '../output.js'

interface Variable {
  /** What it sets, for the message about an unknown variable and for the reference. */
  about: string
  allowed?: readonly string[]
  /** Returns what is wrong with a value, which may be one that must not be shown. */
  problem?: (value: string) => string | undefined
}

/** Every `MSTDN_OPS_*` variable. */
export const VARIABLES: Readonly<Record<string, Variable>> = {
  MSTDN_OPS_CONFIG: { about: 'the configuration file, in place of the two that are looked for' },
  MSTDN_OPS_INSTANCE: { about: 'the instance, like -i' },
  MSTDN_OPS_BACKEND: { about: 'the backend, like --backend', allowed: BACKENDS },
  MSTDN_OPS_PROJECT_DIR: { about: 'the compose project, like -C' },
  MSTDN_OPS_DATABASE_URL: { about: 'the database of the direct backend' },
  MSTDN_OPS_REDIS_URL: { about: 'the Redis of the direct backend' },
  MSTDN_OPS_APP: { about: 'the app on Heroku, like --app' },
  MSTDN_OPS_CHECKOUT: { about: 'a git checkout of what is deployed to Heroku, like upgrade --checkout' },
  MSTDN_OPS_UPSTREAM: {
    about: 'the git repository that releases are fetched from, in place of Mastodon’s own',
    problem: upstreamProblem,
  },
  MSTDN_OPS_ACCEPT_SELF_SIGNED: {
    about: 'accept TLS certificates of PostgreSQL and Redis that no authority has signed',
    allowed: ['0', '1', 'false', 'true'],
  },
  MSTDN_OPS_SANDBOX_DIR: { about: 'where the sandbox keeps its data' },
  MSTDN_OPS_DOMAIN: { about: 'the domain of the instance, where it cannot be read from it' },
  MSTDN_OPS_MASTODON_VERSION: { about: 'the version of Mastodon, where it cannot be read from the instance' },
  MSTDN_OPS_BACKUP_DIR: { about: 'the folder of the backups' },
  MSTDN_OPS_BACKUP_RECIPIENT: {
    about: 'whom backups are encrypted for, as an age recipient',
    problem: recipientProblem,
  },
  MSTDN_OPS_LOG_LEVEL: { about: 'how much is said on stderr, like --log-level', allowed: LOG_LEVELS },
  MSTDN_OPS_QUIET: { about: 'silent unless something is wrong, like --quiet', allowed: ['0', '1', 'false', 'true'] },
}

interface Environment {
  values: Partial<
    Pick<
      Instance,
      | 'databaseUrl'
      | 'redisUrl'
      | 'app'
      | 'checkout'
      | 'upstream'
      | 'acceptSelfSigned'
      | 'sandboxDir'
      | 'domain'
      | 'mastodonVersion'
      | 'projectDir'
      | 'budget'
      | 'backups'
    >
  > & {
    instance?: string
    backend?: BackendKind
  }
  mistakes: Mistake[]
}

/** Returns what `MSTDN_OPS_*` sets, and every mistake in it: unknown names and values that are not allowed. */
export function environmentOf(env: NodeJS.ProcessEnv): Environment {
  const set = Object.entries(env).filter(
    ([name, value]) => name.startsWith('MSTDN_OPS_') && value !== undefined && value !== '',
  )
  const mistakes = set.flatMap(([name, value]) => mistakeIn(name, value ?? ''))
  const values = Object.fromEntries(
    Object.entries({
      instance: env.MSTDN_OPS_INSTANCE,
      backend: env.MSTDN_OPS_BACKEND,
      projectDir: env.MSTDN_OPS_PROJECT_DIR,
      databaseUrl: env.MSTDN_OPS_DATABASE_URL,
      redisUrl: env.MSTDN_OPS_REDIS_URL,
      app: env.MSTDN_OPS_APP,
      checkout: env.MSTDN_OPS_CHECKOUT && resolve(env.MSTDN_OPS_CHECKOUT),
      upstream: env.MSTDN_OPS_UPSTREAM,
      acceptSelfSigned: booleanOf(env.MSTDN_OPS_ACCEPT_SELF_SIGNED),
      sandboxDir: env.MSTDN_OPS_SANDBOX_DIR,
      domain: env.MSTDN_OPS_DOMAIN,
      mastodonVersion: env.MSTDN_OPS_MASTODON_VERSION,
      backups: backupsOf(env),
    }).filter(([, value]) => value !== undefined && value !== ''),
  ) as Environment['values']
  return { values, mistakes }
}

/** Git would take `ext::` for a command; a password would stand in arguments. Undefined: nothing is wrong with it. */
export function upstreamProblem(value: string): string | undefined {
  if (/^(https:\/\/[^@\s]+|ssh:\/\/\S+|git@\S+|\/\S+)$/.test(value)) return undefined
  return 'must be a repository for git: an https:// URL without a login, or an absolute folder'
}

function backupsOf(env: NodeJS.ProcessEnv): BackupSettings {
  const { MSTDN_OPS_BACKUP_DIR: dir, MSTDN_OPS_BACKUP_RECIPIENT: recipient } = env
  return { ...(dir && { dir: resolve(dir) }), ...(recipient && { recipient }) }
}

function booleanOf(value: string | undefined): boolean | undefined {
  return value === undefined || value === '' ? undefined : ['1', 'true'].includes(value)
}

function mistakeIn(name: string, value: string): Mistake[] {
  const variable = VARIABLES[name]
  if (variable === undefined) {
    return [
      {
        place: `environment ${name}`,
        problem: 'is not a variable of mstdn-ops',
        allowed: Object.keys(VARIABLES).join(', '),
      },
    ]
  }
  const problem = variable.problem?.(value)
  if (problem !== undefined) return [{ place: `environment ${name}`, problem }]
  if (variable.allowed === undefined || variable.allowed.includes(value)) return []
  return [{ place: `environment ${name}`, problem: `is "${value}"`, allowed: variable.allowed.join(', ') }]
}
