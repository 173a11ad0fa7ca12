import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { manifestText, readManifest } from '../../../src/lib/backups/manifest.js'
import {
  BackupStore,
  type CheckRecord,
  isProven,
  noteCheck,
  openBackup,
  storeOf,
} from '../../../src/lib/backups/store.js'
import { problemWithFiles } from '../../../src/lib/backups/verify.js'
import { manifestOf, OWNER, putBackup } from '../../support/backups.js'
import { toolboxOf } from '../../support/toolbox-of.js'

let dir: string
let store: BackupStore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-store-'))
  store = new BackupStore(join(dir, 'backups'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(dir, { recursive: true })
})

describe('the store of backups', () => {
  it('lies where the instance says, or among the data of the user', () => {
    const toolbox = toolboxOf({})
    vi.stubEnv('XDG_DATA_HOME', dir)
    expect(storeOf(toolbox).dir).toBe(join(dir, 'mstdn-ops', 'made', 'backups'))
    const chosen = { ...toolbox, instance: { ...toolbox.instance, backups: { dir: '/kept' } } }
    expect(storeOf(chosen).dir).toBe('/kept')
  })

  it('is empty before the first backup', async () => {
    expect(await store.list()).toEqual({ backups: [], broken: [] })
  })

  it('lists finished backups, newest first, and those of one second by name', async () => {
    await putBackup(store, '20260301-020000-aaaa', { startedAt: '2026-03-01T02:00:00.000Z' })
    await putBackup(store, '20260302-020000-cccc', { startedAt: '2026-03-02T02:00:00.000Z' })
    await putBackup(store, '20260302-020000-dddd', { startedAt: '2026-03-02T02:00:00.000Z' })
    await store.begin('20260303-020000-eeee', OWNER)
    const { backups, broken } = await store.list()
    expect(backups.map(({ name }) => name.slice(-4))).toEqual(['dddd', 'cccc', 'aaaa'])
    expect(broken).toEqual([])
  })

  it('keeps folders and files for their owner', async () => {
    const path = await putBackup(store, 'a')
    await noteCheck(path, { at: '', level: 'decoded', ok: true })
    expect([store.dir, path].map(folder => statSync(folder).mode & 0o777)).toEqual([0o700, 0o700])
    const files = ['manifest.json', 'checks.jsonl'].map(name => statSync(join(path, name)).mode & 0o777)
    expect(files).toEqual([0o600, 0o600])
  })

  it('tells what is broken, with the problem and its time, and what is none of its own', async () => {
    const path = await putBackup(store, '20260301-020000-aaaa')
    writeFileSync(
      join(path, 'manifest.json'),
      readFileSync(join(path, 'manifest.json'), 'utf8').replace('4.5.3', '4.5.4'),
    )
    mkdirSync(join(store.dir, 'copied'))
    for (const foreign of ['lost+found', '.snapshots']) mkdirSync(join(store.dir, foreign))
    const { backups, broken } = await store.list()
    expect(backups).toEqual([])
    expect(broken.sort((a, b) => a.name.localeCompare(b.name))).toEqual([
      expect.objectContaining({
        name: '20260301-020000-aaaa',
        problem: 'Its checksum does not match.',
        at: '2026-03-01T02:00:00.000Z',
      }),
      expect.objectContaining({
        name: 'copied',
        problem: expect.stringContaining('ENOENT'),
        at: statSync(join(store.dir, 'copied')).mtime.toISOString(),
      }),
    ])
  })

  it('removes a backup whole, and what was left half made or half removed', async () => {
    const path = await putBackup(store, 'a')
    await store.remove('a')
    expect(existsSync(path)).toBe(false)
    const partial = await store.begin('20260301-020000-0a1b', OWNER)
    const foreign = await store.begin('films', OWNER)
    expect(await store.clean(OWNER)).toEqual(['20260301-020000-0a1b.partial'])
    expect(existsSync(partial)).toBe(false)
    expect(existsSync(foreign), 'what another program calls so').toBe(true)
  })

  it('calls a backup by its folder, also where it was copied', async () => {
    const partial = await store.begin('copy', OWNER)
    writeFileSync(join(partial, 'manifest.json'), manifestText(manifestOf('original')))
    const opened = await openBackup(`${partial}/`)
    expect(opened.name).toBe('copy.partial')
  })
})

describe('an unfinished backup', () => {
  const NAME = '20260301-020000-0a1b'
  const yesterday = new Date(Date.now() - 25 * 3_600_000)

  /** As if nobody had written there for a day. */
  function age(partial: string): void {
    for (const name of readdirSync(partial)) utimesSync(join(partial, name), yesterday, yesterday)
    utimesSync(partial, yesterday, yesterday)
  }

  it('is cleared away for its instance at once, never for another one that shares the folder', async () => {
    const partial = await store.begin(NAME, OWNER)
    age(partial)
    expect(await store.clean({ ...OWNER, domain: 'other.example' })).toEqual([])
    expect(await store.clean({ ...OWNER, instance: 'staging' })).toEqual([])
    expect(await store.clean({ ...OWNER, run: 'another', pid: 2 })).toEqual([`${NAME}.partial`])
  })

  it.each([
    ['from another machine', undefined],
    ['that names no owner', ''],
    ['whose owner cannot be read', '{"instance":'],
  ])('%s is left until nobody has touched it for a day', async (_, text) => {
    const partial = await store.begin(NAME, { ...OWNER, host: 'elsewhere' })
    if (text === '') rmSync(join(partial, 'owner.json'))
    else if (text !== undefined) writeFileSync(join(partial, 'owner.json'), text)
    expect(await store.clean(OWNER)).toEqual([])
    age(partial)
    writeFileSync(join(partial, 'database.dump'), 'still written')
    utimesSync(partial, yesterday, yesterday)
    expect(await store.clean(OWNER), 'its dump grows').toEqual([])
    age(partial)
    expect(await store.clean(OWNER)).toEqual([`${NAME}.partial`])
  })

  it('that was killed before it had an owner is cleared away by anybody, and made anew by whom it is taken from', async () => {
    mkdirSync(join(store.dir, `.${NAME}.partial`), { recursive: true })
    expect(await store.list()).toEqual({ backups: [], broken: [] })
    expect(await store.clean(OWNER)).toEqual([`.${NAME}.partial`])
    const names = Array.from({ length: 40 }, (_, at) => `20260301-0200${10 + at}-0a1b`)
    const others = { ...OWNER, instance: 'staging' }
    const sweeping = Array.from({ length: 200 }, () => store.clean(OWNER))
    const made = await Promise.all(names.map(name => store.begin(name, others)))
    await Promise.all(sweeping)
    for (const partial of made) expect(readdirSync(partial)).toEqual(['owner.json'])
  })

  it('is a backup all the same where it still names its owner', async () => {
    const path = await putBackup(store, NAME, { files: [] })
    expect(readdirSync(path)).toEqual(['manifest.json'])
    writeFileSync(join(path, 'owner.json'), '{}')
    expect(await problemWithFiles(await openBackup(path))).toBeUndefined()
  })
})

describe('a look at a backup', () => {
  it('is read back, also after a crash in the middle of the line before it', async () => {
    const path = await putBackup(store, 'a')
    const first = { at: '2026-03-01T00:00:00.000Z', level: 'checksums', ok: true } as const
    const second = { at: '2026-03-02T00:00:00.000Z', level: 'drilled', ok: false, why: 'rows differ' } as const
    await noteCheck(path, first)
    appendFileSync(join(path, 'checks.jsonl'), '{"at":"2026-0')
    await noteCheck(path, second)
    expect((await openBackup(path)).checks).toEqual([first, second])
  })

  const look = (level: CheckRecord['level'], ok: boolean): CheckRecord => ({ at: '', level, ok })
  it.each<[boolean, boolean, CheckRecord[]]>([
    [true, true, []],
    [false, false, []],
    [false, false, [look('checksums', true)]],
    [true, false, [look('decoded', true)]],
    [false, true, [look('checksums', false)]],
    [true, true, [look('decoded', false), look('decoded', true)]],
    [true, true, [look('checksums', false), look('drilled', true)]],
    [false, true, [look('drilled', false), look('decoded', true)]],
    [false, true, [look('decoded', true), look('decoded', false)]],
  ])('makes it proven: %s, where it was decoded when made: %s, and then %j', (proven, decoded, checks) => {
    const manifest = manifestOf('a', { verified: { checksums: true, decoded } })
    expect(isProven({ manifest, checks })).toBe(proven)
  })
})

describe('a manifest', () => {
  const text = manifestText(manifestOf('a'))

  it('is read back as it was written', () => {
    expect(readManifest(text, 'm')).toEqual(manifestOf('a'))
  })

  it('is refused with any byte flipped or cut', () => {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      expect(() => readManifest(flipped.toString('utf8'), 'm'), `byte ${at}`).toThrow(/damaged|newer/)
      expect(() => readManifest(bytes.subarray(0, at).toString('utf8'), 'm'), `cut at ${at}`).toThrow(/damaged/)
    }
  })

  it('is refused where it names a file outside of its folder, or is of a form that is not known', () => {
    const [file] = manifestOf('a').files
    for (const name of ['../other/database.dump', '/etc/passwd', '', 'media//x']) {
      const stray = manifestText(manifestOf('a', { files: [{ ...file, name } as never] }))
      expect(() => readManifest(stray, 'm')).toThrow(/damaged/)
    }
    expect(() => readManifest(manifestText(manifestOf('a', { format: 0 as never })), 'm')).toThrow(/damaged/)
    expect(() => readManifest(manifestText(manifestOf('a', { format: 2 as never })), 'm')).toThrow(/newer/)
  })
})
