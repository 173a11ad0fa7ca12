import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { stateFolder } from '../../support/state.js'
import { type Stack, startStack } from './bed/bed.js'

vi.setConfig({ testTimeout: 300_000 })

/** A trigger that sets a column whatever a command writes: Mastodon then says OK and exits 0. */
const setting = (table: string, when: string, column: string, value: string) => `
CREATE OR REPLACE FUNCTION set_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.${column} := ${value}; RETURN NEW; END $$;
CREATE TRIGGER set_column BEFORE ${when} ON ${table} FOR EACH ROW EXECUTE FUNCTION set_column();`

/** A stack of one version with the commands over it. */
function bedOf(version: string) {
  const bed = { stack: undefined as unknown as Stack, state: '', run, value, with: during }
  beforeAll(async () => {
    bed.stack = await startStack({ version })
    bed.state = stateFolder()
  }, 300_000)
  afterAll(async () => {
    await bed.stack?.stop()
    rmSync(bed.state, { recursive: true, force: true })
  })
  function run(...words: string[]): Promise<CliResult> {
    return cli(words, { cwd: bed.stack.projectDir, env: { XDG_STATE_HOME: bed.state } })
  }
  function value(sql: string): Promise<string> {
    return bed.stack.psql(sql)
  }
  async function during(table: string, trigger: string, ...words: string[]): Promise<CliResult> {
    await bed.stack.psql(trigger)
    return run(...words).finally(() => bed.stack.psql(`DROP TRIGGER set_column ON ${table}`))
  }
  return bed
}

const account = (name: string, columns: string) =>
  `SELECT ${columns} FROM accounts a LEFT JOIN users u ON u.account_id = a.id WHERE a.username = '${name}' AND a.domain IS NULL`
const CONFIRM = ['--confirm', 'mastodon.example']

describe('new accounts on Mastodon 4.5.3', () => {
  const bed = bedOf('4.5.3')
  const create = (name: string, ...more: string[]) => [
    ...['accounts:create', name, '--email', `${name}@mastodon.example`],
    ...more,
  ]

  it.each([
    [
      'a name with a dot',
      ['accounts:create', 'a.b', '--email', 'x@mastodon.example'],
      2,
      /letters, digits and underscores/,
    ],
    ['a name of 31', ['accounts:create', 'a'.repeat(31), '--email', 'x@mastodon.example'], 2, /30 at most/],
    ['no address', ['accounts:create', 'carol', '--email', 'carol'], 2, /is no e-mail address/],
    ['no such role', create('carol', '--role', 'king'), 3, /Owner, Admin, Moderator/],
    [
      'a name with another address',
      ['accounts:create', 'ALICE', '--email', 'x@mastodon.example'],
      3,
      /reset-password alice/,
    ],
    [
      'an address of another',
      ['accounts:create', 'carol', '--email', 'ALICE@mastodon.example'],
      3,
      /is the one of alice/,
    ],
    ['one that waits', create('bob'), 3, /bob exists already, and is not confirmed/],
    ['one without the role', create('alice', '--role', 'owner'), 3, /without the role Owner/],
  ])('%s is refused, and nothing is changed', async (_, words, exitCode, why) => {
    const before = await bed.value('SELECT count(*), md5(string_agg(u::text, $$,$$ ORDER BY id)) FROM users u')
    const result = await bed.run(...words)
    expect(result.exitCode, result.stderr).toBe(exitCode)
    expect(result.stderr).toMatch(why)
    expect(await bed.value('SELECT count(*), md5(string_agg(u::text, $$,$$ ORDER BY id)) FROM users u')).toBe(before)
  })

  it('says what Mastodon said, with nothing to resume, when it made none', async () => {
    const result = await bed.with('accounts', setting('accounts', 'INSERT', 'username', 'NULL'), ...create('carol'))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(result.stderr).toContain('The account carol was not created.')
    expect(result.stdout).not.toContain('Password')
    expect((await bed.run('resume')).stdout).toContain('nothing to resume')
  })

  it('a renamed role is found by its name and, as owner, by what it allows', async () => {
    await bed.value(`UPDATE user_roles SET name = 'Captain' WHERE name = 'Owner'`)
    expect((await bed.run(...create('cora', '--role', 'owner'))).exitCode).toBe(0)
    expect((await bed.run(...create('cleo', '--role', 'captain'))).exitCode).toBe(0)
    const roles = await bed.value(`SELECT string_agg(r.name, ',') FROM users u JOIN user_roles r ON r.id = u.role_id
      WHERE u.email LIKE 'c%'`)
    expect(roles).toBe('Captain,Captain')
  })

  it('the password is shown also where the mark of a bot fails, and the next run sets it', async () => {
    const trigger = setting('accounts', 'UPDATE', 'actor_type', 'OLD.actor_type')
    const failed = await bed.with('accounts', trigger, ...create('robot', '--bot'))
    expect(failed.exitCode, failed.stderr).toBe(5)
    expect(failed.stdout).toMatch(/^Password of robot: [0-9a-f]{32}$/m)
    const again = await bed.run(...create('robot', '--bot'))
    expect(again.exitCode, again.stderr).toBe(0)
    expect(again.stdout).not.toContain('Password of')
    expect(await bed.value(account('robot', 'a.actor_type'))).toBe('Service')
  })

  it('one that stays unapproved whatever Mastodon says is told, with its password', async () => {
    const trigger = setting('users', 'INSERT OR UPDATE', 'approved', 'false')
    const result = await bed.with('users', trigger, ...create('nemo'))
    expect(result.exitCode, result.stderr).toBe(5)
    expect(result.stderr).toContain('nemo was created, and is not approved')
    expect(result.stderr).toContain('mstdn-ops accounts:approve nemo')
    expect(result.stdout).toMatch(/^Password of nemo: [0-9a-f]{32}$/m)
    expect((await bed.run('accounts:approve', 'nemo')).exitCode).toBe(0)
    expect(await bed.value(account('nemo', 'u.approved'))).toBe('t')
  })

  it('a name that a deleted account keeps is refused', async () => {
    await bed.value(
      `INSERT INTO accounts (id, username, public_key, created_at, updated_at) VALUES (900, 'gone', '', now(), now())`,
    )
    const result = await bed.run(...create('gone'))
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toContain('--reattach')
    expect((await bed.run('accounts:suspend', 'gone', ...CONFIRM)).stderr).toContain('gone was deleted')
  })
})

describe('moderation on Mastodon 4.5.3', () => {
  const bed = bedOf('4.5.3')

  it('lists the staff, and who waits', async () => {
    const staff = await bed.run('accounts:list', '--staff')
    expect(staff.stdout).toMatch(/^admin +Owner +never +no +yes +yes$/m)
    expect(staff.stdout).not.toContain('alice')
    const { people } = JSON.parse((await bed.run('accounts:list', '--json')).stdout)
    expect(people).toMatchObject([
      { username: 'admin', role: 'Owner', two_factor: false },
      { username: 'alice', role: null, two_factor: true },
      { username: 'bob', confirmed: false, approved: false },
      { username: 'mallory' },
    ])
    expect((await bed.run('accounts:list', '--waiting')).stdout).toMatch(/^bob /m)
    expect((await bed.run('accounts:list', '-n', '2')).stdout).toContain('There are more')
  })

  it('approves one, and says that the address is to be confirmed', async () => {
    const result = await bed.run('accounts:approve', 'bob')
    expect(result.stdout).toContain('mstdn-ops accounts:confirm bob')
    expect(await bed.value(account('bob', 'u.approved'))).toBe('t')
  })

  it('limits an account of another server, and lifts that', async () => {
    const name = 'remote1@large.example'
    const limited = () => bed.value(`SELECT silenced_at IS NOT NULL FROM accounts WHERE username = 'remote1'`)
    expect((await bed.run('accounts:limit', name)).stdout).toContain(`accounts:limit ${name} --lift`)
    expect(await limited()).toBe('t')
    expect(JSON.parse((await bed.run('accounts:limit', name, '--json')).stdout)).toMatchObject({ changes: [] })
    expect((await bed.run('accounts:limit', name, '--lift')).exitCode).toBe(0)
    expect(await limited()).toBe('f')
  })

  it('a limit that Mastodon did not set is told', async () => {
    const trigger = setting('accounts', 'UPDATE', 'silenced_at', 'OLD.silenced_at')
    const result = await bed.with('accounts', trigger, 'accounts:limit', 'mallory')
    expect(result.exitCode, result.stderr).toBe(4)
    expect(result.stderr).toContain('did not take effect on mallory')
  })

  it('suspends an account of another server, and says what ends with it', async () => {
    const name = 'remote0@remote.example'
    const asked = await bed.run('accounts:suspend', `@${name}`)
    expect(asked.exitCode).toBe(2)
    expect(asked.stderr).toContain('Its follows of people here end at once')
    expect((await bed.run('accounts:suspend', name, '--confirm', 'other.example')).exitCode).toBe(3)
    expect((await bed.run('accounts:suspend', name, ...CONFIRM)).exitCode).toBe(0)
    await bed.stack.redis('DEL', 'standin:paused')
    await vi.waitFor(
      async () => expect(await bed.stack.redis('GET', 'standin:runs:Admin::SuspensionWorker')).toBe('1'),
      60_000,
    )
    expect((await bed.run('accounts:unsuspend', name)).stdout).toContain('its owner follows them anew')
  })

  it.each([
    ['admin', /belongs to the staff \(Owner\).*\n.*\n.*--remove-role/],
    ['mastodon.example', /knows no account/],
    ['alice@large.example', /knows no account/],
  ])('%s is not suspended', async (name, why) => {
    const result = await bed.run('accounts:suspend', name, ...CONFIRM)
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toMatch(why)
  })

  it('what was suspended longer than its data is kept comes back as a name', async () => {
    await bed.value(`UPDATE accounts SET suspended_at = now() - interval '31 days' WHERE username = 'mallory'`)
    expect((await bed.run('accounts:unsuspend', 'mallory')).stdout).toContain('do not come back: they were deleted')
  })
})

describe('who may sign up on Mastodon 4.5.3', () => {
  const bed = bedOf('4.5.3')
  const mode = () => bed.value(`SELECT value FROM settings WHERE var = 'registrations_mode'`)
  const seenBy = async (service: string) =>
    (await bed.stack.exec(service, ['printenv', 'SINGLE_USER_MODE'])).stdout.trim()

  it('opens, asks for approval and a reason, and closes', async () => {
    expect((await bed.run('registrations:open')).stdout).toContain('asks for approval again by itself')
    expect(await mode()).toContain('open')
    expect((await bed.run('registrations:approved', '--require-reason')).stdout).toContain('a reason is asked for')
    expect(await mode()).toContain('approved')
    expect((await bed.run('registrations:close')).exitCode).toBe(0)
    expect(await mode()).toContain('none')
    expect(JSON.parse((await bed.run('registrations:close', '--json')).stdout)).toMatchObject({
      changes: [],
      exitCode: 0,
    })
  })

  it('is as before when Mastodon says OK and nothing changed', async () => {
    const trigger = setting('settings', 'UPDATE', 'value', 'OLD.value')
    const result = await bed.with('settings', trigger, 'registrations:open')
    expect(result.exitCode, result.stderr).toBe(4)
    expect(await mode()).toContain('none')
  })

  it('single-user mode is in force in web alone, says whom it shows, and ends again', async () => {
    const on = await bed.run('single-user:on')
    expect(on.exitCode, on.stderr).toBe(0)
    expect(on.stdout).toMatch(/Visitors see the profile of admin, and nobody can sign up\. 3 more people/)
    expect([await seenBy('web'), await seenBy('sidekiq')]).toEqual(['true', 'false'])
    expect(JSON.parse((await bed.run('single-user:on', '--json')).stdout)).toMatchObject({ changes: [], exitCode: 0 })
    expect((await bed.run('registrations:open')).stdout).toContain('mstdn-ops single-user:off')
    expect((await bed.run('single-user:off')).exitCode).toBe(0)
    expect(await seenBy('web')).toBe('false')
  })

  it('single-user mode is refused where it would have nobody to show', async () => {
    await bed.value('UPDATE accounts SET suspended_at = now() WHERE domain IS NULL')
    const result = await bed.run('single-user:on')
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toContain('mstdn-ops accounts:create NAME')
  })
})

describe('the same on Mastodon 2.9.4', () => {
  const bed = bedOf('2.9.4')

  it('an owner is an admin there', async () => {
    const result = await bed.run(
      'accounts:create',
      'carol',
      '--email',
      'carol@mastodon.example',
      '--role',
      'owner',
      '--bot',
    )
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout).toContain('with the role admin and the mark of a bot')
    expect(await bed.value(account('carol', 'u.admin, u.approved, u.confirmed_at IS NOT NULL'))).toBe('t|t|t')
    expect((await bed.run('accounts:list', '--staff')).stdout).toMatch(/^carol +admin /m)
  })

  it('a suspension deletes at once, which is said before and after', async () => {
    const result = await bed.run('accounts:suspend', 'alice', ...CONFIRM)
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stderr).toContain('Mastodon 2.9.4 deletes at once, for good: 10 posts, 6 accounts')
    expect(result.stdout).toContain('Sidekiq deletes')
    const follows = () => bed.value('SELECT count(*) FROM follows WHERE account_id = 2')
    await bed.stack.redis('DEL', 'standin:paused')
    await vi.waitFor(async () => expect(await follows()).toBe('0'), 60_000)
    expect((await bed.run('accounts:unsuspend', 'alice')).stdout).toContain('do not come back: they were deleted')
    expect(await bed.value(account('alice', 'a.suspended_at IS NULL, u.disabled'))).toBe('t|f')
  })

  it('approval is asked for by a setting that no command of it knows', async () => {
    expect((await bed.run('registrations:approved')).exitCode).toBe(0)
    expect(await bed.value(`SELECT value FROM settings WHERE var = 'registrations_mode'`)).toContain('approved')
    const reason = await bed.run('registrations:approved', '--require-reason')
    expect(reason.exitCode).toBe(3)
    expect(reason.stderr).toContain('3.5.2')
  })
})

describe('the same on Mastodon 2.4.5', () => {
  const bed = bedOf('2.4.5')

  it('accounts are created on a terminal alone, which is said with what to do', async () => {
    const result = await bed.run('accounts:create', 'carol', '--email', 'carol@mastodon.example')
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toContain('mastodon:add_user')
  })

  it('accounts are suspended and limited by their flags, and registrations are open or closed', async () => {
    expect((await bed.run('accounts:suspend', 'mallory', ...CONFIRM)).exitCode).toBe(0)
    expect((await bed.run('accounts:limit', 'alice')).exitCode).toBe(0)
    expect(await bed.value(account('mallory', 'a.suspended'))).toBe('t')
    expect(await bed.value(account('alice', 'a.silenced'))).toBe('t')
    expect((await bed.run('accounts:unsuspend', 'mallory')).exitCode).toBe(0)
    expect(await bed.value(account('mallory', 'a.suspended'))).toBe('f')
    expect((await bed.run('registrations:close')).exitCode).toBe(0)
    expect((await bed.run('registrations:approved')).stderr).toContain('2.8.0')
  })
})
