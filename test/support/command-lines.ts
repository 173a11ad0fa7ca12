import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './cli.js'

/** Words that make a command do its work on a bed stack of Mastodon 4.5.3 with the demo's people. */
export interface CommandLine {
  words: readonly string[]
  stdin?: string
  /** Exit codes that count as having run; 0 where absent. */
  exits?: readonly number[]
  /** Neither looks at the instance nor changes it: only its help is asked for. */
  elsewhere?: boolean
}

/** Refused without a terminal; a dry run says what it would open. */
const TERMINAL = { exits: [0, 2] }
const DOMAIN = 'mastodon.example'

/** One line, or more, of every command. A command that is not here makes the tests that read this fail. */
export const COMMAND_LINES: Readonly<Record<string, readonly CommandLine[]>> = {
  'accounts:approve': [{ words: ['bob'] }],
  'accounts:confirm': [{ words: ['bob', '--approve'] }],
  'accounts:create': [{ words: ['carol', '--email', 'carol@mastodon.example', '--bot'] }],
  'accounts:disable-2fa': [{ words: ['alice'] }],
  'accounts:limit': [{ words: ['mallory'] }],
  'accounts:list': [{ words: ['--staff'] }],
  'accounts:make-admin': [{ words: ['bob'] }],
  'accounts:reset-password': [{ words: ['alice'] }],
  'accounts:suspend': [{ words: ['mallory', '--confirm', DOMAIN] }],
  'accounts:unsuspend': [{ words: ['mallory'] }],
  'assets:precompile': [{ words: [], exits: [0, 3] }],
  'cache:clear': [{ words: [] }],
  'config:backup': [{ words: ['--plain'] }],
  'config:restore': [{ words: ['latest', '--yes'], exits: [0, 3] }],
  'config:get': [{ words: [] }, { words: ['SECRET_KEY_BASE', 'DB_PASS'] }],
  'config:set': [{ words: ['SMTP_PASSWORD', '--no-restart'], stdin: 'VALUE\n' }],
  console: [{ words: [], ...TERMINAL }],
  cp: [{ words: ['web:/opt/mastodon/lib/mastodon/version.rb', '.'] }],
  daily: [{ words: ['--media-days', '7'] }],
  'db:backup': [{ words: ['--label', 'canary'] }],
  'db:discard': [{ words: ['--yes'] }],
  'db:drop-leftovers': [{ words: ['index_accounts_on_uri', '--yes'], exits: [2, 3] }],
  'db:backups': [{ words: [] }],
  'db:migrate': [{ words: [] }, { words: ['--phase', 'pre'] }],
  'db:prune': [{ words: ['--keep-daily', '30', '--yes'] }],
  'db:psql': [{ words: ['-c', 'SELECT 1'] }],
  'db:reset': [{ words: ['--confirm', DOMAIN] }, { words: ['--to', 'latest'], exits: [0, 2, 3] }],
  'db:restore': [{ words: ['latest', '--confirm', DOMAIN] }],
  'db:seed': [{ words: [] }],
  'db:verify': [{ words: ['latest', '--drill'] }],
  diagnose: [{ words: ['--both', '--log', '-'], stdin: 'VALUE No space left on device\n', exits: [7] }],
  doctor: [{ words: [], exits: [0, 7] }],
  'feeds:build': [{ words: ['alice'] }],
  'feeds:clear': [{ words: ['--yes'] }],
  jobs: [{ words: [] }],
  'jobs:clear': [{ words: ['default', '--yes'] }],
  'jobs:retry': [{ words: [] }],
  'jobs:run': [{ words: ['user-cleanup'] }],
  'keys:check': [{ words: [], exits: [0, 7] }],
  'keys:secrets': [{ words: ['--for', '4.7.4'] }, { words: ['--set', '--yes'] }],
  'keys:vapid': [{ words: ['--replace', '--confirm', DOMAIN] }, { words: [], exits: [3] }],
  logs: [{ words: ['-n', '20'] }],
  'maintenance:off': [{ words: [], exits: [0, 3] }],
  'maintenance:on': [{ words: [], exits: [0, 3] }],
  'media:refresh': [{ words: ['--account', 'alice'] }],
  'media:remove': [{ words: ['--days', '30'] }],
  'push:clear': [{ words: ['--yes'], exits: [3] }],
  'redis:drop-namespace': [{ words: [] }],
  'redis:cli': [{ words: ['--', 'PING'] }],
  'registrations:approved': [{ words: [] }],
  'registrations:close': [{ words: [] }],
  'registrations:open': [{ words: [] }],
  releases: [{ words: [] }],
  restart: [{ words: ['--role', 'sidekiq'] }],
  resume: [{ words: [], exits: [0, 3] }],
  rollback: [{ words: ['--confirm', DOMAIN], exits: [0, 3] }],
  rows: [{ words: [] }, { words: ['--exact', '--budget-rows', '1'], exits: [7] }],
  run: [{ words: ['--', 'cat', 'lib/mastodon/version.rb'] }],
  runs: [{ words: [] }],
  'runs:show': [{ words: ['no-such-run'], exits: [2, 3] }],
  'sandbox:start': [{ words: [], elsewhere: true }],
  'sandbox:stop': [{ words: [], elsewhere: true }],
  scale: [
    { words: [], exits: [0, 3] },
    { words: ['web=1'], exits: [0, 3] },
  ],
  // An instance stands there already.
  setup: [{ words: ['--domain', DOMAIN, '--owner', 'alice', '--owner-email', 'alice@mastodon.example'], exits: [3] }],
  shell: [{ words: [], ...TERMINAL }],
  'single-user:off': [{ words: [] }],
  'single-user:on': [{ words: [] }],
  status: [{ words: [], exits: [0, 7] }],
  'support-bundle': [{ words: [] }],
  upgrade: [
    { words: ['--check'], exits: [7] },
    { words: ['--to', '4.5.20', '--dry-run'], exits: [0, 3] },
    { words: ['--to', '4.5.20', '--rehearse', '--dry-run'], exits: [0, 3] },
  ],
}

/** Returns the ids of the commands that the built tool has. */
export function builtCommands(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as { commands: object }
  return Object.keys(manifest.commands).sort()
}

/** Returns the words with global flags in front of what is passed on after `--`. */
export function withFlags(words: readonly string[], flags: readonly string[]): string[] {
  const end = words.indexOf('--')
  return end < 0 ? [...words, ...flags] : [...words.slice(0, end), ...flags, ...words.slice(end)]
}
