import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { stateFolder, writtenDown } from '../../support/state.js'
import { type Stack, startStack } from './bed/bed.js'

/** Keeps one column as it is, whatever a command writes: Mastodon then says OK and exits 0, and nothing has changed. */
const keepingColumn = (column: string) => `
CREATE OR REPLACE FUNCTION keep_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.${column} := OLD.${column}; RETURN NEW; END $$;
CREATE TRIGGER keep_column BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep_column();`
const LETTING_GO = 'DROP TRIGGER keep_column ON users'

/** A stack of one version with the commands over it. */
function bedOf(version: string) {
  const bed = { stack: undefined as unknown as Stack, state: '', run, user }
  beforeAll(async () => {
    bed.stack = await startStack({ version })
    bed.state = stateFolder()
  })
  afterAll(async () => {
    await bed.stack?.stop()
    rmSync(bed.state, { recursive: true, force: true })
  })
  function run(...words: string[]): Promise<CliResult> {
    return cli(words, { cwd: bed.stack.projectDir, env: { XDG_STATE_HOME: bed.state } })
  }
  function user(name: string, columns: string): Promise<string> {
    return bed.stack.psql(`SELECT ${columns} FROM users u JOIN accounts a ON a.id = u.account_id
      WHERE a.domain IS NULL AND a.username = '${name}'`)
  }
  return bed
}

vi.setConfig({ testTimeout: 120_000 })

describe('accounts on Mastodon 4.5.3', () => {
  const bed = bedOf('4.5.3')
  const role = 'u.role_id IS NOT DISTINCT FROM (SELECT max(id) FROM user_roles WHERE permissions & 1 = 1)'

  it('create: an owner and bot can sign in at once, and a second time nothing changes', async () => {
    const words = ['accounts:create', 'carol', '--email', 'carol@mastodon.example', '--role', 'owner', '--bot']
    const result = await bed.run(...words, '--log-level', 'debug')
    expect(result.exitCode, result.stderr).toBe(0)
    const [, password = ''] = /^Password of carol: ([0-9a-f]{32})$/m.exec(result.stdout) ?? []
    expect(result.stdout.split(password)).toHaveLength(2)
    expect(result.stderr + writtenDown(bed.state)).not.toContain(password)
    const columns = `u.confirmed_at IS NOT NULL, u.approved, ${role}, a.actor_type, u.encrypted_password`
    const made = `t|t|t|Service|standin$${sha256(password)}`
    expect(await bed.user('carol', columns)).toBe(made)
    expect(await signIn(bed.stack, 'carol@mastodon.example', password)).toBe('302')
    const again = await bed.run(...words, '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({
      changes: [],
      exitCode: 0,
      result: { created: false },
      revealed: {},
    })
    expect(await bed.user('carol', columns)).toBe(made)
  })

  it('suspend: counts what would be lost, asks for the domain, and is taken back by unsuspend', async () => {
    const asked = await bed.run('accounts:suspend', 'alice')
    expect(asked.exitCode).toBe(2)
    expect(asked.stderr).toMatch(/10 posts, 6 accounts that it follows \(6 on other servers\), 0 followers/)
    const done = await bed.run('accounts:suspend', 'alice', '--confirm', 'mastodon.example')
    expect(done.exitCode, done.stderr).toBe(0)
    expect(done.stdout).toContain('mstdn-ops accounts:unsuspend alice')
    expect(await bed.user('alice', 'a.suspended_at IS NOT NULL')).toBe('t')
    const back = await bed.run('accounts:unsuspend', 'alice')
    expect(back.exitCode, back.stderr).toBe(0)
    expect(await bed.user('alice', 'a.suspended_at IS NULL')).toBe('t')
  }, 300_000)

  it('confirm: undone, by reading back, when Mastodon says OK and the address is not confirmed', async () => {
    await bed.stack.psql(keepingColumn('confirmed_at'))
    const result = await bed.run('accounts:confirm', 'bob').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(result.stderr).toContain('is not confirmed')
    expect(await bed.user('bob', 'u.confirmed_at IS NULL')).toBe('t')
  })

  it('confirm --approve: the confirmation is taken back when the approval fails', async () => {
    await bed.stack.psql(keepingColumn('approved'))
    const result = await bed.run('accounts:confirm', 'bob', '--approve').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(await bed.user('bob', 'u.confirmed_at IS NULL, u.approved')).toBe('t|f')
  })

  it('confirm: says that the sign-up waits for approval, and --approve ends that', async () => {
    const waiting = await bed.run('accounts:confirm', 'bob')
    expect(waiting.exitCode, waiting.stderr).toBe(0)
    expect(waiting.stdout).toContain('mstdn-ops accounts:confirm bob --approve')
    expect(await bed.user('bob', 'u.confirmed_at IS NOT NULL, u.approved')).toBe('t|f')
    const approved = await bed.run('accounts:confirm', 'bob@mastodon.example', '--approve')
    expect(approved.stdout).toContain('was confirmed already, and the sign-up is approved')
    expect(approved.stdout).not.toContain('--approve')
    expect(await bed.user('bob', 'u.approved')).toBe('t')
    const again = await bed.run('accounts:confirm', 'bob', '--approve', '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ changes: [], exitCode: 0, result: { changed: false } })
  })

  it('confirm: an address that changes with its confirmation is followed, and put back by undo', async () => {
    await bed.stack.psql(
      `UPDATE users SET confirmed_at = NULL, approved = false, unconfirmed_email = 'new@mastodon.example' WHERE id = 3`,
    )
    await bed.stack.psql(keepingColumn('approved'))
    const failed = await bed
      .run('accounts:confirm', 'bob@mastodon.example', '--approve')
      .finally(() => bed.stack.psql(LETTING_GO))
    expect(failed.exitCode, failed.stderr).toBe(4)
    const columns = 'u.email, u.unconfirmed_email, u.confirmed_at IS NULL'
    expect(await bed.user('bob', columns)).toBe('bob@mastodon.example|new@mastodon.example|t')
    const result = await bed.run('accounts:confirm', 'bob@mastodon.example', '--approve')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(await bed.user('bob', columns)).toBe('new@mastodon.example||f')
  })

  it('reset-password: shows the password once, writes it nowhere, and it is the one that counts', async () => {
    const result = await bed.run('accounts:reset-password', 'alice', '--log-level', 'debug')
    expect(result.exitCode, result.stderr).toBe(0)
    const [, password = ''] = /^New password: ([0-9a-f]{32})$/m.exec(result.stdout) ?? []
    expect(await bed.user('alice', 'u.encrypted_password')).toBe(`standin$${sha256(password)}`)
    expect(result.stdout.split(password)).toHaveLength(2)
    expect(result.stderr + writtenDown(bed.state)).not.toContain(password)
  })

  it('reset-password --json: the password stands under `revealed` and nowhere else', async () => {
    const result = await bed.run('accounts:reset-password', 'alice', '--json')
    const { revealed, ...rest } = JSON.parse(result.stdout)
    expect(await bed.user('alice', 'u.encrypted_password')).toBe(`standin$${sha256(revealed.newPassword)}`)
    expect(JSON.stringify(rest) + result.stderr + writtenDown(bed.state)).not.toContain(revealed.newPassword)
  })

  it('reset-password --quiet still shows it, for nothing else could', async () => {
    const result = await bed.run('accounts:reset-password', 'alice', '--quiet')
    expect(result.stdout).toMatch(/^New password: [0-9a-f]{32}\n$/)
    expect(result.stderr).toBe('')
  })

  it('reset-password: fails, with nothing to resume, when the password did not change', async () => {
    await bed.stack.psql(keepingColumn('encrypted_password'))
    const before = await bed.user('alice', 'u.encrypted_password')
    const result = await bed.run('accounts:reset-password', 'alice').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(result.stdout).not.toContain('New password')
    expect(await bed.user('alice', 'u.encrypted_password')).toBe(before)
  })

  it('reset-password: says how many sessions and apps stay open', async () => {
    await bed.stack.psql(`CREATE RULE keep_sessions AS ON DELETE TO session_activations DO INSTEAD NOTHING;
      INSERT INTO session_activations (session_id, user_id, created_at, updated_at) VALUES ('s1', 2, now(), now())`)
    const result = await bed.run('accounts:reset-password', 'alice')
    await bed.stack.psql('DROP RULE keep_sessions ON session_activations; DELETE FROM session_activations')
    expect(result.stdout).toContain('Still signed in without it: 1 browser session')
  })

  it("make-admin: finds the role by its permission, also when it is called A'; --", async () => {
    await bed.stack.psql(`UPDATE user_roles SET name = 'A''; --' WHERE permissions & 1 = 1`)
    const result = await bed.run('accounts:make-admin', 'bob')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout).toContain(`--role "A'; --"`)
    expect(await bed.user('bob', role)).toBe('t')
  })

  it('make-admin: nothing is done to an administrator', async () => {
    const result = await bed.run('accounts:make-admin', 'admin', '--json')
    expect(JSON.parse(result.stdout)).toMatchObject({ changes: [], steps: [{ state: 'skipped' }], exitCode: 0 })
  })

  it('make-admin: undone, by reading back, when Mastodon says OK and nothing changed', async () => {
    await bed.stack.psql(keepingColumn('role_id'))
    const result = await bed.run('accounts:make-admin', 'mallory').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(await bed.user('mallory', 'u.role_id IS NULL')).toBe('t')
  })

  it('make-admin: refuses, and says what to do, where no role allows everything', async () => {
    await bed.stack.psql('UPDATE user_roles SET permissions = permissions & ~1')
    const result = await bed.run('accounts:make-admin', 'mallory')
    await bed.stack.psql(`UPDATE user_roles SET permissions = permissions | 1 WHERE name = 'A''; --'`)
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toContain('db:seed')
  })

  it('disable-2fa: in one transaction, wholly; a second time there is nothing to do', async () => {
    const dry = await bed.run('accounts:disable-2fa', 'alice', '--dry-run')
    expect(dry.stdout).toContain('DELETE FROM webauthn_credentials')
    expect(await bed.user('alice', 'u.otp_required_for_login')).toBe('t')
    const result = await bed.run('accounts:disable-2fa', 'alice@mastodon.example')
    expect(result.exitCode, result.stderr).toBe(0)
    const columns = 'u.otp_required_for_login, u.otp_backup_codes, u.otp_secret, u.consumed_timestep'
    expect(await bed.user('alice', columns)).toBe('f|||')
    expect(await bed.stack.psql('SELECT count(*) FROM webauthn_credentials WHERE user_id = 2')).toBe('0')
    expect((await bed.run('accounts:disable-2fa', 'alice')).stdout).toContain('was off already')
  })

  it('disable-2fa: nothing is committed when something is left', async () => {
    await bed.stack.psql("UPDATE users SET otp_required_for_login = true, otp_secret = 'sealed' WHERE id = 2")
    await bed.stack.psql(keepingColumn('otp_secret'))
    const result = await bed.run('accounts:disable-2fa', 'alice').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(await bed.user('alice', 'u.otp_required_for_login')).toBe('t')
  })
})

describe('accounts on Mastodon 2.9.4', () => {
  const bed = bedOf('2.9.4')

  it('make-admin: promotes with the one word that does not demote', async () => {
    const result = await bed.run('accounts:make-admin', 'alice')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout).toContain('--role admin')
    expect(await bed.user('alice', 'u.admin')).toBe('t')
    expect(await bed.user('admin', 'u.admin')).toBe('t')
  })

  it('make-admin: puts both columns back when the change did not stand', async () => {
    await bed.stack.psql('UPDATE users SET moderator = true WHERE id = 3')
    await bed.stack.psql(keepingColumn('admin'))
    const result = await bed.run('accounts:make-admin', 'bob').finally(() => bed.stack.psql(LETTING_GO))
    expect(result.exitCode, result.stderr).toBe(4)
    expect(await bed.user('bob', 'u.admin, u.moderator')).toBe('f|t')
  })

  it('reset-password: refused by name, with the version that has it and what to do instead', async () => {
    const result = await bed.run('accounts:reset-password', 'alice')
    expect(result.exitCode).toBe(3)
    expect(result.stderr).toMatch(/3\.1\.2/)
    expect(result.stderr).toContain('Forgot your password?')
  })

  it('disable-2fa: clears the secret too, which the command of this version leaves', async () => {
    expect((await bed.run('accounts:disable-2fa', 'alice')).exitCode).toBe(0)
    expect(await bed.user('alice', 'u.otp_required_for_login, u.encrypted_otp_secret')).toBe('f|')
  })
})

/** How the stand-in answers to a sign-in: 302 when it is let in. */
async function signIn(stack: Stack, email: string, password: string): Promise<string> {
  const headers = ['-H', `Host: ${stack.domain}`, '-H', 'X-Forwarded-Proto: https']
  const form = [`user[email]=${email}`, `user[password]=${password}`].flatMap(field => ['--data-urlencode', field])
  const address = 'localhost:3000/auth/sign_in'
  const { stdout } = await stack.exec('web', [
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    ...headers,
    ...form,
    address,
  ])
  return stdout.trim()
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
