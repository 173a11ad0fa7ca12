import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { namedBackup } from '../../../src/lib/backups/named.js'
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
