import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { DiskSpace, ToolRun } from '../../../src/lib/backends/backend.js'
import { decryptWith, encryptTo } from '../../../src/lib/backups/encryption.js'
import { keepMedia, mediaOf, mediaUnasked, readMedia, restoreMedia } from '../../../src/lib/backups/media.js'
import { mediaFolder, tarEnded, weighMedia } from '../../../src/lib/backups/media-folder.js'
import type { StoredBackup } from '../../../src/lib/backups/store.js'
import { checkParts } from '../../../src/lib/runbooks/db/backup-parts.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { manifestOf } from '../../support/backups.js'
import { localPlace } from '../../support/local-place.js'
import { toolboxOf } from '../../support/toolbox-of.js'

const base = mkdtempSync(join(tmpdir(), 'mstdn-ops-media-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let root: string
let dir: string
beforeEach(() => {
  root = mkdtempSync(join(base, 'root-'))
  dir = mkdtempSync(join(base, 'backup-'))
})

/** Puts files under the root, each with its name as its content. */
function put(...names: string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), name)
  }
}

interface MadeMedia {
  version?: string
  disk?: DiskSpace[]
  dryRun?: boolean
  /** Whether the database knows of files. */
  known?: boolean
}

function toolboxAt(path: string, made: MadeMedia = {}): Toolbox {
  const database = { query: async () => [{ known: made.known ?? false }] as never }
  const toolbox = toolboxOf({ version: made.version ?? '4.5.3', disks: made.disk ?? [], database })
  const storage = { ...toolbox.backend.storage, media: async () => ({ place: localPlace(), path }) }
  return { ...toolbox, dryRun: made.dryRun ?? false, backend: { ...toolbox.backend, storage } as never }
}

const names = (name = 'media.tar') =>
  execFileSync('tar', ['-tf', join(dir, name), '--quoting-style=escape'], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line !== '' && !line.endsWith('/'))
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'none' }),
    error => error,
  )

describe('what is kept', () => {
  test('all but the copies of other servers, which have a folder of their own from 3.1.4 on', async () => {
    put('accounts/a.png', 'cache/accounts/b.png', 'preview_cards/c.png', '.well/d', 'media_attachments/cache/e', '-rf')
    const { file, media } = await keepMedia(toolboxAt(root), { dir })
    expect(names().sort()).toEqual([
      './-rf',
      './.well/d',
      './accounts/a.png',
      './media_attachments/cache/e',
      './preview_cards/c.png',
    ])
    expect(media).toMatchObject({ kept: 'local', files: 5, note: expect.stringContaining('cache/') })
    expect(file).toMatchObject({ name: 'media.tar', part: 'media', encrypted: false, compression: 'none' })
  })

  test('before 3.1.4 only what is known to be copies is left out, and that is said', async () => {
    put('accounts/a.png', 'preview_cards/c.png')
    const { media } = await keepMedia(toolboxAt(root, { version: '2.9.4' }), { dir })
    expect(names()).toEqual(['./accounts/a.png'])
    expect(media).toMatchObject({ files: 1, note: expect.stringContaining('keeps them among its own') })
  })

  test('an empty folder makes an archive of nothing', async () => {
    const { file, media } = await keepMedia(toolboxAt(root), { dir })
    expect({ media, bytes: file.bytes, names: names() }).toMatchObject({ media: { files: 0 }, bytes: 1024, names: [] })
  })

  test('an empty folder is refused where the database knows of files: their disk is not mounted', async () => {
    const toolbox = toolboxAt(root, { known: true })
    const refused = { code: 'media-not-there', message: expect.stringContaining(root) }
    expect(await failure(checkParts(toolbox, { with: ['media'] }))).toMatchObject(refused)
    mkdirSync(join(root, 'accounts'))
    expect(await failure(keepMedia(toolbox, { dir }))).toMatchObject(refused)
    put('accounts/a.png')
    expect(await checkParts(toolbox, { with: ['media'] })).toBeGreaterThan(0)
  })

  test('a folder on another disk, behind a link, is followed', async () => {
    const other = mkdtempSync(join(base, 'disk-'))
    writeFileSync(join(other, 'a.png'), 'a')
    symlinkSync(other, join(root, 'media_attachments'))
    await keepMedia(toolboxAt(root), { dir })
    expect(names()).toEqual(['./media_attachments/./a.png'])
    expect(await weighMedia(await mediaFolder(toolboxAt(root)))).toBeGreaterThan(0)
  })

  test('a link deep inside is refused before and while it is read', async () => {
    put('accounts/a.png')
    symlinkSync('.', join(root, 'accounts/self'))
    const { code, message } = await failure(weighMedia(await mediaFolder(toolboxAt(root))))
    expect(code).toBe('link-in-media')
    expect(message).toContain('accounts/self')
    expect(await failure(keepMedia(toolboxAt(root), { dir }))).toMatchObject({ code: 'odd-media' })
  })

  test('what is left out does not weigh', async () => {
    put('accounts/a.png')
    writeFileSync(join(root, 'accounts/b'), Buffer.alloc(1_000_000, 1))
    mkdirSync(join(root, 'cache'))
    writeFileSync(join(root, 'cache/c'), Buffer.alloc(5_000_000, 1))
    const bytes = await weighMedia(await mediaFolder(toolboxAt(root)))
    expect(bytes).toBeGreaterThan(1_000_000)
    expect(bytes).toBeLessThan(1_200_000)
  })

  test('a folder that is not there is refused by name', async () => {
    const nowhere = await mediaFolder(toolboxAt('/nowhere/public'))
    expect(await failure(weighMedia(nowhere))).toMatchObject({ code: 'no-media-folder' })
    const { code, why } = await failure(keepMedia(toolboxAt('/nowhere/public'), { dir }))
    expect(code).toBe('media-not-read')
    expect(why).toContain('/nowhere/public')
  })

  test('media in a bucket are named, and why nothing is known of its versions', async () => {
    const toolbox = toolboxOf({ config: { S3_ENABLED: 'true', S3_BUCKET: 'files-of-example' } })
    expect(await mediaUnasked(toolbox)).toEqual({
      ...{ kept: 'bucket', bucket: 'files-of-example', versions: null },
      why: 'no credentials for it are configured',
    })
    expect(await mediaUnasked(toolboxOf({ config: { S3_ENABLED: 'false' } }))).toMatchObject({ kept: 'nowhere' })
  })

  test('without a way to them they are refused', async () => {
    expect(await failure(keepMedia(toolboxOf({}), { dir }))).toMatchObject({ code: 'no-such-capability' })
  })
})

describe('how tar ended', () => {
  const place = { place: localPlace(), path: '/media' }
  const ended = (exitCode: number, stderr: string) =>
    failure(tarEnded({ ended: Promise.resolve({ exitCode, stderr }) } as unknown as ToolRun, place))

  test.each<[number, string]>([
    [0, ''],
    [1, ''],
    [1, 'tar: ./a: file changed as we read it\n'],
    [1, 'tar: ./a: File removed before we read it\n'],
    [1, 'tar: ./a: File shrank by 12 bytes; padding with zeros\n'],
    [2, 'tar: ./a: Cannot open: No such file or directory\ntar: Exiting with failure status due to previous errors\n'],
    [1, 'tar: ./a: No such file or directory\ntar: error exit delayed from previous errors\n'],
    [0, 'tar: ./a: socket ignored\n'],
  ])('%i with %j is no failure', async (code, stderr) => {
    expect(await ended(code, stderr)).toEqual({ code: 'none' })
  })

  test.each<[number, string]>([
    [2, 'tar: ./a: Cannot open: Permission denied\ntar: Exiting with failure status due to previous errors\n'],
    [1, 'tar: ./a: Permission denied\ntar: error exit delayed from previous errors\n'],
    [2, 'tar: ./a: Read error at byte 0, while reading 512 bytes: Input/output error\n'],
    [0, 'tar: ./a: Cannot open: Permission denied\n'],
    [
      2,
      'tar: ./a: file changed as we read it\ntar: ./b: file changed as we read it: Cannot stat: Input/output error\n',
    ],
    [137, ''],
    [127, 'sh: 1: tar: not found\n'],
  ])('%i with %j is one', async (code, stderr) => {
    expect(await ended(code, stderr)).toMatchObject({ code: 'media-not-read' })
  })
})

describe('put back', () => {
  test('into a folder with other files, which stay; the same name is replaced', async () => {
    put('accounts/a.png', 'deep/b.png')
    await keepMedia(toolboxAt(root), { dir })
    const target = mkdtempSync(join(base, 'target-'))
    mkdirSync(join(target, 'accounts'))
    writeFileSync(join(target, 'accounts/a.png'), 'half')
    writeFileSync(join(target, 'accounts/later.png'), 'later')
    const elsewhere = mkdtempSync(join(base, 'disk-'))
    symlinkSync(elsewhere, join(target, 'deep'))
    const done = await restoreMedia(toolboxAt(target), { path: join(dir, 'media.tar') })
    expect(done).toEqual({ files: 2 })
    expect(readFileSync(join(target, 'accounts/a.png'), 'utf8')).toBe('accounts/a.png')
    expect(readFileSync(join(target, 'accounts/later.png'), 'utf8')).toBe('later')
    // The link to another disk is still one.
    expect(readFileSync(join(elsewhere, 'b.png'), 'utf8')).toBe('deep/b.png')
  })

  test('from an encrypted backup', async () => {
    put('accounts/a.png')
    const identity = await generateX25519Identity()
    writeFileSync(join(dir, 'key'), identity)
    const { file } = await keepMedia(toolboxAt(root), {
      dir,
      seal: await encryptTo(await identityToRecipient(identity)),
    })
    expect(file).toMatchObject({ name: 'media.tar.age', encrypted: true })
    const backup = { path: dir, manifest: manifestOf('one', { files: [file] }) } as StoredBackup
    expect(() => mediaOf(backup)).toThrow('is encrypted')
    const source = mediaOf(backup, await decryptWith(join(dir, 'key')))
    if (source === undefined) throw new Error('it has media')
    const target = mkdtempSync(join(base, 'target-'))
    await restoreMedia(toolboxAt(target), source)
    expect(readFileSync(join(target, 'accounts/a.png'), 'utf8')).toBe('accounts/a.png')
  })

  test('a dry run writes nothing', async () => {
    put('a.png')
    await keepMedia(toolboxAt(root), { dir })
    const target = mkdtempSync(join(base, 'target-'))
    const toolbox = toolboxAt(target, { dryRun: true })
    expect(await restoreMedia(toolbox, { path: join(dir, 'media.tar') })).toEqual({ files: 1 })
    expect({ names: execFileSync('ls', ['-A', target]).length, told: toolbox.ledger.entries.length }).toEqual({
      names: 0,
      told: 1,
    })
  })

  test.each<[string, string[]]>([
    ['a name that climbs', ['--transform', 's,^a.png,../outside.png,', '-P']],
    ['an absolute name', ['--transform', `s,^a.png,${base}/outside.png,`, '-P']],
    ['a link by name', ['link']],
  ])('%s is refused before anything is written', async (_what, flags) => {
    put('a.png', 'before.png')
    symlinkSync('/etc', join(root, 'link'))
    execFileSync('tar', ['-C', root, '-cf', join(dir, 'bad.tar'), 'before.png', 'a.png', ...flags])
    const target = mkdtempSync(join(base, 'target-'))
    expect(await failure(restoreMedia(toolboxAt(target), { path: join(dir, 'bad.tar') }))).toMatchObject({
      code: 'odd-media',
    })
    expect(execFileSync('ls', ['-A', target]).length).toBe(0)
  })

  test('an archive that is cut is refused before anything is written', async () => {
    put('a.png', 'b.png')
    await keepMedia(toolboxAt(root), { dir })
    truncateSync(join(dir, 'media.tar'), 1536)
    const target = mkdtempSync(join(base, 'target-'))
    expect(await failure(restoreMedia(toolboxAt(target), { path: join(dir, 'media.tar') }))).toMatchObject({
      code: 'archive-damaged',
    })
    expect(execFileSync('ls', ['-A', target]).length).toBe(0)
  })

  test('where there is no room, it is refused with both sizes', async () => {
    put('a.png')
    await keepMedia(toolboxAt(root), { dir })
    const disk: DiskSpace[] = [{ place: 'media', path: '/media', totalBytes: 10_000, freeBytes: 2048 }]
    const { code, why } = await failure(restoreMedia(toolboxAt(root, { disk }), { path: join(dir, 'media.tar') }))
    expect({ code, why }).toEqual({ code: 'no-room-for-media', why: 'Up to 10.0 KiB are needed, 2.0 KiB are free.' })
    expect(await readMedia({ path: join(dir, 'media.tar') })).toEqual({ files: 1, bytes: 10_240 })
  })
})
