import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CliResult, cli } from '../support/cli.js'
import { type TestSandbox, testSandbox } from '../support/sandbox.js'

vi.setConfig({ testTimeout: 90_000 })

let sandbox: TestSandbox
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  sandbox = await testSandbox({ statuses: 400 })
  env = { ...sandbox.env(), MSTDN_OPS_BACKEND: 'sandbox' }
})
afterAll(() => sandbox?.stop())

const ops = (...words: string[]): Promise<CliResult> => cli(words, { env })
const firstLine = ({ stdout }: CliResult) => stdout.split('\n')[0]

describe('rows', () => {
  it('counts without a budget', async () => {
    const result = await ops('rows', '--exact', '--top', '2')
    expect(result.exitCode).toBe(0)
    expect(firstLine(result)).toMatch(/^[\d,]+ rows in 80 tables, [\d.]+ MiB on disk$/)
    expect(result.stdout).toMatch(/^statuses +400 +[\d.]+ % +[\d.]+ KiB$/m)
    expect(result.stdout).toContain('… and 78 more tables (--top 80).')
  })

  it('ends with 7 over the budget, with the budget in the first line', async () => {
    const result = await ops('rows', '--budget-rows', '100')
    expect(result.exitCode).toBe(7)
    expect(firstLine(result)).toMatch(/^[\d,]+ of 100 rows \(\d+ %\)$/)
    expect(result.stdout.match(/ of 100 rows/g)).toHaveLength(1)
  })

  it('warns near the budget and ends with 0, also when it is quiet', async () => {
    const [, rows = ''] = /^([\d,]+) rows/.exec((await ops('rows', '--exact')).stdout) ?? []
    const budget = String(Number(rows.replaceAll(',', '')) + 1)
    const result = await ops('rows', '--exact', '--budget-rows', budget, '--quiet')
    expect(result).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('Warning: ') })
    expect(await ops('rows', '--exact', '--budget-rows', budget, '--warn-at', '100%', '--quiet')).toMatchObject({
      stderr: '',
    })
  })

  it('tells all tables, the method and the verdict as JSON', async () => {
    const { stdout, exitCode } = await ops('rows', '--json', '--heroku-plan', 'mini', '--top', '1')
    const answer = JSON.parse(stdout)
    expect(answer).toMatchObject({
      method: 'estimate',
      budget: { verdict: 'within', lines: [{ of: 'rows', budget: 10_000 }, {}] },
    })
    expect(answer.tables).toHaveLength(80)
    expect(exitCode).toBe(0)
  })

  it.each([
    [['--budget-bytes', '1x'], '--budget-bytes is "1x"'],
    [['--warn-at', '200%'], '--warn-at is "200%"'],
    [['--heroku-plan', 'huge'], 'heroku-plan'],
    [['--budget-rows', '0'], 'budget-rows'],
  ])('refuses %j', async (words, said) => {
    const { exitCode, stderr, stdout } = await ops('rows', ...words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toContain(said)
  })
})

describe('status', () => {
  it('has one line for what matters, then the details', async () => {
    const result = await ops('status')
    expect(result.exitCode).toBe(0)
    expect(firstLine(result)).toMatch(/^Mastodon 4\.5\.3 \(4\.5\.\d+ is out\) · no backup recorded · .*[\d,]+ rows$/)
    expect(result.stdout).toMatch(/^Processes +not known: the sandbox backend has no processes to list$/m)
  })

  it('has every part as JSON', async () => {
    const answer = JSON.parse((await ops('status', '--json')).stdout)
    expect(Object.keys(answer).sort()).toEqual([
      'backup',
      'disk',
      'domain',
      'exitCode',
      'instance',
      'jobs',
      'maintenance',
      'processes',
      'release',
      'rows',
      'title',
      'unfinishedRun',
      'volumes',
    ])
    expect(answer.domain).toEqual({ value: 'social.example', problem: null })
  })
})

describe('doctor', () => {
  it('finds a fresh sandbox well', async () => {
    const { exitCode, stdout } = await ops('doctor')
    expect({ exitCode, stdout }).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^0 problems, 0 warnings, \d+ ok, \d+ not/),
    })
  })

  it('finds an invalid index, and names a command that mends it', async () => {
    const toolbox = await sandbox.toolbox()
    const database = await toolbox.database()
    const index = "'index_statuses_on_uri'::regclass"
    await database.write(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = ${index}`)
    try {
      const { exitCode, stdout } = await ops('doctor', '--only', 'indexes')
      expect(exitCode).toBe(7)
      expect(stdout).toContain('1 index is invalid: index_statuses_on_uri.')
      expect(stdout).toMatch(
        /Fix: mstdn-ops db:psql --write -c 'REINDEX INDEX CONCURRENTLY "public"\."index_statuses_on_uri"'/,
      )
    } finally {
      await database.write(`UPDATE pg_index SET indisvalid = true WHERE indexrelid = ${index}`)
      await toolbox.close()
    }
  })

  it('refuses an unknown check by naming all', async () => {
    const { exitCode, stderr } = await ops('doctor', '--only', 'nothing')
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(/no check "nothing"[\s\S]*web, streaming, sidekiq/)
  })

  it('is silent when it is quiet and nothing is bad', async () => {
    expect(await ops('doctor', '--quiet')).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })
})

describe('runs and resume', () => {
  const runsFolder = () => join(String(env.XDG_STATE_HOME), 'mstdn-ops/sandbox-sandbox/runs')
  const journal = () => join(runsFolder(), readdirSync(runsFolder()).find(name => name.endsWith('.jsonl')) ?? '')

  it('have nothing to tell before the first change', async () => {
    expect((await ops('runs')).stdout).toContain('Nothing has been changed')
    expect(await ops('resume')).toMatchObject({
      exitCode: 0,
      stdout: 'No run is unfinished: there is nothing to resume.\n',
    })
  })

  it('list and show a run', async () => {
    expect(await ops('accounts:disable-2fa', 'alice')).toMatchObject({ exitCode: 0 })
    const { runs } = JSON.parse((await ops('runs', '--json')).stdout)
    expect(runs).toEqual([expect.objectContaining({ runbook: 'accounts:disable-2fa', ended: 'done', exitCode: 0 })])
    const { stdout } = await ops('runs:show', runs[0].id)
    expect(stdout).toMatch(/^disable-2fa +done$/m)
    expect(stdout).toContain('disable-2fa: started')
    expect(await ops('runs:show', '../../etc/passwd')).toMatchObject({ exitCode: 3 })
  })

  it('go on with, take back or abandon a run that died', async () => {
    const whole = readFileSync(journal(), 'utf8')
    const died = `${whole.split('\n').slice(0, -2).join('\n')}\n`
    writeFileSync(journal(), died)
    expect(await ops('accounts:disable-2fa', 'alice')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('mstdn-ops resume'),
    })
    expect((await ops('runs')).stdout).toMatch(/unfinished[\s\S]*mstdn-ops resume/)
    expect((await ops('resume', '--dry-run')).stdout).toContain('would be resumed')
    expect(await ops('resume')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('(accounts:disable-2fa) is done.'),
    })
    writeFileSync(journal(), died)
    expect(await ops('resume', '--abandon')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--confirm social.example'),
    })
    expect(await ops('resume', '--abandon', '--confirm', 'other.example')).toMatchObject({ exitCode: 3 })
    expect(await ops('resume', '--abandon', '--confirm', 'social.example')).toMatchObject({ exitCode: 0 })
    expect(await ops('resume')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('nothing to resume') })
    expect(await ops('accounts:disable-2fa', 'alice')).toMatchObject({ exitCode: 0 })
  })
})

describe('upgrade', () => {
  const notes = 'https://github.com/mastodon/mastodon/releases/tag/v4.5.14'
  const answer = { updatesAvailable: [{ version: '4.5.14', urgent: true, releaseNotes: notes }] }
  const server = createServer((_, response) => response.end(JSON.stringify(answer)))
  beforeAll(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => server.close())

  it('--check ends with 7, and shows what the list of the project says and what the table adds', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const { stdout, exitCode } = await cli(['upgrade', '--check'], { env: { ...env, UPDATE_CHECK_URL: url } })
    expect(exitCode).toBe(7)
    expect(stdout).toMatch(/^Newer than Mastodon 4\.5\.3, with fixes of security problems:\n\nRELEASE/)
    expect(stdout).toMatch(/^4\.5\.14 +patch +yes +2027-02-20$/m)
    expect(stdout).toContain(`\nRelease notes:\n  4.5.14  ${notes}\n`)
    expect(stdout).toMatch(/^4\.7\.4 +minor +not known/m)
  })

  it('--check says that nobody could be asked, also as JSON', async () => {
    const result = await ops('upgrade', '--check')
    expect(result.exitCode).toBe(7)
    expect(result.stdout).toContain('it is switched off: UPDATE_CHECK_URL is empty.\nSo this is what')
    const json = JSON.parse((await ops('upgrade', '--check', '--json')).stdout)
    expect(json).toMatchObject({ installed: '4.5.3', asked: null, exitCode: 7 })
    expect(json.available[0]).toMatchObject({ kind: 'patch', security: true, source: 'table' })
  })

  it('--dry-run shows the plan, and ends with 0', async () => {
    const result = await ops('upgrade', '--to', 'v4.5.14', '--dry-run')
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout).toMatch(/^Mastodon 4\.5\.3 to 4\.5\.14: 1 release to deploy\.$/m)
    expect(result.stdout).toMatch(/^ {2}✔ PostgreSQL 14 or newer.*: PostgreSQL 15\./m)
    const json = JSON.parse((await ops('upgrade', '--to', '4.5.14', '--dry-run', '--json')).stdout)
    expect(json).toMatchObject({ plan: { from: '4.5.3', steps: [{ to: '4.5.14' }], refusals: [] }, exitCode: 0 })
  })

  it('to what is installed there is nothing to do', async () => {
    expect(await ops('upgrade', '--to', '4.5.3')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('nothing to do'),
    })
  })

  it.each([
    [['--to', '4.3.8', '--dry-run'], 'older than the installed 4.5.3'],
    [['--to', 'no-such-thing', '--dry-run'], 'is no release of Mastodon'],
    [['--to', '4.5.14'], 'has no releases that are changed from here'],
    [['--to', '4.5.14', '--rehearse'], 'has no place apart in which a release could be rehearsed'],
  ])('%j is refused with what to do next', async (words, said) => {
    const { exitCode, stdout, stderr } = await ops('upgrade', ...words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
    expect(stderr).toContain(said)
    expect(stderr).toMatch(/^ {2}Next: /m)
  })
})
