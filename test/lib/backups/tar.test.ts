import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { entryProblem, type TarEntry, tarWatch } from '../../../src/lib/backups/tar.js'

const runs = process.env.MSTDN_TEST_FULL ? 1000 : 60
const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-tar-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const LONG = 'n'.repeat(150)
mkdirSync(join(dir, 'short/folder'), { recursive: true })
writeFileSync(join(dir, 'short/empty'), '')
writeFileSync(join(dir, 'short/folder/one block'), Buffer.alloc(512, 1))
writeFileSync(join(dir, 'short/large'), Buffer.alloc(70_001, 'a'))
writeFileSync(join(dir, 'short/line\nfeed é'), 'x')
mkdirSync(join(dir, 'long', LONG), { recursive: true })
writeFileSync(join(dir, 'long', LONG, LONG), 'long')
mkdirSync(join(dir, 'links'))
writeFileSync(join(dir, 'links/a'), 'a')
linkSync(join(dir, 'links/a'), join(dir, 'links/b'))
symlinkSync(`/${LONG}`, join(dir, 'links/c'))
execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', join(dir, 'links/d')])

function packed(name: string, format = 'gnu', flags: readonly string[] = []): Buffer {
  return execFileSync('tar', ['-C', join(dir, name), `--format=${format}`, '--sort=name', ...flags, '-cf', '-', '.'])
}

/** Returns the entries of the archive, sent in pieces of these sizes in turn. */
async function entriesOf(archive: Buffer, sizes: readonly number[] = [archive.length]): Promise<TarEntry[]> {
  const entries: TarEntry[] = []
  const passed = await buffer(Readable.from(pieces(archive, sizes)).pipe(tarWatch(entry => entries.push(entry))))
  expect(passed.equals(archive)).toBe(true)
  return entries
}

function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function answer(archive: Buffer): Promise<unknown> {
  return buffer(Readable.from(pieces(archive, [4096])).pipe(tarWatch(() => undefined))).then(
    () => 'taken',
    error => error.code,
  )
}

const entry = (name: string, kind: TarEntry['kind'], size = 0, link = '') => ({ name, kind, size, link })
const SHORT = [
  entry('./', 'folder'),
  entry('./empty', 'file'),
  entry('./folder/', 'folder'),
  entry('./folder/one block', 'file', 512),
  entry('./large', 'file', 70_001),
  entry('./line\nfeed é', 'file', 1),
]

test.each(['gnu', 'oldgnu', 'pax', 'ustar', 'v7'])('%s: the entries that were packed', async format => {
  expect(await entriesOf(packed('short', format))).toEqual(SHORT)
})

test.each(['gnu', 'pax'])('%s: names that no header has room for', async format => {
  const names = ['./', `./${LONG}/`, `./${LONG}/${LONG}`]
  expect((await entriesOf(packed('long', format))).map(({ name }) => name)).toEqual(names)
})

test('ustar: a name in two parts', async () => {
  const parts = ['-C', join(dir, 'short'), '--format=ustar', '--transform', `s,^,${'p'.repeat(120)}/,`]
  const archive = execFileSync('tar', [...parts, '-cf', '-', 'empty'])
  expect(await entriesOf(archive)).toEqual([entry(`${'p'.repeat(120)}/empty`, 'file')])
})

test.each(['gnu', 'pax'])('%s: links, long ones too, and what is neither file nor folder', async format => {
  expect((await entriesOf(packed('links', format))).slice(1)).toEqual([
    entry('./a', 'file', 1),
    entry('./b', 'hard link', 0, './a'),
    entry('./c', 'symbolic link', 0, `/${LONG}`),
    entry('./d', 'other'),
  ])
})

test('sizes beyond what octal digits hold', async () => {
  const [archive, size] = [packed('short').subarray(0, 512), 9_000_000_000]
  archive.fill(0, 124, 136)
  archive[124] = 0x80
  archive.writeUIntBE(size, 130, 6)
  archive.write('0', 156)
  archive.write('name\0', 0)
  archive.fill(' ', 148, 156)
  const sum = archive.reduce((total, byte) => total + byte, 0)
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const found: TarEntry[] = []
  await buffer(Readable.from([archive]).pipe(tarWatch(one => found.push(one)))).catch(() => undefined)
  expect(found).toEqual([entry('name', 'file', size)])
})

test('however the archive comes in pieces, its entries are the same', async () => {
  const archive = packed('short')
  const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(sizes, async list => {
      expect(await entriesOf(archive, list)).toEqual(SHORT)
    }),
    { numRuns: runs },
  )
})

describe('an archive that is not whole', () => {
  const archive = packed('short')
  /** Where the last file ends and the empty blocks begin. */
  const content = archive.length - [...archive].reverse().findIndex(byte => byte !== 0)

  test('wherever it was cut, it is refused', async () => {
    const cut = fc.integer({ min: 0, max: Math.ceil(content / 512) * 512 })
    await fc.assert(
      fc.asyncProperty(cut, async length => {
        expect(await answer(archive.subarray(0, length))).toBe('archive-damaged')
      }),
      { numRuns: runs },
    )
  })

  test('a header of which a byte is another is refused', async () => {
    const bits = fc.integer({ min: 1, max: 255 })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 511 }), bits, async (at, bit) => {
        const changed = Buffer.from(archive)
        changed[at] = (changed[at] ?? 0) ^ bit
        // The checksum's own field may say the same in other words.
        if (at < 148 || at >= 156) expect(await answer(changed)).toBe('archive-damaged')
      }),
      { numRuns: runs },
    )
  })

  test('an archive of nothing is whole, and no bytes are none', async () => {
    expect(await answer(Buffer.alloc(1024))).toBe('taken')
    expect(await answer(Buffer.alloc(0))).toBe('archive-damaged')
  })
})

test.each<[string, string | undefined]>([
  ['./accounts/a.png', undefined],
  ['..a/b..', undefined],
  ['../a', 'leads out'],
  ['a/../../b', 'leads out'],
  ['a/..', 'leads out'],
  ['/etc/passwd', 'leads out'],
  ['', 'leads out'],
])('the name %j', (name, problem) => {
  const told = entryProblem(entry(name, 'file'))
  if (problem === undefined) expect(told).toBeUndefined()
  else expect(told).toContain(problem)
})

test('links out of the folder, links by name, devices and pipes are not unpacked', () => {
  expect(entryProblem(entry('a', 'hard link', 0, './b'))).toBeUndefined()
  expect(entryProblem(entry('a', 'hard link', 0, '../b'))).toContain('link out of the folder')
  expect(entryProblem(entry('a', 'symbolic link', 0, 'b'))).toContain('neither')
  expect(entryProblem(entry('a', 'other'))).toContain('neither')
})
