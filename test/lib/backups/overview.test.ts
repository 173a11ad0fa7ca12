import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { overviewHere } from '../../../src/lib/backups/here.js'
import { overviewOf } from '../../../src/lib/backups/overview.js'
import { onDatabaseDisk } from '../../../src/lib/backups/same-disk.js'
import { BackupStore, noteCheck } from '../../../src/lib/backups/store.js'
import { RefusedError } from '../../../src/lib/errors.js'
import { Output } from '../../../src/lib/output.js'
import { putBackup } from '../../support/backups.js'
import { toolboxOf } from '../../support/toolbox-of.js'

let dir: string
let store: BackupStore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-overview-'))
  store = new BackupStore(join(dir, 'backups'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(dir, { recursive: true })
})

describe('the overview of the store', () => {
  it('tells age, size, how and when a backup was looked at, and whom it is for', async () => {
    await putBackup(store, 'a', { startedAt: '2026-03-01T02:00:00.000Z', recipient: 'age1x', label: 'l' })
    const path = await putBackup(store, 'b', { startedAt: '2026-03-02T02:00:00.000Z' })
    await noteCheck(path, { at: '2026-03-03T00:00:00.000Z', level: 'drilled', ok: true })
    await noteCheck(path, { at: '2026-03-04T00:00:00.000Z', level: 'checksums', ok: false, why: 'cut' })
    const { backups, bytes } = await overviewOf(store, new Date('2026-03-02T03:00:00Z'))
    expect(bytes).toBe(2000)
    expect(backups).toEqual([
      expect.objectContaining({
        name: 'b',
        age: 3600,
        proven: false,
        verified: { level: 'checksums', at: '2026-03-04T00:00:00.000Z', ok: false, why: 'cut' },
        drilledAt: '2026-03-03T00:00:00.000Z',
        recipient: null,
      }),
      expect.objectContaining({
        ...{ name: 'a', age: 25 * 3600, bytes: 1000, mastodon: '4.5.3', proven: true, label: 'l', recipient: 'age1x' },
        verified: { level: 'decoded', at: '2026-03-01T02:01:00.000Z', ok: true, why: null },
        drilledAt: null,
        damage: null,
      }),
    ])
  })

  it('sees without reading that a file is missing or has another size, whatever was looked at before', async () => {
    const [cut, lost] = [await putBackup(store, 'a'), await putBackup(store, 'b')]
    await noteCheck(cut, { at: '2026-03-03T00:00:00.000Z', level: 'drilled', ok: true })
    truncateSync(join(cut, 'database.dump'), 9)
    rmSync(join(lost, 'database.dump'))
    const { backups } = await overviewOf(store, new Date())
    expect(backups.map(({ name, proven, damage }) => ({ name, proven, damage }))).toEqual([
      { name: 'b', proven: false, damage: 'database.dump is missing.' },
      { name: 'a', proven: false, damage: 'database.dump has 9 bytes, the manifest says 1000.' },
    ])
  })

  it('looks where the configuration says when the instance cannot be opened, and fails as opening did otherwise', async () => {
    await putBackup(store, 'a')
    const away = async () => {
      throw new RefusedError({ code: 'engine-away', message: 'The engine does not answer.' })
    }
    const config = join(dir, 'mstdn-ops.yaml')
    const output = new Output({ quiet: true })
    vi.stubEnv('MSTDN_OPS_CONFIG', config)
    vi.stubEnv('XDG_DATA_HOME', dir)
    writeFileSync(config, 'instances:\n  a: {backups: {dir: backups}}\n')
    const overview = await overviewHere(away, {}, output)
    expect(overview).toMatchObject({ dir: store.dir, onDatabaseDisk: null, backups: [{ name: 'a' }] })
    writeFileSync(config, 'instances:\n  a: {}\n')
    expect((await overviewHere(away, {}, output)).dir).toBe(join(dir, 'mstdn-ops', 'a', 'backups'))
    writeFileSync(config, 'instances: {}\n')
    await expect(overviewHere(away, {}, output)).rejects.toMatchObject({ code: 'engine-away' })
  })
})

describe('the disk of the database', () => {
  const volume = (source?: string) => ({
    place: 'database' as const,
    name: 'db',
    path: '/var/lib/postgresql/data',
    kind: 'bind' as const,
    ...(source === undefined ? {} : { source }),
  })
  const sizeOf = (path: string) => statfsSync(path).blocks * statfsSync(path).bsize
  const disk = (totalBytes: number) => [{ place: 'database' as const, path: '/x', totalBytes, freeBytes: 0 }]

  it('is the same as that of a folder beside it, also one that is not made yet', async () => {
    const toolbox = toolboxOf({ volumes: [volume(dir)], disks: disk(sizeOf(dir)) })
    expect(await onDatabaseDisk(toolbox, dir)).toBe(true)
    expect(await onDatabaseDisk(toolbox, join(dir, 'not', 'yet'))).toBe(true)
  })

  it('is another than that of a folder on another file system', async () => {
    const toolbox = toolboxOf({ volumes: [volume(dir)], disks: disk(sizeOf(dir)) })
    expect(await onDatabaseDisk(toolbox, '/proc')).toBe(false)
  })

  it('is not known where the path may be of another machine, or nothing tells', async () => {
    const none = [
      toolboxOf({}),
      toolboxOf({ volumes: [], disks: disk(sizeOf(dir)) }),
      toolboxOf({ volumes: [volume()], disks: disk(sizeOf(dir)) }),
      toolboxOf({ volumes: [volume(dir)], disks: [] }),
      toolboxOf({ volumes: [volume(dir)], disks: disk(sizeOf(dir) + 4096) }),
      toolboxOf({ volumes: [volume(join(dir, 'none'))], disks: disk(sizeOf(dir)) }),
    ]
    expect(await Promise.all(none.map(toolbox => onDatabaseDisk(toolbox, dir)))).toEqual(none.map(() => null))
  })
})
