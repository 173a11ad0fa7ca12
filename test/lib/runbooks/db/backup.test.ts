import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ToolScript } from '../../../../src/lib/backends/backend.js'
import type { Captures, Transfer, TransferWatch } from '../../../../src/lib/backends/managed-database.js'
import { captureDatabase } from '../../../../src/lib/backups/capture.js'
import { dumpDatabase } from '../../../../src/lib/backups/database.js'
import { refuseLost } from '../../../../src/lib/backups/media-folder.js'
import { restoreInto } from '../../../../src/lib/backups/restore-into.js'
import { BackupStore, openBackup } from '../../../../src/lib/backups/store.js'
import { dumpOf } from '../../../../src/lib/backups/verify.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { dropDatabase, withMaintenance } from '../../../../src/lib/postgres/scratch.js'
import { type BoundaryObserver, runRunbook } from '../../../../src/lib/runbook/run.js'
import { type BackupOptions, backup } from '../../../../src/lib/runbooks/db/backup.js'
import { verify } from '../../../../src/lib/runbooks/db/verify.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { Unwritten } from '../../../../src/lib/unwritten.js'
import { putBackup } from '../../../support/backups.js'
import { localPlace } from '../../../support/local-place.js'
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

/** The shells around programs of ours that run on this machine as children of this process. */
function ourPrograms(): string[] {
  const words = ['-o', 'args=', '--ppid', String(process.pid)]
  const listed = spawnSync('ps', words, { encoding: 'utf8' }).stdout.split('\n')
  return listed.filter(line => line.includes('pg_dump') || line.includes('pg_restore'))
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

  test('a command after it that fails is told; what it says stands nowhere', async () => {
    const seen = join(sandbox.dir, 'seen')
    const line = `printf '%s %s' "$MSTDN_BACKUP" "$MSTDN_AFTER" > ${seen}; : not-for-the-journal; exit 3`
    const failed = { exitCode: 5, code: 'after-command-failed', message: expect.stringContaining('code 3') }
    await expect(backedUp({ afterCommand: new Unwritten(line) })).rejects.toMatchObject(failed)
    const [name = ''] = readdirSync(toolbox.instance.backups.dir ?? '')
    expect(readFileSync(seen, 'utf8')).toBe(`${join(toolbox.instance.backups.dir ?? '', name)} `)
    const runs = runsDir(toolbox.instance.name)
    const written = readdirSync(runs).map(file => readFileSync(join(runs, file), 'utf8'))
    const changes = toolbox.ledger.entries.map(({ exact, byHand }) => `${exact} ${byHand}`)
    expect([...written, ...changes].filter(text => text.includes('not-for-the-journal'))).toEqual([])
    expect(changes.join(), 'the line that does the same').toContain(`${name}/database.dump`)
  })

  test('large objects, which nothing counts, are told', async () => {
    const said: string[] = []
    toolbox.output.copyTo(line => said.push(line))
    const dump = () => dumpDatabase(toolbox, { dir: mkdtempSync(join(sandbox.dir, 'dump-')) })
    await dump()
    expect(said.join()).not.toContain('large objects')
    const database = await toolbox.database()
    await database.write('SELECT lo_create(4711)')
    await dump().finally(() => database.write('SELECT lo_unlink(4711)'))
    expect(said.join()).toContain('large objects')
  })

  test('stopped while its programs are started it leaves none of them', async () => {
    const stop = new AbortController()
    const { backend } = toolbox
    const tools = await backend.postgres?.tools?.()
    const open = async (script: ToolScript) => {
      const run = await tools?.open(script)
      if (script.what === 'pg_restore') stop.abort(new Error('stopped'))
      return run
    }
    const postgres = {
      ...backend.postgres,
      target: () => backend.postgres?.target(),
      tools: async () => ({ ...tools, open }),
    }
    const stopping = { ...toolbox, backend: { ...backend, postgres } } as unknown as Toolbox
    const dir = mkdtempSync(join(sandbox.dir, 'dump-'))
    await expect(dumpDatabase(stopping, { dir, stop: stop.signal })).rejects.toThrow('stopped')
    await expect.poll(dumps, { timeout: 20_000 }).toBe(0)
    await expect.poll(ourPrograms, { timeout: 20_000 }).toEqual([])
  })

  test('a program that hangs has failed', async () => {
    stubProgram('zstd', 'case "$*" in *-T2*) exec sleep 300;; *) exec cat;; esac')
    const dir = mkdtempSync(join(sandbox.dir, 'dump-'))
    await expect(dumpDatabase(toolbox, { dir, silenceMs: 500 })).rejects.toMatchObject({ code: 'nothing-moves' })
  })
})

describe('an interruption', { timeout: 60_000 }, () => {
  const HUNG = 'case "$*" in *-dc*) exec sleep 300;; *) exec cat;; esac'

  test('ends a verification that is under way, of which only what was seen is noted', async () => {
    const path = join(toolbox.instance.backups.dir ?? '', (await backedUp()) ?? '')
    stubProgram('zstd', HUNG)
    const run = runRunbook(toolbox, verify, { backup: path, drill: false })
    const failed = expect(run).rejects.toMatchObject({ exitCode: 130, code: 'interrupted' })
    const levels = async () => (await openBackup(path)).checks.map(({ level }) => level)
    await expect.poll(levels, { timeout: 20_000 }).toEqual(['checksums'])
    await sleep(500)
    process.emit('SIGINT', 'SIGINT')
    await failed
    expect(await levels()).toEqual(['checksums'])
  })

  test('ends a restore into another database', async () => {
    const path = join(toolbox.instance.backups.dir ?? '', (await backedUp()) ?? '')
    const source = dumpOf(await openBackup(path))
    await withMaintenance(toolbox, 'test', db => db.write('CREATE DATABASE restored'))
    stubProgram('zstd', HUNG)
    const feeding = { stop: AbortSignal.timeout(1_000), onUnseen: async () => undefined }
    await expect(restoreInto(toolbox, source, 'restored', feeding)).rejects.toMatchObject({ name: 'TimeoutError' })
    await withMaintenance(toolbox, 'test', db => dropDatabase(db, 'restored'))
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

describe('a backup that the platform made before', { timeout: 60_000 }, () => {
  test('tells the migrations of its own time, and no shape where they are others now', async () => {
    const database = await toolbox.database()
    const run = await (await toolbox.backend.postgres?.tools?.())?.open({
      ...{ what: 'pg_dump', script: 'pg_dump -Fc -Z1', effect: 'read' },
    })
    const dump = await buffer(run?.stdout ?? Readable.from([]))
    const captures = {
      download: async (_id: string, to: Writable) => {
        await pipeline([dump], to)
        return dump.length
      },
    } as unknown as Captures
    const captured = () =>
      captureDatabase(toolbox, captures, { id: 'b001', dir: mkdtempSync(join(sandbox.dir, 'captured-')) })
    const before = await captured()
    expect(Object.keys(before.shape)).not.toEqual([])
    await database.write("INSERT INTO schema_migrations VALUES ('99990101000000')")
    const after = await captured().finally(() =>
      database.write("DELETE FROM schema_migrations WHERE version = '99990101000000'"),
    )
    expect(before.versions.length).toBeGreaterThan(100)
    expect(after).toMatchObject({ by: 'decode', versions: before.versions, shape: {} })
  })
})

describe('a backup that the platform makes', { timeout: 60_000 }, () => {
  test('is cancelled when the run is stopped', async () => {
    const cancelled: string[] = []
    const captures = {
      capture: async ({ onProgress }: TransferWatch) => {
        for (;;) {
          onProgress?.({ uuid: 'the-uuid', id: 'b001', state: 'running', bytes: 0 } as Transfer)
          await sleep(20)
        }
      },
      cancel: async (uuid: string) => void cancelled.push(uuid),
    } as unknown as Captures
    const options = { dir: sandbox.dir, stop: AbortSignal.timeout(200) }
    await expect(captureDatabase(toolbox, captures, options)).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(cancelled).toEqual(['the-uuid'])
  })
})

describe('the media that the database knows of', { timeout: 60_000 }, () => {
  test('are those of this server alone', async () => {
    const folder = { place: localPlace(), path: '/media', leftOut: [], among: '' }
    const database = await toolbox.database()
    const put = (url: string) =>
      database.write(
        "INSERT INTO media_attachments (file_file_name, remote_url, created_at, updated_at) VALUES ('a.png', $1, now(), now())",
        [url],
      )
    await put('https://remote.example/a.png')
    await refuseLost(toolbox, folder)
    await put('')
    await expect(refuseLost(toolbox, folder)).rejects.toMatchObject({ code: 'media-not-there', exitCode: 3 })
    await database.write("DELETE FROM media_attachments WHERE file_file_name = 'a.png'")
  })
})
