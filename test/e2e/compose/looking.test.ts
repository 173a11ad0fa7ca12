import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { type Stack, startStack } from './bed/bed.js'

// Beside other stacks on a small machine each process takes its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 300_000 })

interface Found {
  id: string
  state: string
  message: string
  fix?: string
}

const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-looking-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function commandsOn(stack: () => Stack) {
  const ops = (...words: string[]): Promise<CliResult> =>
    cli(words, { env: { MSTDN_OPS_PROJECT_DIR: stack().projectDir, XDG_STATE_HOME: folder } })
  const doctor = async (...only: string[]): Promise<Found[]> => {
    const { stdout, stderr } = await ops('doctor', '--json', ...only.flatMap(id => ['--only', id]))
    const { checks } = JSON.parse(stdout)
    if (checks === undefined) throw new Error(`doctor found nothing: ${stdout}${stderr}`)
    return checks
  }
  const find = async (id: string) => (await doctor(id))[0]
  return { ops, doctor, find }
}

describe('on a lean 4.5.3', () => {
  let stack: Stack
  const { ops, doctor, find } = commandsOn(() => stack)
  beforeAll(async () => {
    stack = await startStack({
      version: '4.5.3',
      variant: 'lean',
      databaseVolume: 'anonymous',
      environment: { SMTP_SERVER: '' },
    })
  })
  afterAll(() => stack?.stop())

  test('an upgrade is refused where it would lose the database', async () => {
    const { stdout, exitCode } = await ops('upgrade', '--to', '4.5.20', '--dry-run', '--json')
    expect(exitCode).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'bad-volumes', message: expect.any(String) })
  })

  test('status tells everything, also the first line', async () => {
    const { stdout, exitCode } = await ops('status')
    expect(exitCode).toBe(0)
    expect(stdout.split('\n')[0]).toMatch(
      /^Mastodon 4\.5\.3 \(4\.5\.\d+ is out\) · no backup recorded · jobs wait .* · [\d,]+ rows · disk \d+ % full$/,
    )
    expect(stdout).not.toContain('not known')
    expect(stdout).toMatch(/^sidekiq +sidekiq +running/m)
    expect(stdout).toMatch(/^database +anonymous/m)
    for (const line of stdout.split('\n').filter(each => /^(web|sidekiq|database|default)\b/.test(each))) {
      expect(line.length).toBeLessThanOrEqual(80)
    }
  })

  test('rows holds against a budget', async () => {
    expect(await ops('rows', '--budget-rows', '10')).toMatchObject({
      exitCode: 7,
      stdout: expect.stringMatching(/^\d+ of 10 rows/),
    })
  })

  test('doctor looks at all, and finds the anonymous volume of the database', async () => {
    const found = await doctor()
    const state = (id: string) => found.find(each => each.id === id)?.state
    const well = ['web', 'streaming', 'sidekiq', 'queues', 'sidekiq-health-check', 'database', 'redis', 'migrations']
    for (const id of [...well, 'encryption-keys', 'secrets', 'configuration', 'rails-env'])
      expect([id, state(id)]).toEqual([id, 'ok'])
    expect(found.find(each => each.id === 'volumes')).toMatchObject({
      state: 'bad',
      message: expect.stringContaining('database'),
    })
    expect((await ops('doctor', '--quiet')).exitCode).toBe(7)
  })

  test('doctor finds a post-deployment migration that is pending, and one of the others', async () => {
    const posts = await stack.exec('web', ['ls', 'db/post_migrate'])
    const post = posts.stdout.split('_')[0] ?? ''
    await stack.psql(`DELETE FROM schema_migrations WHERE version = '${post}'`)
    expect(await find('migrations')).toMatchObject({ state: 'warn', fix: 'mstdn-ops db:migrate --phase post' })
    const pres = await stack.exec('web', ['ls', 'db/migrate'])
    const pre = pres.stdout.split('_')[0] ?? ''
    await stack.psql(`DELETE FROM schema_migrations WHERE version = '${pre}'`)
    expect(await find('migrations')).toMatchObject({
      state: 'bad',
      message: `2 migrations are pending, the first is ${pre}.`,
    })
    await stack.psql(`INSERT INTO schema_migrations VALUES ('${post}'), ('${pre}')`)
  })

  test('doctor names the variables that the running processes have not read yet, never their values', async () => {
    await stack.writeEnv({ SMTP_SERVER: 'mail-canary.example', NEW_VARIABLE: 'value-canary' })
    const found = await find('configuration')
    expect(found).toMatchObject({ state: 'warn', fix: 'mstdn-ops restart' })
    expect(found?.message).toMatch(/: NEW_VARIABLE, SMTP_SERVER\.$/)
    expect(JSON.stringify(found)).not.toContain('canary')
    await stack.writeEnv({ SMTP_SERVER: '', NEW_VARIABLE: null })
  })

  test('doctor knows that mails fail on an instance without mail', async () => {
    // Due tomorrow: one that is due is taken at once.
    const due = String(Date.now() / 1000 + 86_400)
    await stack.redis(
      'ZADD',
      'retry',
      due,
      JSON.stringify({ queue: 'mailers', class: 'ActionMailer::MailDeliveryJob' }),
    )
    expect(await find('mail')).toMatchObject({
      state: 'warn',
      message: expect.stringContaining('as is to be expected'),
    })
  })

  test('support-bundle holds everything that helps, and no secret', async () => {
    const environment = readFileSync(join(stack.projectDir, '.env.production'), 'utf8').split('\n')
    const secrets = environment.flatMap(line => /^\w*(?:SECRET|KEY|PASS|SALT)\w*=(.{6,})$/.exec(line)?.[1] ?? [])
    expect(secrets.length).toBeGreaterThan(4)
    const personal = ['alice@town.example', '203.0.113.7', 'Bearer Z1y2X3w4V5']
    await stack.exec('web', [
      'sh',
      '-c',
      'echo "$0" > /proc/1/fd/1',
      `said ${[...personal, ...secrets].join(' , ')} end`,
    ])
    const path = join(folder, 'bundle.tar.gz')
    const { exitCode, stdout, stderr } = await ops('support-bundle', '--output', path)
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain('Look at it before you send it')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect((await ops('support-bundle', '--output', path)).exitCode, 'no file is overwritten').toBe(2)
    const held = (...words: string[]) => execFileSync('tar', ['-xzOf', path, ...words], { encoding: 'utf8' })
    const text = held()
    for (const secret of [...personal, ...secrets]) expect(text).not.toContain(secret)
    expect(text).toMatch(/said \[E-MAIL\] , \[ADDRESS\] , Bearer \[TOKEN\].* end/)
    expect(text).toContain('SECRET_KEY_BASE: set')
    expect(JSON.parse(held('--wildcards', '*/status.json'))).toMatchObject({
      release: { value: { installed: '4.5.3' } },
    })
    expect(JSON.parse(held('--wildcards', '*/doctor.json')).checks.length).toBeGreaterThan(10)
    expect(held('--wildcards', '*/logs.txt')).toMatch(/web-1 \|/)
    expect(text, 'the database’s log quotes statements').not.toContain('database system is ready')
  })

  test('doctor and status go on where Sidekiq and web do not run, and say it', async () => {
    await stack.compose('stop', 'sidekiq', 'web')
    await stack.redis('DEL', 'processes')
    const diagnosis = await ops('diagnose')
    expect(diagnosis.exitCode, diagnosis.stderr).toBe(7)
    expect(diagnosis.stdout).toMatch(
      /✘ The site answers and nothing happens.*\(sidekiq-idle\)[\s\S]*Where {4}check sidekiq:/,
    )
    const found = await doctor('web', 'sidekiq', 'queues', 'migrations', 'database')
    expect(found.map(({ id, state }) => [id, state])).toEqual([
      ['web', 'bad'],
      ['sidekiq', 'bad'],
      ['queues', 'not-applicable'],
      ['database', 'ok'],
      ['migrations', 'ok'],
    ])
    const { stdout, exitCode } = await ops('status')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/no Sidekiq process/)
    expect(stdout).toMatch(/^web +web +stopped/m)
    await stack.compose('start', 'sidekiq', 'web')
  })

  test('doctor says what is away when the database is', async () => {
    await stack.compose('stop', 'db')
    const found = await doctor('database', 'redis', 'indexes', 'volumes')
    expect(found.find(({ id }) => id === 'database')).toMatchObject({ state: 'bad' })
    expect(found.find(({ id }) => id === 'redis')).toMatchObject({
      state: 'ok',
      message: expect.stringContaining('answers'),
    })
    expect(found.find(({ id }) => id === 'indexes')?.message).toMatch(/^It could not be looked at: /)
    const { stdout, exitCode } = await ops('status')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^Rows +not known: /m)
    await stack.compose('start', 'db')
  })
})

describe('on a split 4.2.9', () => {
  let stack: Stack
  const { ops, find } = commandsOn(() => stack)
  beforeAll(async () => {
    stack = await startStack({ version: '4.2.9', sidekiq: 'split', streaming: false, demo: false })
  })
  afterAll(() => stack?.stop())

  test('doctor asks for what this version has', async () => {
    expect(await find('streaming')).toMatchObject({ state: 'not-applicable' })
    expect(await find('encryption-keys')).toMatchObject({ state: 'not-applicable' })
    expect(await find('secrets')).toMatchObject({ state: 'ok', message: 'SECRET_KEY_BASE, OTP_SECRET: set.' })
    expect(await find('queues')).toMatchObject({ state: 'ok' })
    expect(await find('sidekiq-health-check')).toMatchObject({ state: 'ok', message: 'It looks for Sidekiq 6.' })
  })

  test('doctor finds the queues that nobody listens to any more', async () => {
    const service = (await stack.containers()).find(
      each => each.service !== 'sidekiq-fast' && /sidekiq/.test(each.service),
    )
    await stack.compose('stop', service?.service ?? '')
    const found = await find('queues')
    expect(found).toMatchObject({ state: 'bad', message: expect.stringContaining('scheduler (all regular jobs') })
    expect((await ops('doctor')).exitCode).toBe(7)
  })
})
