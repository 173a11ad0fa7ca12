import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { backupToVerify, namedBackup } from '../../../src/lib/backups/named.js'
import { BackupStore } from '../../../src/lib/backups/store.js'
import { Output } from '../../../src/lib/output.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { putBackup } from '../../support/backups.js'
import { toolboxOf } from '../../support/toolbox-of.js'

let dir: string
let store: BackupStore
let stderr: PassThrough
let toolbox: Toolbox
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-named-'))
  store = new BackupStore(dir)
  stderr = new PassThrough()
  const made = toolboxOf({ now: new Date('2026-03-10T00:00:00Z') })
  const output = new Output({ stderr: stderr as never })
  toolbox = { ...made, output, instance: { ...made.instance, backups: { dir } } }
})
afterEach(() => rmSync(dir, { recursive: true }))

const on = (day: number) => ({ startedAt: `2026-03-0${day}T02:00:00.000Z` })
const said = () => String(stderr.read() ?? '')

describe('latest', () => {
  it('is the newest that is proven, of this instance, and not of the future; which one is said', async () => {
    await putBackup(store, 'older', on(1))
    await putBackup(store, 'meant', on(2))
    await putBackup(store, 'undecoded', { ...on(3), verified: { checksums: true, decoded: false } })
    await putBackup(store, 'failed', { ...on(4), failed: 'It was changed.' })
    await putBackup(store, 'another', { ...on(5), instance: { name: 'x', title: 'x', domain: 'other.example' } })
    rmSync(join(await putBackup(store, 'cut', on(6)), 'database.dump'))
    await putBackup(store, 'future', { startedAt: '2026-03-11T00:00:00.000Z' })
    expect((await namedBackup(toolbox, 'latest')).name).toBe('meant')
    expect(said()).toBe(
      `The latest is meant, of 2026-03-02T02:00:00.000Z.
Newer, and passed over: future (made in the future), cut (damaged), another (of other.example), failed (not proven), undecoded (not proven).
`,
    )
    expect((await namedBackup(toolbox, 'undecoded')).name, 'by its name any is had').toBe('undecoded')
  })

  it('is none where none is proven, and that says what there is', async () => {
    const refused = { code: 'no-such-backup', exitCode: 3 }
    await expect(namedBackup(toolbox, 'latest')).rejects.toMatchObject({ ...refused, why: 'There is none at all.' })
    await putBackup(store, 'failed', { ...on(4), failed: 'It was changed.' })
    await expect(namedBackup(toolbox, 'latest')).rejects.toMatchObject({
      ...refused,
      why: 'Passed over: failed (not proven).',
    })
  })
})

describe('the latest to be verified', () => {
  it('is the newest of this instance, proven or not', async () => {
    await putBackup(store, 'proven', on(1))
    await putBackup(store, 'undecoded', { ...on(2), verified: { checksums: true, decoded: false } })
    await putBackup(store, 'another', { ...on(5), instance: { name: 'x', title: 'x', domain: 'other.example' } })
    await putBackup(store, 'future', { startedAt: '2026-03-11T00:00:00.000Z' })
    expect((await backupToVerify(toolbox, 'latest')).name).toBe('undecoded')
    expect(said()).toContain('passed over: future (made in the future), another (of other.example).')
    await putBackup(store, 'failed', { ...on(3), failed: 'It was changed.' })
    expect((await backupToVerify(toolbox, 'latest')).name).toBe('failed')
    rmSync(join(await putBackup(store, 'cut', on(4)), 'database.dump'))
    expect((await backupToVerify(toolbox, 'latest')).name).toBe('cut')
    expect((await backupToVerify(toolbox, 'proven')).name).toBe('proven')
    expect((await namedBackup(toolbox, 'latest')).name, 'to be restored').toBe('proven')
  })

  it('may be one whose manifest is damaged: refused as by its own name', async () => {
    await putBackup(store, '20260301-020000-aaaa', on(1))
    const newest = await putBackup(store, '20260302-020000-aaaa', on(2))
    mkdirSync(join(dir, 'no backup of ours'))
    writeFileSync(join(newest, 'manifest.json'), '{')
    await expect(backupToVerify(toolbox, 'latest')).rejects.toMatchObject({ code: 'manifest-damaged', exitCode: 3 })
    await putBackup(store, '20260303-020000-aaaa', on(3))
    expect((await backupToVerify(toolbox, 'latest')).name).toBe('20260303-020000-aaaa')
  })

  it('is none where there is none of this instance', async () => {
    const refused = { code: 'no-such-backup', exitCode: 3 }
    await expect(backupToVerify(toolbox, 'latest')).rejects.toMatchObject({ ...refused, why: 'There is none at all.' })
    await putBackup(store, 'another', { ...on(5), instance: { name: 'x', title: 'x', domain: 'other.example' } })
    await expect(backupToVerify(toolbox, 'latest')).rejects.toMatchObject(refused)
  })
})
