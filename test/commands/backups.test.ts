import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { BackupStore, noteCheck } from '../../src/lib/backups/store.js'
import { putBackup } from '../support/backups.js'
import { type CliResult, cli } from '../support/cli.js'
import { type TestSandbox, testSandbox } from '../support/sandbox.js'

vi.setConfig({ testTimeout: 90_000 })

let sandbox: TestSandbox
let env: NodeJS.ProcessEnv
let store: BackupStore
beforeAll(async () => {
  sandbox = await testSandbox()
  store = new BackupStore(join(sandbox.dir, 'backups'))
  env = {
    ...sandbox.env(),
    ...{ MSTDN_OPS_BACKEND: 'sandbox', MSTDN_OPS_BACKUP_DIR: store.dir, MSTDN_OPS_DOMAIN: 'example.com' },
  }
})
afterAll(() => sandbox?.stop())

const ops = (...words: string[]): Promise<CliResult> => cli(words, { env })
const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString()

/** They build on one another: an empty store, then three backups, then one of them goes. */
describe('db:backups and db:prune', () => {
  it('say how to make the first one', async () => {
    expect(await ops('db:backups')).toMatchObject({
      exitCode: 0,
      stdout: `There is no backup in ${store.dir}: mstdn-ops db:backup makes one.\n`,
    })
    expect(await ops('db:prune')).toMatchObject({ exitCode: 0, stdout: 'Nothing is too old: 0 backups stay.\n' })
  })

  it('list what there is, in 80 columns, and what is broken', async () => {
    await putBackup(store, '20260101-000000-aaaa', { startedAt: hoursAgo(72), label: 'before-the-move' })
    await putBackup(store, '20260102-000000-bbbb', { startedAt: hoursAgo(49) })
    const drilled = await putBackup(store, '20260103-000000-cccc', { startedAt: hoursAgo(1) })
    await noteCheck(drilled, { at: hoursAgo(0), level: 'drilled', ok: true })
    const broken = await putBackup(store, '20250101-000000-dddd')
    writeFileSync(join(broken, 'manifest.json'), '\u001b[31m')
    const { stdout, exitCode } = await ops('db:backups')
    expect(exitCode).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^BACKUP +AGE +SIZE +VERSION +VERIFIED +DRILLED$/)
    expect(lines[1]).toMatch(/^20260103-000000-cccc +60 min +1000 B +4\.5\.3 +drilled, \d+ s +\d+ s$/)
    expect(lines[3]).toMatch(/^20260101-000000-aaaa +3 days +1000 B +4\.5\.3 +decoded +never$/)
    expect(stdout).toContain('20260101-000000-aaaa is labelled before-the-move.')
    expect(Math.max(...lines.slice(0, 4).map(line => line.length))).toBeLessThanOrEqual(80)
    expect(stdout).toContain(`3 backups, 2.9 KiB, not encrypted, in ${store.dir}.`)
    expect(stdout).toContain('Whether they are on another disk than the database is not known.')
    expect(stdout).toMatch(/^Not a backup: .*20250101-000000-dddd: It cannot be read: .*$/m)
    expect(stdout).not.toContain('\u001b')
  })

  it('list them as JSON', async () => {
    const answer = JSON.parse((await ops('db:backups', '--json')).stdout)
    expect(answer).toMatchObject({ dir: store.dir, onDatabaseDisk: null, bytes: 3000, exitCode: 0 })
    expect(answer.backups.map(({ name }: { name: string }) => name.slice(-4))).toEqual(['cccc', 'bbbb', 'aaaa'])
    expect(answer.broken).toMatchObject([{ name: '20250101-000000-dddd' }])
  })

  it('show in a dry run what goes and why, ask, and remove it', async () => {
    const words = ['db:prune', '--keep-daily', '1', '--keep-weekly', '0', '--keep-monthly', '0']
    const keepLabel = ['--keep-label', 'before-the-move']
    const plan = await ops(...words, ...keepLabel, '--dry-run')
    expect(plan.exitCode).toBe(0)
    expect(plan.stdout).toContain('1. Remove 20260102-000000-bbbb: beyond 1 day, 0 weeks and 0 months')
    expect(plan.stdout).toContain(`rm -r ${store.dir}/20260102-000000-bbbb`)
    const asked = await ops(...words, ...keepLabel)
    expect(asked).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('20260102-000000-bbbb (1000 B): beyond'),
    })
    const done = await ops(...words, ...keepLabel, '--yes')
    expect(done.stdout).toContain('1000 B are free again; 2 backups stay.')
    const left = JSON.parse((await ops('db:backups', '--json')).stdout)
    expect(left.backups.map(({ name }: { name: string }) => name.slice(-4))).toEqual(['cccc', 'aaaa'])
  })

  it.each([
    ['--keep-daily', '-1'],
    ['--keep-weekly', 'x'],
    ['--keep-label', 'a b'],
  ])('refuse %s %s', async (flag, value) => {
    expect(await ops('db:prune', flag, value)).toMatchObject({ exitCode: 2, stdout: '' })
  })

  it('remove nothing when the newest attempt failed', async () => {
    const newest = join(store.dir, '20260103-000000-cccc')
    await noteCheck(newest, { at: hoursAgo(0), level: 'decoded', ok: false, why: 'accounts has 2 rows' })
    const refused = await ops('db:prune', '--yes')
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('accounts has 2 rows') })
    expect((await ops('db:backups')).stdout).toMatch(/cccc is not proven: looked at .* accounts has 2 rows$/m)
  })
})
