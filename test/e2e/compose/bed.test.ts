import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildImages, demoCounts, imageNames, people, type Stack, startStack, versions } from './bed/bed.js'
import { finish } from './bed/process.js'

/** The first start on a machine builds the images. */
const imagesTimeout = 600_000

const twoFactor = `SELECT otp_required_for_login, otp_secret, (SELECT count(*) FROM webauthn_credentials) FROM users WHERE id = ${people.alice}`
const admin = (id: number) => `SELECT admin FROM users WHERE id = ${id}`

describe('2.4.5, by rake', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ version: '2.4.5', variant: 'lean', running: 'servers' })
  }, imagesTimeout)
  afterAll(() => stack?.stop())

  test('make_admin says who was not found, and exits 0', async () => {
    const { code, stdout } = await stack.oneOff(['rake', 'mastodon:make_admin', 'USERNAME=nobody'])
    expect(code).toBe(0)
    expect(stdout).toContain('User could not be found')
  })

  test('make_admin makes an admin', async () => {
    const { code, stdout } = await stack.oneOff(['rake', 'mastodon:make_admin'], { env: { USERNAME: 'alice' } })
    expect({ code, admin: await stack.psql(admin(people.alice)) }).toEqual({ code: 0, admin: 't' })
    expect(stdout).toContain('Congrats! alice is now an admin. \\o/')
  })

  test('daily does nothing, silently', async () => {
    expect(await stack.oneOff(['rake', 'mastodon:daily'])).toMatchObject({ code: 0, stdout: '' })
  })

  test('there is no tootctl', async () => {
    expect((await stack.oneOff(['tootctl', 'version'])).code).not.toBe(0)
  })

  test('it does not boot without OTP_SECRET', async () => {
    await stack.writeEnv({ OTP_SECRET: null })
    const { code, stderr } = await stack.oneOff(['rake', 'db:migrate'])
    expect(code).toBe(1)
    expect(stderr).toContain('OTP_SECRET')
  })
})

describe('2.9.4, by tootctl', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ version: '2.9.4' })
  }, imagesTimeout)
  afterAll(() => stack?.stop())

  test('a role of the wrong name demotes, says OK and exits 0', async () => {
    await stack.exec('web', ['bin/tootctl', 'accounts', 'modify', 'alice', '--role', 'admin'])
    expect(await stack.psql(admin(people.alice))).toBe('t')
    const { code, stdout } = await stack.exec('web', ['bin/tootctl', 'accounts', 'modify', 'alice', '--role', 'Owner'])
    expect({ code, stdout, admin: await stack.psql(admin(people.alice)) }).toEqual({
      code: 0,
      stdout: 'OK\n',
      admin: 'f',
    })
  })

  test('who is not found is said on stdout, with exit 1', async () => {
    const found = await stack.exec('web', ['tootctl', 'accounts', 'modify', 'nobody', '--confirm'])
    expect(found).toMatchObject({ code: 1, stdout: 'No user with such username\n', stderr: '' })
  })

  test('a removed rake task and a flag of a later release fail', async () => {
    const removed = await stack.exec('web', ['rake', 'mastodon:make_admin'])
    expect(removed.code).toBe(1)
    expect(removed.stderr).toContain("Don't know how to build task 'mastodon:make_admin'")
    expect((await stack.exec('web', ['tootctl', 'accounts', 'modify', 'bob', '--reset-password'])).code).toBe(1)
  })

  test('media remove takes old remote files', async () => {
    const { stdout } = await stack.exec('web', ['tootctl', 'media', 'remove', '--days', '7'])
    expect(stdout).toMatch(/^Removed \d+ media attachments \(approx\. [\d.]+ MB\)\n$/)
    expect(
      Number(
        await stack.psql(
          "SELECT count(*) FROM media_attachments WHERE remote_url <> '' AND file_file_name IS NOT NULL",
        ),
      ),
    ).toBeLessThan(demoCounts.cachedMedia)
  })

  test('web answers over https only, and knows its version', async () => {
    const page = ['curl', '-s', '-w', '%{http_code}', 'localhost:3000/api/v1/instance']
    expect((await stack.exec('web', page)).stdout).toContain('301')
    expect((await stack.exec('web', [...page, '-H', 'X-Forwarded-Proto: https'])).stdout).toContain('"version":"2.9.4"')
  })
})

describe('4.3.8, lean', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ version: '4.3.8', variant: 'lean', sidekiq: 'split' })
  }, imagesTimeout)
  afterAll(() => stack?.stop())

  test('all services are healthy, streaming from an image of its own', async () => {
    const services = (await stack.containers()).map(({ service, health }) => `${service} ${health}`).sort()
    expect(services).toEqual(
      ['db', 'redis', 'sidekiq-fast', 'sidekiq-rest', 'streaming', 'web'].map(name => `${name} healthy`),
    )
    const streaming = (await stack.containers()).find(container => container.service === 'streaming')
    expect(streaming?.image).toBe(imageNames.streaming('4.3.8'))
    expect((await stack.exec('web', ['node', './streaming'])).code).toBe(1)
  })

  test('the lean images lack what they should', async () => {
    const tools = 'for tool in nc socat ruby perl ps pkill zstd bash; do command -v $tool; done; true'
    expect((await stack.exec('db', ['sh', '-c', tools])).stdout).toBe('/usr/bin/bash\n')
    expect((await stack.exec('redis', ['sh', '-c', tools])).stdout).toBe('')
  })

  test('disable-2fa takes only the flag away', async () => {
    expect((await stack.exec('web', ['tootctl', 'accounts', 'modify', 'alice', '--disable-2fa'])).stdout).toBe('OK\n')
    expect(await stack.psql(twoFactor)).toBe('f|sealed-by-active-record|1')
  })

  test('a lower-case role is refused on stderr', async () => {
    const found = await stack.exec('web', ['tootctl', 'accounts', 'modify', 'alice', '--role', 'owner'])
    expect(found).toMatchObject({ code: 1, stdout: '', stderr: 'Cannot find user role with that name\n' })
  })

  test('Sidekiq registers itself with its queues, and runs what is enqueued', async () => {
    expect(await stack.redis('scard', 'processes')).toBe('2')
    await stack.exec('web', ['rails', 'runner', 'Scheduler::VacuumScheduler.perform_async'])
    await expect
      .poll(() => stack.redis('exists', 'standin:ran:Scheduler::VacuumScheduler'), { timeout: 8000 })
      .toBe('1')
    expect(await stack.redis('llen', 'queue:pull')).toBe('3')
  })

  test('a migration that fails is rolled back, and the next run goes on', async () => {
    const last = '20241007071624'
    await stack.psql(`DELETE FROM schema_migrations WHERE version = '${last}'; DROP TABLE notification_permissions`)
    await stack.faults({ STANDIN_FAIL_MIGRATION: last })
    const failed = await stack.exec('web', ['rails', 'db:migrate'])
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('this and all later migrations canceled')
    await stack.faults({})
    expect((await stack.exec('web', ['rails', 'db:abort_if_pending_migrations'])).code).toBe(1)
    expect((await stack.exec('web', ['rails', 'db:migrate'])).code).toBe(0)
    expect(await stack.psql("SELECT to_regclass('notification_permissions')")).toBe('notification_permissions')
  })

  test('it does not boot without the encryption keys', async () => {
    const { code, stderr } = await stack.exec('web', ['rails', 'db:migrate'], {
      env: { ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: '' },
    })
    expect(code).toBe(1)
    expect(stderr).toContain('ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY')
  })
})

describe('every release after the other, on one database', () => {
  let stack: Stack
  beforeAll(async () => {
    await buildImages()
    stack = await startStack({ version: '1.5.1', running: 'servers', environment: { OTP_SECRET: 'first' } })
  }, imagesTimeout)
  afterAll(() => stack?.stop())

  const rails = (version: string, words: string[], env: Record<string, string> = {}) => {
    const names = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(
      name => `ACTIVE_RECORD_ENCRYPTION_${name}=standin`,
    )
    const variables = [...names, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)].flatMap(line => [
      '-e',
      line,
    ])
    const place = [
      '--network',
      `${stack.projectName}_internal_network`,
      '--env-file',
      `${stack.projectDir}/.env.production`,
    ]
    return finish('docker', ['run', '--rm', ...place, ...variables, imageNames.app(version), 'rails', ...words])
  }

  test.each(versions)('%s migrates in two phases', async version => {
    const first = await rails(version, ['db:migrate'], { SKIP_POST_DEPLOYMENT_MIGRATIONS: 'true' })
    expect(first, first.stderr).toMatchObject({ code: 0 })
    if (version === '4.3.8') {
      const wrong = await rails(version, ['db:migrate'], { OTP_SECRET: 'another' })
      expect(wrong, wrong.stdout).toMatchObject({ code: 1 })
      expect(wrong.stderr).toContain('OTP_SECRET')
    }
    expect(await rails(version, ['db:migrate', 'db:abort_if_pending_migrations'])).toMatchObject({ code: 0 })
  })

  test('what the first release knew has arrived', async () => {
    const owner = `SELECT r.name FROM users u JOIN user_roles r ON r.id = u.role_id WHERE u.id = ${people.admin}`
    expect(await stack.psql(owner)).toBe('Owner')
    expect(await stack.psql('SELECT count(*) FROM statuses')).toBe(
      String(demoCounts.localStatuses + demoCounts.remoteStatuses),
    )
    expect(await stack.psql(`SELECT otp_secret IS NOT NULL FROM users WHERE id = ${people.alice}`)).toBe('t')
  })
})
