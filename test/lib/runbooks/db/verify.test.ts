import { mkdtempSync, rmSync, symlinkSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BackupStore, openBackup } from '../../../../src/lib/backups/store.js'
import { Output } from '../../../../src/lib/output.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { verify } from '../../../../src/lib/runbooks/db/verify.js'
import { putBackup } from '../../../support/backups.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

ownState()

let dir: string
let store: BackupStore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-verify-'))
  store = new BackupStore(dir)
})
afterEach(() => rmSync(dir, { recursive: true }))

/** SHA-256 of so many zeros, which is what the files of {@link putBackup} hold. */
const ZEROS = '541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53'
const FILE = { name: 'database.dump.age', part: 'database', bytes: 1000, sha256: ZEROS, encrypted: true } as const

/** Returns the folder of a backup of which the files alone can be looked at. */
function putSealed(): Promise<string> {
  return putBackup(store, '20260301-020000-aaaa', { files: [{ ...FILE, compression: 'inside' }], recipient: 'age1' })
}

async function verified(backup: string) {
  const stderr = new PassThrough()
  const toolbox = { ...toolboxOf({}), output: new Output({ stderr: stderr as never }) }
  const { result } = await runRunbook(toolbox, verify, { backup, drill: false })
  stderr.end()
  return { result, said: await text(stderr) }
}

/** Whoever asks, also root, may not write to it. */
const UNWRITABLE = '/sys/kernel/notes'

describe('db:verify', () => {
  it('notes what it found beside the backup', async () => {
    const path = await putSealed()
    expect((await verified(path)).result).toMatchObject({ ok: true, level: 'checksums', sealed: true })
    expect((await openBackup(path)).checks).toMatchObject([{ ok: true, level: 'checksums' }])
  })

  it('tells the same where it cannot be noted, and says so', async () => {
    const path = await putSealed()
    symlinkSync(UNWRITABLE, join(path, 'checks.jsonl'))
    const good = await verified(path)
    expect(good.result).toMatchObject({ ok: true })
    expect(good.said).toMatch(/cannot be noted beside the backup.* (EACCES|EROFS|EPERM)/)
    truncateSync(join(path, FILE.name), 999)
    expect((await verified(path)).result).toMatchObject({ ok: false, why: expect.stringContaining('999 bytes') })
  })

  it('fails where the disk is faulty', async () => {
    const path = await putSealed()
    symlinkSync(join(dir, 'nowhere', 'at-all'), join(path, 'checks.jsonl'))
    await expect(verified(path)).rejects.toMatchObject({ message: expect.stringContaining('ENOENT') })
  })
})
