import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { BackupStore } from '../../../../src/lib/backups/store.js'
import { withMaintenance } from '../../../../src/lib/postgres/scratch.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { type BackupOptions, backup } from '../../../../src/lib/runbooks/db/backup.js'
import { verify } from '../../../../src/lib/runbooks/db/verify.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { putBackup } from '../../../support/backups.js'
import { type TestSandbox, testSandbox } from '../../../support/sandbox.js'

const DAY = 24 * 3_600_000
let sandbox: TestSandbox
let toolbox: Toolbox
let folders = 0
beforeAll(async () => {
  sandbox = await testSandbox()
})
afterAll(() => sandbox?.stop())
afterEach(() => vi.unstubAllEnvs())
beforeEach(async () => {
  const opened = await sandbox.toolbox()
  const dir = `${sandbox.dir}/backups-${folders++}`
  toolbox = { ...opened, instance: { ...opened.instance, backups: { dir } } }
})

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
  test('fails when its dump cannot be decoded, and leaves nothing', async () => {
    const programs = mkdtempSync(join(sandbox.dir, 'programs-'))
    writeFileSync(join(programs, 'awk'), '#!/bin/sh\necho "awk: out of order" >&2; exit 2\n', { mode: 0o755 })
    vi.stubEnv('PATH', `${programs}:${process.env.PATH}`)
    await expect(backedUp()).rejects.toThrow(/(awk|pg_restore) failed/)
    expect(readdirSync(toolbox.instance.backups.dir ?? '')).toEqual([])
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
