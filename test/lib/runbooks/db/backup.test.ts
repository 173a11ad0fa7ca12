import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { dumpDatabase } from '../../../../src/lib/backups/database.js'
import { BackupStore, openBackup } from '../../../../src/lib/backups/store.js'
import { withMaintenance } from '../../../../src/lib/postgres/scratch.js'
import { type BoundaryObserver, runRunbook } from '../../../../src/lib/runbook/run.js'
import { type BackupOptions, backup } from '../../../../src/lib/runbooks/db/backup.js'
import { verify } from '../../../../src/lib/runbooks/db/verify.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { putBackup } from '../../../support/backups.js'
import { type TestSandbox, testSandbox } from '../../../support/sandbox.js'

const DAY = 24 * 3_600_000
/** Bytes a second: the dump takes about a minute. */
const CRAWL = 20_000
let sandbox: TestSandbox
let toolbox: Toolbox
let folders = 0
beforeAll(async () => {
  sandbox = await testSandbox()
  const database = await (await sandbox.toolbox()).database()
  await database.write('CREATE TABLE ballast AS SELECT md5(n::text) FROM generate_series(1, 60000) n')
  await database.close()
})
afterAll(() => sandbox?.stop())
afterEach(() => vi.unstubAllEnvs())
beforeEach(async () => {
  const opened = await sandbox.toolbox()
  const dir = `${sandbox.dir}/backups-${folders++}`
  toolbox = { ...opened, instance: { ...opened.instance, backups: { dir } } }
})

/** Puts a program of this name before the machine's own. */
function stubProgram(name: string, script: string): void {
  const programs = mkdtempSync(join(sandbox.dir, 'programs-'))
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  vi.stubEnv('PATH', `${programs}:${process.env.PATH}`)
}

/** How many sessions dump the database. */
async function dumps(): Promise<number> {
  const sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'mstdn-ops backup')"
  const [row] = await (await toolbox.database()).query<{ n: number }>(sql)
  return row?.n ?? 0
}

/** Returns the name of the backup that was made; null where none was due. */
async function backedUp(options: Partial<BackupOptions> = {}): Promise<string | null> {
  const { result } = await runRunbook(toolbox, backup, { with: [], ...options })
  return result?.name ?? null
}

describe('db:backup --if-older-than', { timeout: 60_000 }, () => {
  test('counts what is proven, of this instance, and not made in the future', async () => {
    const store = new BackupStore(toolbox.instance.backups.dir ?? '')
    const domain = await toolbox.app.domain()
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
    const own = { instance: { name: 'sandbox', title: '', domain } }
    await putBackup(store, 'another', { startedAt: at(-1) })
    await putBackup(store, 'future', { ...own, startedAt: at(900) })
    await putBackup(store, 'broken', { ...own, startedAt: at(-1), failed: 'It was changed.' })
    expect(await backedUp({ ifOlderThan: DAY })).not.toBeNull()
    expect(await backedUp({ ifOlderThan: DAY })).toBeNull()
  })
})

describe('db:backup', { timeout: 60_000 }, () => {
  test('fails as soon as its dump cannot be decoded, and leaves nothing', async () => {
    stubProgram('awk', 'echo "awk: out of order" >&2; exit 2')
    const started = Date.now()
    await expect(backedUp({ bytesPerSecond: CRAWL })).rejects.toThrow(/(awk|pg_restore) failed/)
    expect(Date.now() - started).toBeLessThan(30_000)
    expect(readdirSync(toolbox.instance.backups.dir ?? '')).toEqual([])
  })

  test('fails and leaves nothing when its manifest cannot be written', async () => {
    const store = toolbox.instance.backups.dir ?? ''
    const observer: BoundaryObserver = (step, boundary) => {
      const [partial = ''] = step === 'finish' && boundary === 'started' ? readdirSync(store) : []
      if (partial !== '') mkdirSync(join(store, partial, 'manifest.json'))
    }
    await expect(runRunbook(toolbox, backup, { with: [] }, { observer })).rejects.toMatchObject({ exitCode: 4 })
    expect(readdirSync(store)).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the dump soon, and leaves nothing', async signal => {
    const run = backedUp({ bytesPerSecond: CRAWL })
    const failed = expect(run).rejects.toMatchObject({ exitCode: 130, code: 'interrupted' })
    await expect.poll(dumps, { timeout: 20_000 }).not.toBe(0)
    process.emit(signal, signal)
    await failed
    expect(readdirSync(toolbox.instance.backups.dir ?? '')).toEqual([])
    await expect.poll(dumps, { timeout: 20_000 }).toBe(0)
  })

  test('a program that hangs has failed', async () => {
    stubProgram('zstd', 'case "$*" in *-T2*) exec sleep 300;; *) exec cat;; esac')
    const dir = mkdtempSync(join(sandbox.dir, 'dump-'))
    await expect(dumpDatabase(toolbox, { dir, silenceMs: 500 })).rejects.toMatchObject({ code: 'nothing-moves' })
  })
})

describe('a drill', { timeout: 60_000 }, () => {
  test('drops what a killed one of this instance left, and not that of another on the same server', async () => {
    const name = await backedUp()
    await withMaintenance(toolbox, 'test', db => db.write('CREATE DATABASE mstdn_ops_drill_0123abcd_another'))
    const { result } = await runRunbook(toolbox, verify, { backup: name ?? '', drill: true })
    expect(result).toMatchObject({ ok: true, level: 'drilled', why: null })
    const left = await withMaintenance(toolbox, 'test', db =>
      db.query("SELECT datname AS name FROM pg_database WHERE datname LIKE 'mstdn_ops%'"),
    )
    expect(left).toEqual([{ name: 'mstdn_ops_drill_0123abcd_another' }])
  })
})

describe('an encrypted backup', { timeout: 60_000 }, () => {
  test('has its files compared without the secret key, which says no more than that', async () => {
    const recipient = await identityToRecipient(await generateX25519Identity())
    const { backups } = toolbox.instance
    toolbox = { ...toolbox, instance: { ...toolbox.instance, backups: { ...backups, recipient } } }
    const path = join(backups.dir ?? '', (await backedUp()) ?? '')
    const look = async () => (await runRunbook(toolbox, verify, { backup: path, drill: false })).result
    expect(await look()).toMatchObject({ ok: true, sealed: true, level: 'checksums' })
    const [dump = ''] = readdirSync(path).filter(name => name.endsWith('.age'))
    const bytes = readFileSync(join(path, dump))
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
    writeFileSync(join(path, dump), bytes)
    expect(await look()).toMatchObject({ ok: false, sealed: true, level: 'checksums' })
    expect((await openBackup(path)).checks.map(({ level, ok }) => [level, ok])).toEqual([
      ['checksums', true],
      ['checksums', false],
    ])
    const drill = runRunbook(toolbox, verify, { backup: path, drill: true })
    await expect(drill).rejects.toMatchObject({ code: 'identity-missing', exitCode: 3 })
  })
})
