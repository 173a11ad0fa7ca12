import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openBackup } from '../../../src/lib/backups/store.js'
import { problemWithFiles } from '../../../src/lib/backups/verify.js'
import { messageOf } from '../../../src/lib/errors.js'
import { type Stack, startStack } from './bed/bed.js'
import { must } from './bed/process.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = FULL ? 3_600_000 : 180_000

let stack: Stack
let story: BrokenRun

beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', running: 'servers' })
  // Some seconds' worth of rows.
  await stack.psql(`INSERT INTO statuses (text, account_id, created_at, updated_at, local, uri)
    SELECT repeat(md5(n::text), 10), 1, now(), now(), false, 'https://remote.example/' || n FROM generate_series(1, 20000) n`)
}, 300_000)
afterAll(() => stack?.stop())
beforeEach(() => {
  story = new BrokenRun(stack)
})
afterEach(async () => {
  story.remove()
  await expectQuietServer()
})

/** Programs of ours in the database's container would be seen here, and a server that took one for a crashed session. */
async function expectQuietServer(): Promise<void> {
  const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^(mstdn-ops|pg_dump|pg_restore)'"
  await expect.poll(() => stack.psql(sessions), { timeout: 20_000 }).toBe('0')
  await expect.poll(ourPrograms, { timeout: 20_000 }).toEqual([])
  expect(await stack.psql("SELECT datname FROM pg_database WHERE datname LIKE 'mstdn_ops%'")).toBe('')
  expect(await stack.logs('db')).not.toContain('terminating any other active server processes')
}

async function ourPrograms(): Promise<string[]> {
  const script = 'for p in /proc/[0-9]*; do tr "\\0" " " < "$p/cmdline" 2>/dev/null; echo; done'
  const { stdout } = await stack.exec('db', ['sh', '-c', script])
  return stdout
    .split('\n')
    .filter(line => /^(pg_dump|pg_restore|zstd|awk|sh -c m=)/.test(line.replace(/^nice -n 10 /, '')))
}

function storeDir(): string {
  return join(story.state, 'data/mstdn-ops', stack.projectName, 'backups')
}

function folders(): string[] {
  return existsSync(storeDir()) ? readdirSync(storeDir()) : []
}

async function backedUp(...words: string[]): Promise<string> {
  const made = await story.tool('db:backup', '--json', ...words)
  expect(made.exitCode, made.stderr + made.stdout).toBe(0)
  return (JSON.parse(made.stdout) as { result: { path: string } }).result.path
}

describe('db:backup', { timeout: PATIENCE }, () => {
  test('makes a folder that is proven, for its owner alone, and says how to restore it by hand', async () => {
    const path = await backedUp('--label', 'before')
    expect(statSync(path).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
    const { manifest } = await openBackup(path)
    expect(manifest).toMatchObject({
      label: 'before',
      mastodon: '4.5.3',
      instance: { domain: stack.domain },
      counts: { by: 'snapshot and decode' },
      verified: { checksums: true, decoded: true },
    })
    expect(manifest.schema.versions).toContain(manifest.schema.newest)
    const statuses = manifest.counts.tables.find(({ table }) => table === 'statuses')
    expect(String(statuses?.rows)).toBe(await stack.psql('SELECT count(*) FROM statuses'))
    expect(Object.keys(manifest.secrets.fingerprints)).toContain('SECRET_KEY_BASE')
    expect(manifest.byHand.join('\n')).toContain('pg_restore')
    expect(await story.tool('db:verify', 'latest', '--drill')).toMatchObject({ exitCode: 0 })
  })

  test('does nothing when the newest proven one is young enough, and runs the command after a new one', async () => {
    const seen = join(story.state, 'seen')
    const path = await backedUp('--after-command', `printf %s "$MSTDN_BACKUP" > ${seen}`)
    expect(readFileSync(seen, 'utf8')).toBe(path)
    expect((await story.tool('backup', '--if-older-than', '1h')).stdout).toContain('No backup was due.')
    expect(folders()).toHaveLength(1)
    expect(await story.tool('db:backup', '--after-command', 'exit 3')).toMatchObject({ exitCode: 5 })
    expect(folders(), 'the backup itself stands').toHaveLength(2)
    expect((await story.tool('db:backup', '--if-older-than', 'soon')).exitCode).toBe(2)
  })

  test('killed at any moment it lists nothing that does not verify, and the next run clears up', async () => {
    const kills = FULL ? 200 : 4
    for (let kill = 0; kill < kills; kill += 1) {
      const run = story.start(['db:backup'])
      await sleep(600 + Math.random() * 3_400)
      run.signal('SIGKILL')
      await run.ended
      for (const name of folders().filter(name => !name.endsWith('.partial')))
        expect(await problemWithFiles(await openBackup(join(storeDir(), name)))).toBeUndefined()
    }
    const path = await backedUp()
    expect(folders().filter(name => name.endsWith('.partial'))).toEqual([])
    expect(await story.tool('db:verify', path)).toMatchObject({ exitCode: 0 })
    expect(await story.lastEnded()).toBe('done')
  })

  test('interrupted it ends soon, and leaves nothing', async () => {
    const run = story.start(['db:backup', '--rate', '2KB'])
    await run.until('Dump the database')
    await sleep(1_500)
    const stopped = Date.now()
    run.signal('SIGINT')
    expect(await run.ended, run.said()).toBe(130)
    expect(Date.now() - stopped).toBeLessThan(30_000)
    expect(folders()).toEqual([])
    expect(await story.lastEnded()).toBe('interrupted')
  })

  test('of two that start at once, one goes on', async () => {
    for (let round = 0; round < (FULL ? 50 : 2); round += 1) {
      const ends = await Promise.all([story.tool('db:backup'), story.tool('db:backup')])
      expect(ends.map(({ exitCode }) => exitCode).sort()).toEqual([0, 6])
    }
  })

  test('a full disk is told, nothing partial is left, and older backups are untouched', async () => {
    const older = await backedUp()
    const size = statSync(join(older, 'database.dump')).size
    for (const percent of [10, 50, 99]) {
      const disk = mkdtempSync(join(tmpdir(), 'mstdn-ops-full-'))
      // The folder, the older backup and its manifest, and so much of another one.
      const room = Math.ceil((size * percent) / 100)
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size + room + 200_000}`, 'tmpfs', disk])
      try {
        cpSync(older, join(disk, older.split('/').at(-1) ?? ''), { recursive: true })
        const failed = await withStore(disk, ['db:backup'])
        expect([3, 4], failed.stderr).toContain(failed.exitCode)
        expect(readdirSync(disk)).toEqual([older.split('/').at(-1)])
        expect(await problemWithFiles(await openBackup(join(disk, readdirSync(disk)[0] ?? '')))).toBeUndefined()
      } finally {
        execFileSync('umount', [disk])
        rmSync(disk, { recursive: true })
      }
    }
  })

  test('a server that is restarted in the middle is no success', async () => {
    const run = story.start(['db:backup', '--rate', '20KB'])
    await run.until('Dump the database')
    await sleep(1_500)
    await must('docker', ['restart', '-t', '1', await stack.containerOf('db')])
    expect(await run.ended).toBe(4)
    expect(folders()).toEqual([])
    await expect.poll(() => stack.psql('SELECT 1').catch(() => ''), { timeout: 60_000 }).toBe('1')
  })

  test('a pg_dump that exits 0 with an error on its standard error is no success', async () => {
    const fake =
      '#!/bin/sh\n/usr/lib/postgresql/15/bin/pg_dump "$@"\necho "pg_dump: error: something went wrong" >&2\nexit 0\n'
    const write = [
      'sh',
      '-c',
      'rm /usr/local/bin/pg_dump && cat > /usr/local/bin/pg_dump && chmod 755 /usr/local/bin/pg_dump',
    ]
    await stack.exec('db', write, { stdin: fake })
    try {
      const failed = await story.tool('db:backup')
      expect(failed).toMatchObject({ exitCode: 4 })
      expect(failed.stderr).toContain('something went wrong')
      expect(folders()).toEqual([])
    } finally {
      await stack.exec('db', ['ln', '-sf', '/usr/lib/postgresql/15/bin/pg_dump', '/usr/local/bin/pg_dump'])
    }
  })
})

function withStore(dir: string, words: readonly string[]) {
  const file = join(story.state, 'mstdn-ops.yaml')
  writeFileSync(file, `instances:\n  here:\n    project_dir: ${stack.projectDir}\n    backups:\n      dir: ${dir}\n`)
  return story.toolWith({ MSTDN_OPS_CONFIG: file }, ...words)
}

describe('a damaged backup', { timeout: PATIENCE }, () => {
  let copy: string
  beforeEach(async () => {
    copy = join(story.state, 'copy')
    cpSync(await backedUp(), copy, { recursive: true })
  })

  /** What is wrong with it, before anything is changed. */
  async function problem(): Promise<string | undefined> {
    try {
      return await problemWithFiles(await openBackup(copy))
    } catch (error) {
      return messageOf(error)
    }
  }

  test('every flipped byte and every cut is seen, and restore and verify refuse it', async () => {
    const files = readdirSync(copy)
    const flips = FULL ? 1000 : 60
    for (let flip = 0; flip < flips; flip += 1) {
      const file = join(copy, files[flip % files.length] ?? '')
      const bytes = readFileSync(file)
      const at = Math.floor(Math.random() * bytes.length)
      const former = Buffer.from(bytes)
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(Math.random() * 8)), at)
      writeFileSync(file, bytes)
      expect(await problem(), `byte ${at} of ${file}`).toBeDefined()
      writeFileSync(file, former)
    }
    expect(await problem()).toBeUndefined()
    for (const file of files) {
      const { size } = statSync(join(copy, file))
      mkdirSync(join(story.state, 'kept'), { recursive: true })
      copyFileSync(join(copy, file), join(story.state, 'kept', file))
      for (const length of [
        0,
        1,
        ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map(tenth => Math.floor((size * tenth) / 10)),
        size - 1,
      ]) {
        truncateSync(join(copy, file), length)
        expect(await problem(), `${file} cut to ${length}`).toBeDefined()
        copyFileSync(join(story.state, 'kept', file), join(copy, file))
      }
    }
    truncateSync(join(copy, 'database.dump'), 1000)
    expect(await story.tool('db:verify', copy)).toMatchObject({ exitCode: 7 })
    expect(await story.tool('db:restore', copy, '--confirm', stack.domain)).toMatchObject({ exitCode: 3 })
  })
})
