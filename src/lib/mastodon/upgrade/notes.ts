import type { VersionRange } from '../version.js'

/** What an operator does by hand, or should know, on the way past a release. What can be looked at is a need instead. */
export interface UpgradeNote {
  /** The release with which it comes. */
  release: string
  /** `before` anything is changed, `after` the release serves, or only to `know`. */
  when: 'before' | 'after' | 'know'
  text: string
  source: string
  /** Only where published images run (true), or only where they do not (false). */
  images?: boolean
  /** Only where one of these variables is set. */
  set?: readonly string[]
  /** Of every release in this range that is deployed, rather than of passing the one that it comes with. */
  deployed?: VersionRange
}

const SEARCH = ['ES_ENABLED']
const changelog = (release: string) => `CHANGELOG.md @v${release}`
const published = (release: string) => `release notes of ${release}`

/** In the order of release. Source of each: as it says. */
export const UPGRADE_NOTES: readonly UpgradeNote[] = [
  {
    release: '1.3.0',
    when: 'before',
    text: 'Images before 2.5.0 hold no compiled assets. With each of them, between stopping and serving: rails assets:precompile',
    source: 'Dockerfile, docker-compose.yml @v2.4.5',
    images: true,
    deployed: { since: '1.3.0', before: '2.5.0' },
  },
  {
    release: '1.4.1',
    when: 'after',
    text: 'Cron jobs that call mastodon:media:clear, feeds:clear or push:refresh do nothing any more: take them out.',
    source: 'lib/tasks/mastodon.rake @v1.4.1',
  },
  {
    release: '1.4.2',
    when: 'before',
    text: 'The first foreign keys: between stopping and migrating, with the new release: rails mastodon:maintenance:prepare_for_foreign_keys. It deletes rows that point to nothing.',
    source: 'lib/tasks/mastodon.rake @v1.4.2',
  },
  {
    release: '1.5.0',
    when: 'after',
    text: 'mastodon:daily does nothing any more: Sidekiq does the daily work. Take it out of cron.',
    source: 'lib/tasks/mastodon.rake @v1.5.0',
  },
  {
    release: '1.5.0',
    when: 'after',
    text: 'Push messages to browsers want VAPID keys: mstdn-ops keys:vapid',
    source: 'lib/tasks/mastodon.rake @v1.5.0',
  },
  {
    release: '2.0.0',
    when: 'know',
    text: 'Ids of accounts and users become 64 bits wide: every table that points to them is written anew.',
    source: 'db/migrate @v2.0.0',
  },
  {
    release: '2.1.1',
    when: 'know',
    text: 'LOCAL_HTTPS=false has no effect in production any more: the site is served by https alone.',
    source: 'config/initializers/ostatus.rb @v2.1.1',
    set: ['LOCAL_HTTPS'],
  },
  {
    release: '2.3.0',
    when: 'before',
    text: 'The images run as user 991, whatever UID and GID say: public/system must belong to it (chown -R 991:991 public/system).',
    source: 'Dockerfile @v2.3.0',
    images: true,
  },
  {
    release: '2.5.0',
    when: 'before',
    text: 'The images contain the compiled assets: with the first one from here on, take the mounts of public/assets and public/packs out of the compose file.',
    source: 'docker-compose.yml @v2.5.0',
    images: true,
  },
  {
    release: '2.6.0',
    when: 'before',
    text: 'The sample compose file keeps the data of PostgreSQL and Redis in ./postgres and ./redis. Before, they were in an anonymous volume, which is lost when the container is made anew: see mstdn-ops doctor --only volumes.',
    source: 'docker-compose.yml @v2.6.0',
    images: true,
  },
  {
    release: '2.6.0',
    when: 'after',
    text: "The operator's rake tasks are gone (mastodon:make_admin, mastodon:media:*, mastodon:feeds:* …): tootctl has taken their place, in cron too.",
    source: 'lib/tasks/mastodon.rake @v2.6.0',
  },
  {
    release: '2.8.0',
    when: 'know',
    text: 'Inside the images the app is in /opt/mastodon; /mastodon is a link to it.',
    source: 'Dockerfile @v2.8.0',
    images: true,
  },
  {
    release: '3.0.0',
    when: 'know',
    text: 'OStatus is gone: servers that speak nothing else hear nothing any more. Post-deployment migrations drop stream_entries and subscriptions.',
    source: 'db/post_migrate @v3.0.0',
  },
  {
    release: '3.0.0',
    when: 'after',
    text: 'The web process has a health path, /health: use it in health checks.',
    source: 'docker-compose.yml @v3.0.0',
    images: true,
  },
  {
    release: '3.1.3',
    when: 'before',
    text: 'The search needs Elasticsearch 7 in place of 6: change it together with the app, and fill it afterwards (tootctl search deploy).',
    source: 'README.md @v3.1.3',
    set: SEARCH,
  },
  {
    release: '3.1.4',
    when: 'after',
    text: "Other servers' media get a folder of their own, cache/. To move those that are there: tootctl upgrade storage-schema",
    source: 'lib/mastodon/upgrade_cli.rb @v3.1.4',
  },
  {
    release: '3.3.0',
    when: 'before',
    text: 'RAILS_ENV=production must be set wherever a command of the app is run; the images set it.',
    source: 'config/boot.rb @v3.3.0',
    images: false,
  },
  {
    release: '3.3.0',
    when: 'before',
    text: 'Exactly one Sidekiq process must listen to the queue `scheduler`.',
    source: published('3.3.0'),
  },
  {
    release: '3.3.0',
    when: 'after',
    text: 'A warning about collations while migrating may mean damaged indexes. While Sidekiq is stopped: tootctl maintenance fix-duplicates',
    source: 'lib/tasks/db.rake @v3.3.0',
  },
  {
    release: '3.4.0',
    when: 'before',
    text: 'Requests for another host than LOCAL_DOMAIN, WEB_DOMAIN and ALTERNATE_DOMAINS are refused (403), and those that did not come by https are sent there: the proxy must pass Host and X-Forwarded-Proto on.',
    source: 'config/environments/production.rb, config/initializers/1_hosts.rb @v3.4.0',
  },
  {
    release: '3.5.0',
    when: 'before',
    text: 'The sample compose file goes from PostgreSQL 9.6 to 14 and from ./postgres to ./postgres14: the data do not move by themselves, and a new folder is an empty database. Keep your own file, or dump and restore.',
    source: 'docker-compose.yml @v3.5.0',
    images: true,
  },
  {
    release: '3.5.0',
    when: 'know',
    text: 'Its 26 post-deployment migrations take long.',
    source: 'db/post_migrate @v3.5.0',
  },
  {
    release: '3.5.2',
    when: 'know',
    text: 'Its two post-deployment migrations are slow.',
    source: published('3.5.2'),
  },
  {
    release: '4.0.0',
    when: 'know',
    text: 'Roles: from when it serves until its post-deployment migrations have run, nobody is staff.',
    source: 'db/post_migrate/20220617202502 @v4.0.0',
  },
  {
    release: '4.0.0',
    when: 'know',
    text: 'Digest mails are gone.',
    source: changelog('4.0.0'),
  },
  {
    release: '4.0.0',
    when: 'after',
    text: 'Sidekiq removes old media and posts itself where an administrator sets how long they are kept: a cron job for `tootctl media remove` may be too much.',
    source: 'app/workers/scheduler/vacuum_scheduler.rb @v4.0.0',
  },
  {
    release: '4.2.0',
    when: 'know',
    text: 'Streaming without signing in is gone.',
    source: changelog('4.2.0'),
  },
  {
    release: '4.2.0',
    when: 'before',
    text: 'Where a read replica is used: it is set by REPLICA_ variables now, no longer by makara in config/database.yml.',
    source: changelog('4.2.0'),
  },
  {
    release: '4.2.0',
    when: 'after',
    text: 'The search has a new index: tootctl search deploy --only=public_statuses (with --reset-chewy when mappings conflict).',
    source: changelog('4.2.0'),
    set: SEARCH,
  },
  {
    release: '4.3.0',
    when: 'before',
    text: 'A streaming process on another host needs mastodon-streaming of the same release too: change it there.',
    source: changelog('4.3.0'),
    set: ['STREAMING_API_BASE_URL'],
  },
  {
    release: '4.3.0',
    when: 'know',
    text: 'A post-deployment migration reads every two-factor secret with OTP_SECRET and stops at one that it cannot read. Where those people can be asked to set theirs up again: MIGRATION_IGNORE_INVALID_OTP_SECRET=true',
    source: 'db/post_migrate/20240307180905 @v4.3.0',
  },
  {
    release: '4.3.0',
    when: 'know',
    text: 'Two-factor secrets that are set up under it stand where earlier releases do not look: after going back, those people cannot sign in by them.',
    source: 'db/migrate/20231210154528 @v4.3.0',
  },
  {
    release: '4.3.0',
    when: 'before',
    text: 'The buildpacks are activestorage-preview, apt, nodejs, ruby, on the stack heroku-24.',
    source: 'app.json @v4.3.0',
    images: false,
  },
  {
    release: '4.4.0',
    when: 'before',
    text: 'Where REDIS_NAMESPACE was used with Elasticsearch, set ES_PREFIX to the same value, or the indexes are made anew.',
    source: changelog('4.4.0'),
    set: ['REDIS_NAMESPACE'],
  },
  {
    release: '4.4.0',
    when: 'after',
    text: 'OTP_SECRET is no longer read: keep it with your backups of before, and take it out of the configuration when you like.',
    source: changelog('4.4.0'),
    set: ['OTP_SECRET'],
  },
  {
    release: '4.4.0',
    when: 'know',
    text: "The OAuth password grant is gone: apps that ask for people's passwords cannot sign in.",
    source: changelog('4.4.0'),
  },
  {
    release: '4.5.0',
    when: 'know',
    text: 'New accounts are addressed by number (/ap/users/ID), which earlier releases do not know: after going back, other servers do not recognise the accounts made meanwhile.',
    source: 'accounts.id_scheme in db/schema.rb @v4.5.0',
  },
  {
    release: '4.6.0',
    when: 'before',
    text: 'ImageMagick is gone: libvips 8.13 or newer and FFmpeg 5.1 or newer must be installed.',
    source: changelog('4.6.0'),
    images: false,
  },
  {
    release: '4.7.0',
    when: 'know',
    text: 'Cookies from before 4.3.0 are refused: who comes straight from there is signed out.',
    source: changelog('4.7.0'),
  },
  {
    release: '4.7.0',
    when: 'before',
    text: 'Private keys of local accounts move into `keypairs`, encrypted with the ACTIVE_RECORD_ENCRYPTION keys: without these the accounts lose their identity on other servers. Keep them with every backup.',
    source: 'db/schema.rb @v4.7.0-beta.1',
  },
  {
    release: '4.7.0',
    when: 'know',
    text: 'accounts.uri becomes unique: blank ones are filled, duplicates are given to one account. Duplicates make it slow.',
    source: 'db/post_migrate @v4.7.0-beta.1',
  },
]
