import { OK, operation, rails, rake, tootctl } from './rows.js'

export type Phase = 'pre' | 'post' | 'all'

export interface PhaseParams {
  /** `pre` leaves the post-deployment migrations out; `post` and `all` run whatever is pending. */
  phase: Phase
}

type None = Record<never, never>

const RAILS_ENV = () => ({ RAILS_ENV: 'production' })
const DB_RAKE = 'lib/tasks/db.rake'
const MASTODON_RAKE = 'lib/tasks/mastodon.rake'
const VAPID_LINES = /^VAPID_PRIVATE_KEY=\S+\r?\nVAPID_PUBLIC_KEY=\S+$/m
const ENCRYPTION_LINES = /(?:^ACTIVE_RECORD_ENCRYPTION_\w+=[A-Za-z0-9]{32}\s*){3}/m
/** Any non-empty value counts, even `false`, so for the other phases the variable must be absent. */
const skipPost = ({ phase }: PhaseParams): Record<string, string> =>
  phase === 'pre' ? { SKIP_POST_DEPLOYMENT_MIGRATIONS: 'true' } : {}

const migrate = { argv: () => rails('db:migrate'), failure: /^rails aborted!|^rake aborted!/m, boots: true } as const

export const secretOperations = {
  'secrets.secret': operation<None>('make a secret', [
    {
      since: '1.3.0',
      before: '4.3.0',
      argv: () => rake('secret'),
      success: /^[0-9a-f]{128}$/m,
      boots: false,
      printsSecret: true,
      note: '64 random bytes as hexadecimal digits: the same can be made without the app.',
      source: 'Rails, railties misc.rake; .env.production.sample @v1.3.0, @v4.2.0',
    },
    {
      since: '4.3.0',
      argv: () => rails('secret'),
      success: /^[0-9a-f]{128}$/m,
      boots: false,
      printsSecret: true,
      note: '64 random bytes as hexadecimal digits: the same can be made without the app.',
      source: 'Rails, commands/secret/secret_command.rb; .env.production.sample @v4.3.0 (8de5df225e)',
    },
  ]),

  'secrets.vapid': operation<None>('make a pair of VAPID keys', [
    {
      since: '1.3.0',
      before: '1.5.0',
      lacking: 'web push came with 1.5.0',
      instead: 'Nothing is to be done: this release sends no push messages to browsers.',
      source: `${MASTODON_RAKE} @v1.5.0`,
    },
    {
      since: '1.5.0',
      before: '3.5.0',
      argv: () => rake('mastodon:webpush:generate_vapid_key'),
      success: VAPID_LINES,
      boots: true,
      printsSecret: true,
      note: 'Loads the whole app, so from 2.3.0 on SECRET_KEY_BASE and OTP_SECRET must be set before.',
      source: `${MASTODON_RAKE} @v1.5.0`,
    },
    {
      since: '3.5.0',
      argv: () => rake('mastodon:webpush:generate_vapid_key'),
      success: VAPID_LINES,
      boots: false,
      printsSecret: true,
      source: `${MASTODON_RAKE} @v3.5.0`,
    },
  ]),

  'secrets.encryptionInit': operation<None>('make the database encryption keys', [
    {
      since: '1.3.0',
      before: '4.3.0',
      lacking: 'the keys came with 4.3.0',
      instead: 'Nothing is to be done before the upgrade to 4.3.0, which needs them set first.',
      source: `${DB_RAKE} @v4.3.0`,
    },
    {
      since: '4.3.0',
      argv: () => rails('db:encryption:init'),
      success: ENCRYPTION_LINES,
      exitMayLie: true,
      boots: false,
      printsSecret: true,
      note: 'Where one of the three is set already, newer releases print a notice and no keys, exit code 0.',
      source: `${DB_RAKE} @v4.3.0, @v4.3.4`,
    },
  ]),
}

export const databaseOperations = {
  'db.migrate': operation<PhaseParams>('migrate the database', [
    {
      ...migrate,
      since: '1.3.0',
      before: '2.5.0',
      note: 'There are no post-deployment migrations before 2.5.0: every phase is the same. From 1.4.2 to 2.4.5 coming from 1.4.1 or older, db.preparePreForeignKeys goes first.',
      source: `${DB_RAKE} @v1.4.1; db/post_migrate @v2.5.0`,
    },
    {
      ...migrate,
      since: '2.5.0',
      before: '3.4.0',
      env: skipPost,
      source: 'b9c3788485, db/post_migrate @v2.5.0',
    },
    {
      ...migrate,
      since: '3.4.0',
      before: '4.4.0',
      env: skipPost,
      failure: /^(rails|rake) aborted!|requires PostgreSQL/m,
      note: 'Refuses a PostgreSQL that is too old: stderr, exit code 1.',
      source: `${DB_RAKE} @v3.4.0`,
    },
    {
      ...migrate,
      since: '4.4.0',
      env: skipPost,
      failure: /^(rails|rake) aborted!|requires PostgreSQL/m,
      note: 'Skipping is refused on a database older than two minor series: 4.2.0 from 4.4.0 on, 4.3.0 from 4.7.0 on.',
      source: `${DB_RAKE} @v4.4.0, @v4.7.0-beta.1`,
    },
  ]),

  'db.pendingMigrations': operation<None>('ask whether migrations are pending', [
    {
      since: '1.3.0',
      argv: () => rails('db:abort_if_pending_migrations'),
      failure: /pending migrations?/,
      boots: true,
      note: 'Exit code 1 is the answer "some are pending".',
      source: 'Rails, activerecord databases.rake',
    },
  ]),

  'db.seed': operation<None>('fill the database with its first rows', [
    {
      since: '1.3.0',
      before: '4.0.0',
      argv: () => rails('db:seed'),
      boots: true,
      note: 'Not to be run twice: it makes the web application entry a second time or fails.',
      source: 'db/seeds.rb @v1.3.0, @v3.0.0',
    },
    {
      since: '4.0.0',
      argv: () => rails('db:seed'),
      boots: true,
      note: 'May be run again. Makes the default roles too.',
      source: 'db/seeds.rb @v4.0.0',
    },
  ]),

  'db.setup': operation<None>('create the database', [
    {
      since: '1.3.0',
      before: '2.0.0',
      argv: () => rails('db:setup'),
      boots: true,
      destructive: true,
      note: 'Erases what is there. Rails refuses on a production database that has rows.',
      source: 'Rails, activerecord databases.rake',
    },
    {
      since: '2.0.0',
      argv: () => rails('db:setup'),
      env: () => ({ SAFETY_ASSURED: '1' }),
      boots: true,
      destructive: true,
      note: 'Erases what is there. Rails refuses on a production database that has rows.',
      source: `${DB_RAKE} @v2.0.0; ${MASTODON_RAKE} @v2.3.1`,
    },
  ]),

  'db.preparePreForeignKeys': operation<None>('delete orphaned rows before the first foreign keys', [
    {
      since: '1.3.0',
      before: '1.4.2',
      lacking: 'the foreign keys came with 1.4.2',
      instead: 'Nothing is to be done.',
      source: `${MASTODON_RAKE} @v1.4.2`,
    },
    {
      since: '1.4.2',
      before: '2.6.0',
      argv: () => rake('mastodon:maintenance:prepare_for_foreign_keys'),
      boots: true,
      destructive: true,
      note: 'To be run before migrating from 1.4.1 or older. Prints nothing.',
      source: `${MASTODON_RAKE} @v1.4.2 (75c6513c67), @v2.5.2`,
    },
    {
      since: '2.6.0',
      lacking: 'the task was removed in 2.6.0',
      instead: 'Upgrade from 1.4.1 through a release between 1.4.2 and 2.5.2.',
      source: `${MASTODON_RAKE} @v2.6.0`,
    },
  ]),
}

const precompile = {
  argv: () => rails('assets:precompile'),
  env: RAILS_ENV,
  failure: /^(rails|rake) aborted!|Compilation failed/m,
  boots: true,
} as const

/** Left out, the setting stays as it is. */
const reasonFlag = (required: boolean | undefined): readonly string[] =>
  required === undefined ? [] : [required ? '--require-reason' : '--no-require-reason']

export const appOperations = {
  'assets.precompile': operation<None>('compile the assets', [
    { ...precompile, since: '1.3.0', before: '1.4.1', note: 'Sprockets: public/assets.', source: 'Gemfile @v1.3.0' },
    {
      ...precompile,
      since: '1.4.1',
      before: '4.4.0',
      note: 'Sprockets and webpacker: public/assets, public/packs. `yarn install` goes first. CDN_HOST counts at build time up to 3.2.',
      source: 'Gemfile @v1.4.1, @v4.3.0',
    },
    {
      ...precompile,
      since: '4.4.0',
      before: '4.7.0',
      note: 'vite_rails. There is no webpacker:compile any more.',
      source: 'Gemfile @v4.4.0',
    },
    { ...precompile, since: '4.7.0', note: "Mastodon's own Vite tasks.", source: 'lib/tasks @v4.7.0-beta.1' },
  ]),

  version: operation<None>('print its version', [
    {
      since: '1.3.0',
      before: '2.7.0',
      argv: () => rails('runner', 'puts Mastodon::Version.to_s'),
      success: /^\d+\.\d+\.\d+/m,
      boots: true,
      source: 'lib/mastodon/version.rb @v1.3.0',
    },
    {
      since: '2.7.0',
      argv: () => tootctl('version'),
      success: /^\d+\.\d+\.\d+/m,
      boots: true,
      source: 'lib/cli.rb @v2.7.0 (3c218cd76d)',
    },
  ]),

  console: operation<None>('open the Rails console', [
    {
      since: '1.3.0',
      argv: () => rails('console'),
      boots: true,
      interactive: true,
      source: 'Rails',
    },
  ]),

  shell: operation<None>('open a shell', [
    {
      since: '1.3.0',
      argv: () => ['sh'],
      boots: false,
      interactive: true,
      note: 'bash is not in every image.',
      source: 'Dockerfile @v1.3.0',
    },
  ]),

  'settings.openRegistrations': operation<None>('open the registrations', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:settings:open_registrations'),
      boots: true,
      source: `${MASTODON_RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      argv: () => tootctl('settings', 'registrations', 'open'),
      success: OK,
      boots: true,
      source: 'lib/mastodon/settings_cli.rb @v2.6.0',
    },
  ]),

  'settings.closeRegistrations': operation<None>('close the registrations', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:settings:close_registrations'),
      boots: true,
      source: `${MASTODON_RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      argv: () => tootctl('settings', 'registrations', 'close'),
      success: OK,
      boots: true,
      source: 'lib/mastodon/settings_cli.rb @v2.6.0',
    },
  ]),

  'settings.approveRegistrations': operation<{ requireReason?: boolean }>('ask for approval of registrations', [
    {
      since: '1.3.0',
      before: '2.8.0',
      lacking: 'sign-ups can be approved since 2.8.0',
      instead: 'Close the registrations, and create accounts yourself.',
      source: 'config/settings.yml @v2.8.0',
    },
    {
      since: '2.8.0',
      before: '3.5.2',
      argv: () => rails('runner', "Setting.registrations_mode = 'approved'"),
      accepts: [],
      boots: true,
      note: 'tootctl has a command for it since 3.5.2. Prints nothing.',
      source: 'config/settings.yml @v2.8.0; lib/mastodon/settings_cli.rb @v3.5.2',
    },
    {
      since: '3.5.2',
      argv: params => tootctl('settings', 'registrations', 'approved', ...reasonFlag(params.requireReason)),
      success: OK,
      boots: true,
      source: 'lib/mastodon/settings_cli.rb @v3.5.2',
    },
  ]),
}
