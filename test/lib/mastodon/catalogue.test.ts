import { describe, expect, test } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import {
  automaticWork,
  commandFor,
  dailyExtras,
  type OperationId,
  operations,
  outcomeOf,
  type ParamsOf,
  type Row,
  rowFor,
  scheduledJob,
  scheduledJobs,
  supports,
  UnsupportedVersionError,
} from '../../../src/lib/mastodon/catalogue.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion

/** One release of each era that a command can differ by. */
const ERAS = [
  ...['1.3.0', '1.4.7', '1.5.1', '2.4.5', '2.5.2', '2.6.5', '2.9.4'],
  ...['3.5.13', '4.0.0', '4.2.9', '4.3.8', '4.5.3', '4.7.2'],
] as const

/** The command as it would be typed, or `- needs X` or `-` where the release has none. */
function typed<K extends OperationId>(id: K, version: string, params: ParamsOf<K>): string {
  try {
    const { env, argv } = commandFor(id, of(version), params)
    return [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...argv].join(' ')
  } catch (error) {
    if (!(error instanceof UnsupportedVersionError)) throw error
    return error.needs ? `- needs ${error.needs}` : '-'
  }
}

type Expected = Partial<Record<(typeof ERAS)[number], string>>

/** Each entry holds from its release up to the next entry, so a table of three lines speaks for all the eras. */
function spread(expected: Expected): Record<string, string> {
  let current = ''
  return Object.fromEntries(
    ERAS.map(era => {
      current = expected[era] ?? current
      return [era, current]
    }),
  )
}

function check<K extends OperationId>(id: K, params: ParamsOf<K>, expected: Expected) {
  const what = `${id} ${JSON.stringify(params)}`
  test.each(Object.entries(spread(expected)))(`${what} on %s: %s`, (version, command) => {
    expect(typed(id, version, params)).toBe(command)
  })
}

const RAKE = 'bundle exec rake'
const RAILS = 'bundle exec rails'
const alice = { username: 'alice' }
const modify = 'bin/tootctl accounts modify alice'

describe('accounts', () => {
  check('accounts.makeAdmin', alice, {
    '1.3.0': `USERNAME=alice ${RAKE} mastodon:make_admin`,
    '2.6.5': `${modify} --role admin`,
    '4.0.0': `${modify} --role Owner`,
  })
  check(
    'accounts.makeAdmin',
    { ...alice, roleName: 'Big Boss' },
    {
      '1.3.0': `USERNAME=alice ${RAKE} mastodon:make_admin`,
      '2.6.5': `${modify} --role admin`,
      '4.0.0': `${modify} --role Big Boss`,
    },
  )
  check('accounts.moderator', alice, {
    '1.3.0': '- needs 2.1.0',
    '2.4.5': `USERNAME=alice ${RAKE} mastodon:make_mod`,
    '2.6.5': `${modify} --role moderator`,
    '4.0.0': `${modify} --role Moderator`,
  })
  check('accounts.demote', alice, {
    '1.3.0': '- needs 2.1.0',
    '2.4.5': `USERNAME=alice ${RAKE} mastodon:revoke_staff`,
    '2.6.5': `${modify} --role user`,
    '4.0.0': `${modify} --remove-role`,
  })
  check(
    'accounts.confirm',
    { ...alice, email: 'alice@example.com' },
    { '1.3.0': `USER_EMAIL=alice@example.com ${RAKE} mastodon:confirm_email`, '2.6.5': `${modify} --confirm` },
  )
  check('accounts.approve', alice, { '1.3.0': '- needs 2.8.0', '2.9.4': 'bin/tootctl accounts approve alice' })
  check('accounts.resetPassword', alice, { '1.3.0': '- needs 3.1.2', '3.5.13': `${modify} --reset-password` })
  check('accounts.disable2fa', alice, { '1.3.0': '- needs 2.6.0', '2.6.5': `${modify} --disable-2fa` })
  check('accounts.lock', alice, { '1.3.0': '- needs 2.6.0', '2.6.5': `${modify} --disable` })
  check('accounts.unlock', alice, { '1.3.0': '- needs 2.6.0', '2.6.5': `${modify} --enable` })
  const create = 'bin/tootctl accounts create alice --email a@example.com'
  check(
    'accounts.create',
    { ...alice, email: 'a@example.com' },
    {
      '1.3.0': '- needs 1.5.0',
      '1.5.1': `${RAKE} mastodon:add_user`,
      '2.6.5': `${create} --confirmed`,
      '4.2.9': `${create} --confirmed --approve`,
    },
  )
  check(
    'accounts.create',
    { ...alice, email: 'a@example.com', role: 'admin', reattach: true, force: true },
    {
      '1.3.0': '- needs 1.5.0',
      '1.5.1': `${RAKE} mastodon:add_user`,
      '2.6.5': `${create} --role admin --confirmed --reattach --force`,
      '4.0.0': `${create} --role Owner --confirmed --reattach --force`,
      '4.2.9': `${create} --role Owner --confirmed --approve --reattach --force`,
    },
  )
  check(
    'accounts.cull',
    {},
    {
      '1.3.0': '- needs 2.2.0',
      '2.4.5': `${RAKE} mastodon:maintenance:purge_removed_accounts`,
      '2.6.5': 'bin/tootctl accounts cull',
    },
  )
  check(
    'accounts.prune',
    { dryRun: true },
    { '1.3.0': '- needs 4.1.0', '4.2.9': 'bin/tootctl accounts prune --dry-run' },
  )
  check('accounts.listAdmins', {}, { '1.3.0': `${RAKE} mastodon:users:admins`, '2.6.5': '-' })
})

describe('moderation, for which tootctl has no command', () => {
  const seven = { accountId: '7' }
  const ruby = `${RAILS} runner a = Account.find(7);`
  const worker = 'Admin::SuspensionWorker.perform_async(a.id)'
  check('accounts.suspend', seven, {
    '1.3.0': `${ruby} a.update!(suspended: true); ${worker}`,
    '2.9.4': `${ruby} a.suspend! unless a.suspended?; ${worker}`,
  })
  check('accounts.unsuspend', seven, {
    '1.3.0': `${ruby} a.respond_to?(:unsuspend!) ? a.unsuspend! : a.update!(suspended: false)`,
    '2.9.4': `${ruby} a.unsuspend!`,
    '3.5.13': `${ruby} a.unsuspend!; Admin::UnsuspensionWorker.perform_async(a.id)`,
  })
  check('accounts.limit', seven, { '1.3.0': `${ruby} a.update!(silenced: true)`, '2.9.4': `${ruby} a.silence!` })
  check('accounts.unlimit', seven, { '1.3.0': `${ruby} a.update!(silenced: false)`, '2.9.4': `${ruby} a.unsilence!` })

  test.each(['7; exit', '-99', '', "1') || system('id"])('%j never becomes Ruby code', accountId => {
    expect(() => commandFor('accounts.suspend', of('4.5.3'), { accountId })).toThrow('is no id')
  })

  test('what a suspension deletes at once is known', () => {
    expect(rowFor('accounts.suspend', of('3.2.2')).destructive).toBe(true)
    expect(rowFor('accounts.suspend', of('3.3.0')).destructive).toBeUndefined()
  })
})

describe('make-admin never demotes', () => {
  const seriesOf26to34 = ['2.6.0', '2.9.4', '3.0.0', '3.3.3', '3.4.10']

  test.each(seriesOf26to34)('%s gets exactly "admin" whatever the role is called, for all else demotes', version => {
    for (const roleName of [undefined, 'Owner', 'Admin', 'ADMIN'])
      expect(typed('accounts.makeAdmin', version, { ...alice, roleName })).toBe(`${modify} --role admin`)
    expect(rowFor('accounts.makeAdmin', of(version)).exitMayLie).toBe(true)
  })

  test.each(['4.0.0rc1', '4.0.0', '4.3.0-beta.1', '4.7.2'])('%s never gets the lower-case name', version => {
    expect(typed('accounts.makeAdmin', version, alice)).toBe(`${modify} --role Owner`)
  })

  test('a role name that looks like a flag stays a value', () => {
    const { argv } = commandFor('accounts.makeAdmin', of('4.5.3'), { ...alice, roleName: '--remove-role' })
    expect(argv.slice(-1)).toEqual(['--role=--remove-role'])
  })

  test('a name with spaces and quotes stays one argument', () => {
    const { argv } = commandFor('accounts.makeAdmin', of('4.5.3'), { ...alice, roleName: "A'; --" })
    expect(argv.slice(-2)).toEqual(['--role', "A'; --"])
  })
})

describe('secrets', () => {
  check('secrets.secret', {}, { '1.3.0': `${RAKE} secret`, '4.3.8': `${RAILS} secret` })
  check('secrets.vapid', {}, { '1.3.0': '- needs 1.5.0', '1.5.1': `${RAKE} mastodon:webpush:generate_vapid_key` })
  check('secrets.encryptionInit', {}, { '1.3.0': '- needs 4.3.0', '4.3.8': `${RAILS} db:encryption:init` })

  test('VAPID keys need the whole app before 3.5.0 only', () => {
    expect(rowFor('secrets.vapid', of('3.4.10')).boots).toBe(true)
    expect(rowFor('secrets.vapid', of('3.5.0')).boots).toBe(false)
  })
})

describe('database and assets', () => {
  const skipping = `SKIP_POST_DEPLOYMENT_MIGRATIONS=true ${RAILS} db:migrate`
  check('db.migrate', { phase: 'pre' }, { '1.3.0': `${RAILS} db:migrate`, '2.5.2': skipping })
  check('db.migrate', { phase: 'post' }, { '1.3.0': `${RAILS} db:migrate` })
  check('db.migrate', { phase: 'all' }, { '1.3.0': `${RAILS} db:migrate` })
  check('db.pendingMigrations', {}, { '1.3.0': `${RAILS} db:abort_if_pending_migrations` })
  check('db.seed', {}, { '1.3.0': `${RAILS} db:seed` })
  check('db.setup', {}, { '1.3.0': `${RAILS} db:setup`, '2.4.5': `SAFETY_ASSURED=1 ${RAILS} db:setup` })
  check(
    'db.preparePreForeignKeys',
    {},
    { '1.3.0': '- needs 1.4.2', '1.4.7': `${RAKE} mastodon:maintenance:prepare_for_foreign_keys`, '2.6.5': '-' },
  )
  check('assets.precompile', {}, { '1.3.0': `RAILS_ENV=production ${RAILS} assets:precompile` })

  test('each way of compiling assets is a row of its own', () => {
    const notes = ['1.3.0', '1.4.1', '4.3.8', '4.4.0', '4.6.5', '4.7.0'].map(
      version => rowFor('assets.precompile', of(version)).note?.split(/[ :]/)[0],
    )
    expect(notes).toEqual(['Sprockets', 'Sprockets', 'Sprockets', 'vite_rails.', 'vite_rails.', "Mastodon's"])
  })
})

describe('content', () => {
  check('daily', {}, { '1.3.0': `${RAKE} mastodon:daily`, '1.5.1': '-' })
  check('cache.clear', {}, { '1.3.0': `${RAILS} runner Rails.cache.clear`, '2.9.4': 'bin/tootctl cache clear' })
  check(
    'cache.recount',
    { type: 'accounts' },
    {
      '1.3.0': `${RAKE} mastodon:maintenance:update_counter_caches`,
      '2.6.5': '- needs 3.0.0',
      '3.5.13': 'bin/tootctl cache recount accounts',
    },
  )
  check(
    'feeds.build',
    {},
    { '1.3.0': '- needs 1.5.0', '1.5.1': `${RAKE} mastodon:feeds:build`, '2.6.5': 'bin/tootctl feeds build --all' },
  )
  check('feeds.build', alice, {
    '1.3.0': '- needs 1.5.0',
    '1.5.1': '- needs 2.6.0',
    '2.6.5': 'bin/tootctl feeds build alice',
  })
  check('feeds.clear', {}, { '1.3.0': `${RAKE} mastodon:feeds:clear_all`, '2.6.5': 'bin/tootctl feeds clear' })
  check('push.clear', {}, { '1.3.0': `${RAKE} mastodon:push:clear`, '2.6.5': '-' })
  const removeRemote = `${RAKE} mastodon:media:remove_remote`
  check('media.remove', {}, { '1.3.0': removeRemote, '2.5.2': 'bin/tootctl media remove' })
  check(
    'media.remove',
    { days: 14 },
    { '1.3.0': '- needs 1.5.0', '1.5.1': `NUM_DAYS=14 ${removeRemote}`, '2.5.2': 'bin/tootctl media remove --days 14' },
  )
  check(
    'media.remove',
    { dryRun: true, concurrency: 2 },
    {
      '1.3.0': '- needs 2.5.0',
      '2.5.2': '- needs 3.0.0',
      '3.5.13': 'bin/tootctl media remove --concurrency 2 --dry-run',
    },
  )
  check(
    'media.remove',
    { verbose: true },
    {
      '1.3.0': '- needs 3.0.0',
      '3.5.13': 'bin/tootctl media remove --verbose',
      '4.2.9': '- needs 4.3.0',
      '4.3.8': 'bin/tootctl media remove --verbose',
    },
  )
  check(
    'media.remove',
    { pruneProfiles: true, includeFollows: true },
    { '1.3.0': '- needs 4.1.0', '4.2.9': 'bin/tootctl media remove --prune-profiles --include-follows' },
  )
  check(
    'media.remove',
    { keepInteracted: true },
    { '1.3.0': '- needs 4.6.0', '4.7.2': 'bin/tootctl media remove --keep-interacted' },
  )
  check(
    'media.refresh',
    { domain: 'example.net' },
    { '1.3.0': '- needs 3.0.0', '3.5.13': 'bin/tootctl media refresh --domain example.net' },
  )
  check(
    'media.refresh',
    { account: 'bob@example.net', days: 3 },
    {
      '1.3.0': '- needs 3.0.0',
      '3.5.13': '- needs 4.0.0',
      '4.0.0': 'bin/tootctl media refresh --account bob@example.net --days 3',
    },
  )
  check('media.removeOrphans', {}, { '1.3.0': '- needs 3.1.0', '3.5.13': 'bin/tootctl media remove-orphans' })
  check('media.usage', {}, { '1.3.0': '- needs 3.0.1', '3.5.13': 'bin/tootctl media usage' })
  check(
    'previewCards.remove',
    { days: 30, link: true },
    { '1.3.0': '- needs 3.0.0', '3.5.13': 'bin/tootctl preview_cards remove --days 30 --link' },
  )
  check('statuses.remove', { days: 90 }, { '1.3.0': '- needs 2.8.0', '2.9.4': 'bin/tootctl statuses remove --days 90' })
  check(
    'statuses.remove',
    { compressDatabase: true },
    { '1.3.0': '- needs 2.8.0', '2.9.4': '- needs 3.5.0', '3.5.13': 'bin/tootctl statuses remove --compress-database' },
  )
  check('search.deploy', {}, { '1.3.0': '- needs 2.8.0', '2.9.4': 'bin/tootctl search deploy' })
  check(
    'search.deploy',
    { resetChewy: true },
    { '1.3.0': '- needs 2.8.0', '2.9.4': '- needs 4.2.0', '4.2.9': 'bin/tootctl search deploy --reset-chewy' },
  )
})

describe('settings, version, shells', () => {
  check(
    'settings.openRegistrations',
    {},
    { '1.3.0': `${RAKE} mastodon:settings:open_registrations`, '2.6.5': 'bin/tootctl settings registrations open' },
  )
  check(
    'settings.closeRegistrations',
    {},
    { '1.3.0': `${RAKE} mastodon:settings:close_registrations`, '2.6.5': 'bin/tootctl settings registrations close' },
  )
  check(
    'settings.approveRegistrations',
    { requireReason: true },
    {
      '1.3.0': '- needs 2.8.0',
      '2.9.4': '- needs 3.5.2',
      '3.5.13': 'bin/tootctl settings registrations approved --require-reason',
    },
  )
  check(
    'settings.approveRegistrations',
    {},
    {
      '1.3.0': '- needs 2.8.0',
      '2.9.4': `${RAILS} runner Setting.registrations_mode = 'approved'`,
      '3.5.13': 'bin/tootctl settings registrations approved',
    },
  )
  check('version', {}, { '1.3.0': `${RAILS} runner puts Mastodon::Version.to_s`, '2.9.4': 'bin/tootctl version' })
  check('console', {}, { '1.3.0': `${RAILS} console` })
  check('shell', {}, { '1.3.0': 'sh' })
})

describe('the boundaries are where the facts have them', () => {
  test.each([
    ['accounts.makeAdmin', '2.5.2', 'bundle', '2.6.0', 'bin/tootctl'],
    ['media.remove', '2.4.5', 'bundle', '2.5.0', 'bin/tootctl'],
    ['cache.clear', '2.8.0', 'bundle', '2.8.1', 'bin/tootctl'],
    ['version', '2.6.5', 'bundle', '2.7.0', 'bin/tootctl'],
  ] as const)('%s: %s %s, %s %s', (id, before, old, since, now) => {
    const params = (id === 'accounts.makeAdmin' ? alice : {}) as never
    expect(commandFor(id, of(before), params).argv[0]).toBe(old)
    expect(commandFor(id, of(since), params).argv[0]).toBe(now)
  })

  test.each([
    ['accounts.resetPassword', '3.1.1', '3.1.2'],
    ['accounts.approve', '2.7.4', '2.8.0'],
    ['media.refresh', '2.9.4', '3.0.0'],
    ['media.usage', '3.0.0', '3.0.1'],
    ['media.removeOrphans', '3.0.2', '3.1.0'],
    ['settings.approveRegistrations', '2.7.4', '2.8.0'],
    ['secrets.encryptionInit', '4.2.9', '4.3.0'],
    ['accounts.prune', '4.0.9', '4.1.0'],
    ['jobs.run', '1.3.2', '1.3.3'],
  ] as const)('%s: not in %s, in %s', (id, lacking, having) => {
    expect(supports(id, of(lacking))).toBe(false)
    expect(supports(id, of(having))).toBe(true)
  })

  test('the daily task is for 1.4.7 and older only', () => {
    expect(supports('daily', of('1.4.7'))).toBe(true)
    expect(supports('daily', of('1.5.0'))).toBe(false)
  })
})

describe('every operation', () => {
  const all = Object.entries(operations).map(([id, { rows }]) => [id, rows as readonly Row<unknown>[]] as const)

  test.each(all)('%s covers 1.3.0 to the newest release without gap or overlap', (_, rows) => {
    expect(rows[0]?.since).toBe('1.3.0')
    expect(rows.at(-1)?.before).toBeUndefined()
    expect(rows.slice(1).map(row => row.since)).toEqual(rows.slice(0, -1).map(row => row.before))
  })

  test.each(all)('%s has rows in ascending order, each with its source', (_, rows) => {
    for (const row of rows) {
      expect(row.source).not.toBe('')
      if (row.before) expect(of(row.before).isNewerThan(of(row.since))).toBe(true)
    }
  })

  test.each(all)('%s offers a way to tell success wherever exit code 0 may lie', (_, rows) => {
    for (const row of rows)
      if ('argv' in row && row.exitMayLie) expect(row.success ?? row.failure).toBeInstanceOf(RegExp)
  })

  test.each(all)('%s has no regular expression that remembers where it stopped', (_, rows) => {
    for (const row of rows)
      if ('argv' in row)
        expect([row.success, row.failure].filter(pattern => pattern?.global || pattern?.sticky)).toEqual([])
  })
})

describe('UnsupportedVersionError', () => {
  const caught = (act: () => unknown): UnsupportedVersionError => {
    try {
      act()
    } catch (error) {
      if (error instanceof UnsupportedVersionError) return error
      throw error
    }
    throw new Error('nothing was thrown')
  }

  test('names this release, what it needs and what to do instead, and is a refusal', () => {
    const error = caught(() => commandFor('accounts.resetPassword', of('2.9.4'), alice))
    expect(error).toBeInstanceOf(RefusedError)
    expect(error.exitCode).toBe(3)
    expect(error.code).toBe('unsupported-version')
    expect(error.message).toBe("Mastodon 2.9.4 has no command to reset somebody's password")
    expect(error.why).toBe('the command came with 3.1.2. It needs Mastodon 3.1.2.')
    expect(error.next).toMatch(/Rails console/)
  })

  test('for a task that is gone, names no release', () => {
    const error = caught(() => commandFor('daily', of('4.5.3'), {}))
    expect(error.needs).toBeUndefined()
    expect(error.why).toMatch(/scheduler of Sidekiq/)
  })

  test('for a parameter that is newer, names it and the release', () => {
    const error = caught(() => commandFor('media.remove', of('4.2.9'), { keepInteracted: true }))
    expect(error.message).toContain('"keepInteracted"')
    expect(error.needs).toBe('4.6.0')
    expect(error.next).toBe('Leave "keepInteracted" out, or upgrade to 4.6.0 or newer.')
  })

  test('a parameter that is not set is no choice', () => {
    expect(typed('media.remove', '2.5.2', { keepInteracted: false, days: undefined })).toBe('bin/tootctl media remove')
  })

  test('a release before 1.3.0 is refused', () => {
    expect(caught(() => commandFor('db.migrate', of('1.2.2'), { phase: 'all' })).needs).toBe('1.3.0')
  })
})

describe('outcomeOf', () => {
  const ran = (stdout: string, exitCode = 0, stderr = '') => ({ stdout, stderr, exitCode })
  const row = (id: OperationId, version: string) => rowFor(id, of(version))

  test.each([
    ['accounts.makeAdmin', '1.5.1', ran('Congrats! alice is now an admin. \\o/\nNavigate to …'), 'done'],
    [
      'accounts.makeAdmin',
      '1.5.1',
      ran('User could not be found; please make sure an account with the `x` …'),
      'failed',
    ],
    ['accounts.makeAdmin', '2.5.2', ran(''), 'unclear'],
    ['accounts.makeAdmin', '2.9.4', ran('OK\n'), 'done'],
    ['accounts.makeAdmin', '2.9.4', ran('No user with such username\n', 1), 'failed'],
    ['accounts.makeAdmin', '4.5.3', ran('', 1, 'Cannot find user role with that name\n'), 'failed'],
    ['accounts.confirm', '2.4.5', ran('a@example.com confirmed\n'), 'done'],
    ['accounts.confirm', '2.4.5', ran('', 1, 'a@example.com not found\n'), 'failed'],
    ['accounts.create', '4.5.3', ran(`OK\nNew password: ${'0'.repeat(32)}\n`), 'done'],
    ['accounts.create', '4.5.3', ran('The chosen username is currently in use\nUse `--force` …\n'), 'unclear'],
    ['accounts.approve', '4.5.3', ran('', 0), 'unclear'],
    ['secrets.secret', '2.4.5', ran(`${'0a'.repeat(64)}\n`), 'done'],
    ['secrets.vapid', '4.5.3', ran('VAPID_PRIVATE_KEY=abc=\nVAPID_PUBLIC_KEY=def=\n'), 'done'],
    ['secrets.encryptionInit', '4.3.8', ran('Some of these are set already.\nNothing was made.\n'), 'unclear'],
    ['daily', '1.4.7', ran('Starting mastodon:feeds:clear at …\nCompleted daily tasks at 2017-07-02\n'), 'done'],
    ['media.remove', '2.5.2', ran('', 0, 'Could not find command "remov".'), 'unclear'],
    ['media.remove', '4.5.3', ran('Removed 12 media attachments (approx. 3 MB)\n'), 'done'],
    ['media.remove', '4.5.3', ran('Visited 3 accounts and removed profile media totaling 1 MB\n'), 'done'],
    ['statuses.remove', '3.5.13', ran('Done after 0.5s, removed 10 out of 400 statuses.\n'), 'done'],
    ['accounts.prune', '4.2.9', ran('OK, pruned 5 accounts\n'), 'done'],
    ['cache.recount', '3.5.13', ran('OK, recounted 42 records\n'), 'done'],
    ['feeds.build', '4.5.3', ran('Regenerated feeds for 3 accounts \n'), 'done'],
    ['search.deploy', '3.5.13', ran('', 0, 'ERROR: "tootctl search deploy" was called with arguments'), 'unclear'],
    ['db.migrate', '4.5.3', ran(''), 'done'],
    ['db.migrate', '4.5.3', ran('', 1, 'rails aborted!\n'), 'failed'],
    ['feeds.clear', '1.5.1', ran(''), 'done'],
  ] as const)('%s on %s: %o is %s', (id, version, finished, verdict) => {
    expect(outcomeOf(row(id, version), finished)).toBe(verdict)
  })

  test('the three keys are found behind an introduction, and two are not enough', () => {
    const key = (name: string) => `ACTIVE_RECORD_ENCRYPTION_${name}=${'a1'.repeat(16)}\n`
    const intro = 'Add the following to your environment: \n\n# Do NOT change these variables once they are set\n'
    const two = intro + key('DETERMINISTIC_KEY') + key('KEY_DERIVATION_SALT')
    expect(outcomeOf(row('secrets.encryptionInit', '4.5.3'), ran(two + key('PRIMARY_KEY')))).toBe('done')
    expect(outcomeOf(row('secrets.encryptionInit', '4.5.3'), ran(two))).toBe('unclear')
  })
})

describe('what --disable-2fa and --reset-password leave undone is said', () => {
  test.each([
    ['accounts.disable2fa', '2.9.4', /secret/],
    ['accounts.disable2fa', '4.3.8', /security key/],
    ['accounts.disable2fa', '4.4.0', undefined],
    ['accounts.resetPassword', '4.2.9', /sessions/],
    ['accounts.resetPassword', '4.5.0', undefined],
  ] as const)('%s on %s', (id, version, partial) => {
    const row = rowFor(id, of(version))
    if (partial) expect(row.partial).toMatch(partial)
    else expect(row.partial).toBeUndefined()
  })
})

describe('scheduled jobs', () => {
  const names = (version: string) => scheduledJobs(of(version)).map(job => job.name)

  test.each([
    ['1.3.0', []],
    ['1.3.3', ['subscriptions']],
    ['1.4.7', ['subscriptions', 'media-cleanup', 'feed-cleanup', 'doorkeeper-cleanup']],
    ['1.5.1', ['subscriptions', 'media-cleanup', 'feed-cleanup', 'doorkeeper-cleanup', 'user-cleanup']],
  ] as const)('%s: %o', (version, expected) => {
    expect(names(version)).toEqual(expected)
  })

  test('4.0.0 put the vacuum in the place of five jobs', () => {
    const gone = ['media-cleanup', 'feed-cleanup', 'doorkeeper-cleanup', 'email', 'backup-cleanup']
    expect(names('3.5.13')).toEqual(expect.arrayContaining(gone))
    expect(names('4.0.0').filter(name => gone.includes(name))).toEqual([])
    expect(names('4.0.0')).toEqual(expect.arrayContaining(['vacuum', 'suspended-user-cleanup']))
  })

  test.each([
    ['3.0.0', 'trending-tags'],
    ['3.3.0', 'instance-refresh'],
    ['3.5.0', 'trends-refresh'],
    ['3.5.3', 'indexing'],
    ['4.2.9', 'software-update-check'],
    ['4.3.8', 'auto-close-registrations'],
    ['4.5.3', 'fasp-cleanup'],
    ['4.7.2', 'collection-item-cleanup'],
  ])('%s has %s', (version, name) => {
    expect(names(version)).toContain(name)
  })

  test('is run by its class', () => {
    const job = scheduledJob('trends-refresh', of('4.5.3'))
    expect(commandFor('jobs.run', of('4.5.3'), { job }).argv).toEqual([
      ...['bundle', 'exec', 'rails', 'runner'],
      'Scheduler::Trends::RefreshScheduler.new.perform',
    ])
    expect(scheduledJob('Scheduler::VacuumScheduler', of('4.5.3')).name).toBe('vacuum')
  })

  test('a job of another release, and a name that is Ruby code, are refused', () => {
    expect(() => scheduledJob('vacuum', of('3.5.13'))).toThrow(UnsupportedVersionError)
    expect(() => scheduledJob('media-cleanup', of('4.5.3'))).toThrow(UnsupportedVersionError)
    expect(() => scheduledJob('x; system("id")', of('4.5.3'))).toThrow(UnsupportedVersionError)
  })

  test('every class is a plain Ruby constant', () => {
    for (const job of scheduledJobs(of('4.7.2'))) expect(job.className).toMatch(/^Scheduler(::[A-Z]\w+)+Scheduler$/)
  })
})

describe('what to do regularly', () => {
  const byDefault = (version: string) => dailyExtras(of(version)).filter(extra => extra.byDefault)

  test.each(ERAS)('%s: only cached media by default, and the command is there', version => {
    expect(byDefault(version).map(extra => extra.operation)).toEqual(['media.remove'])
    for (const extra of dailyExtras(of(version))) expect(supports(extra.operation, of(version))).toBe(true)
  })

  test('from 4.0.0 on not where the server has a retention period of its own', () => {
    expect(byDefault('3.5.13')[0]?.notWithSetting).toBeUndefined()
    expect(byDefault('4.0.0')[0]?.notWithSetting).toBe('media_cache_retention_period')
    const settings = automaticWork(of('4.0.0')).map(work => work.onlyWithSetting)
    expect(settings).toContain('media_cache_retention_period')
    expect(settings).toContain('content_cache_retention_period')
  })

  test('before 1.4.1 nothing happens by itself', () => {
    expect(automaticWork(of('1.3.3'))).toEqual([])
  })
})
