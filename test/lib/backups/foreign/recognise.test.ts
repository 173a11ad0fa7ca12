import { mkdirSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recognise, versionNumber } from '../../../../src/lib/backups/foreign/recognise.js'
import { fileSource } from '../../../../src/lib/backups/foreign/source.js'
import { RefusedError } from '../../../../src/lib/errors.js'
import { clientOutput } from '../../../support/postgres-clients.js'
import { type Dumps, databaseName, gzip, kindOf, makeDumps, runner, throughTerminal, zstd } from './dumps.js'

const FULL = process.env.MSTDN_TEST_FULL === '1'
let dumps: Dumps

beforeAll(async () => {
  dumps = await makeDumps()
})
afterAll(() => dumps.stop())

/** Returns the code of the refusal, or what it was taken for. */
async function refusal(path: string): Promise<string> {
  return kindOf(path).then(
    kind => `taken for ${JSON.stringify(kind)}`,
    error => (error instanceof RefusedError ? error.code : String(error)),
  )
}

describe('what is restored, whatever it is called', () => {
  test.each(['', 'gzip', 'zstd'] as const)('custom format, packed with "%s"', async packing => {
    const bytes = dumps.dump(['-Fc'])
    const packed = packing === 'gzip' ? gzip(bytes) : packing === 'zstd' ? zstd(bytes) : bytes
    const kind = await kindOf(dumps.put('photo.jpeg', packed))
    expect(kind).toMatchObject({ format: 'custom', packing: packing || 'none' })
    if (kind.format !== 'custom') return
    expect(kind.header).toMatchObject({ database: databaseName, compression: 'gzip' })
    expect(versionNumber(kind.header.server)).toBeGreaterThanOrEqual(150_000)
    expect(versionNumber(kind.header.dumpedBy)).toBeGreaterThanOrEqual(150_000)
    expect(Math.abs(Date.now() - Date.parse(kind.header.createdAt))).toBeLessThan(60_000)
  })

  test('custom format without compression', async () => {
    const kind = await kindOf(dumps.put('dump', dumps.dump(['-Fc', '-Z0'])))
    expect(kind).toMatchObject({ format: 'custom', header: { compression: 'none' } })
  })

  test.each([
    ['pg_dump', () => dumps.dump(), { cluster: false, terminal: false, packing: 'none' }],
    ['pg_dump, gzip', () => gzip(dumps.dump()), { cluster: false, terminal: false, packing: 'gzip' }],
    ['pg_dump, zstd', () => zstd(dumps.dump()), { cluster: false, terminal: false, packing: 'zstd' }],
    ['pg_dumpall', () => dumps.dumpAll(), { cluster: true, terminal: false, packing: 'none' }],
    ['pg_dumpall in a terminal', () => throughTerminal(dumps.dumpAll()), { cluster: true, terminal: true }],
    ['a terminal, then gzip', () => gzip(throughTerminal(dumps.dump())), { terminal: true, packing: 'gzip' }],
    ['with a byte order mark', () => Buffer.concat([Buffer.from('\ufeff'), dumps.dump()]), { terminal: false }],
  ])('plain SQL: %s', async (_, content, expected) => {
    const kind = await kindOf(dumps.put('plain.dump', content()))
    expect(kind).toMatchObject({ format: 'sql', ...expected })
    expect(versionNumber((kind.format === 'sql' && kind.server) || '')).toBeGreaterThanOrEqual(150_000)
  })

  test('an encrypted file is opened by its key, and asked for one without', async () => {
    const secret = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), dumps.dump()])
    const path = dumps.put('dump.age', secret)
    await expect(kindOf(path)).rejects.toMatchObject({
      code: 'dump-encrypted',
      next: expect.stringContaining('--identity'),
    })
    const decrypt = async (bytes: Readable) => Readable.from([Buffer.concat(await bytes.toArray()).subarray(22)])
    expect(await recognise(fileSource(path, decrypt), runner)).toMatchObject({ format: 'sql' })
    const plain = dumps.put('plain.sql', dumps.dump())
    expect(await recognise(fileSource(plain, decrypt), runner)).toMatchObject({ format: 'sql' })
  })
})

describe('what is refused by name', () => {
  test.each<[string, () => Buffer | string, string]>([
    ['nothing', () => '', 'dump-empty'],
    ['nothing, packed', () => gzip(Buffer.alloc(0)), 'dump-empty'],
    ['tar format', () => dumps.dump(['-Ft']), 'dump-tar'],
    ['tar format, packed', () => gzip(dumps.dump(['-Ft'])), 'dump-tar'],
    ['an HTML page', () => '<!DOCTYPE html><title>403 Forbidden</title>', 'dump-error-page'],
    ['an XML answer', () => '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'dump-error-page'],
    ['a JSON answer', () => '{"id":"unauthorized","message":"There is no such backup"}', 'dump-error-page'],
    ['a terminal around custom format', () => throughTerminal(dumps.dump(['-Fc'])), 'dump-through-terminal'],
    ['a terminal around -Z0', () => throughTerminal(dumps.dump(['-Fc', '-Z0'])), 'dump-through-terminal'],
    ['a terminal around gzip', () => throughTerminal(gzip(dumps.dump())), 'dump-through-terminal'],
    ['a terminal around zstd', () => throughTerminal(zstd(dumps.dump())), 'dump-through-terminal'],
    ['gzip in gzip', () => gzip(gzip(dumps.dump())), 'dump-unknown'],
    ['a prompt before it', () => Buffer.concat([Buffer.from('Password: \r\n'), dumps.dump()]), 'dump-mixed'],
    ['PowerShell', () => Buffer.from(`\ufeff${dumps.dump().toString('utf8')}`, 'utf16le'), 'dump-utf16'],
    ['xz', () => Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2]), 'dump-packed'],
    ['letters-only age', () => '-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n', 'dump-encrypted'],
    ['anything else', () => 'SELECT 1;\n', 'dump-unknown'],
    ['a picture', () => Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2]), 'dump-unknown'],
  ])('%s', async (_, content, code) => {
    expect(await refusal(dumps.put('mastodon.dump', content()))).toBe(code)
  })

  test('directory format, its table of contents alone, a folder, no file', async () => {
    const folder = `${dumps.dir}/directory`
    clientOutput('pg_dump', ['-Fd', '-f', folder, databaseName], dumps.server)
    await expect(kindOf(folder)).rejects.toMatchObject({
      ...{ code: 'dump-directory', exitCode: 3 },
      next: `Make it one file, and restore that: pg_restore -f dump.sql ${folder}`,
    })
    expect(await refusal(`${folder}/toc.dat`)).toBe('dump-part')
    mkdirSync(`${dumps.dir}/folder`)
    expect(await refusal(`${dumps.dir}/folder`)).toBe('dump-no-file')
    expect(await refusal(`${dumps.dir}/nowhere`)).toBe('dump-unreadable')
  })

  test('custom format of versions that are not known', async () => {
    const bytes = dumps.dump(['-Fc'])
    const withMinor = (minor: number) => Buffer.concat([bytes.subarray(0, 6), Buffer.from([minor]), bytes.subarray(7)])
    expect(await refusal(dumps.put('old', withMinor(9)))).toBe('dump-too-old')
    expect(await refusal(dumps.put('new', withMinor(17)))).toBe('dump-too-new')
  })
})

describe('damage that the header of custom format shows', () => {
  test('every cut inside of it', async () => {
    const bytes = dumps.dump(['-Fc'])
    const { length } = headerOf(bytes)
    for (let size = 1; size < length; size += FULL ? 1 : 7) {
      const code = await refusal(dumps.put('cut', bytes.subarray(0, size)))
      expect(code, `${size} bytes`).toBe(size < 5 ? 'dump-unknown' : 'dump-cut')
    }
  })

  test('flips: refused, or no more than another letter in a name or another time', async () => {
    const bytes = dumps.dump(['-Fc'])
    const { length, structure } = headerOf(bytes)
    let seen = 0
    for (let at = 0; at < length; at += 1) {
      for (const bit of FULL ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8, (at + 3) % 8]) {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        const code = await refusal(dumps.put('flipped', flipped))
        seen += 1
        if (structure(at)) expect(code, `bit ${bit} of byte ${at}`).toMatch(/^dump-/)
        else expect(code, `bit ${bit} of byte ${at}`).toMatch(/^dump-|^taken for /)
      }
    }
    expect(seen).toBeGreaterThan(200)
  })
})

/** Where the header ends, and which of its bytes have one right value: magic, sizes, signs and high bytes of lengths; the revision (7) has none. */
function headerOf(bytes: Buffer): { length: number; structure: (at: number) => boolean } {
  const texts: [number, number][] = []
  let at = 5 + 6 + (bytes[6] === 14 ? 5 : 1) + 7 * 5
  for (let count = 0; count < 3; count += 1) {
    const size = bytes.readInt32LE(at + 1)
    texts.push([at, size])
    at += 5 + size
  }
  const isLength = (place: number) => texts.some(([from]) => place === from || (place >= from + 3 && place < from + 5))
  return { length: at + 5, structure: place => (place < 11 && place !== 6 && place !== 7) || isLength(place) }
}

test.each([
  ['15.18 (Debian 15.18-0+deb12u1)', 150_018],
  ['9.6.24', 90_624],
  ['18beta1', 180_000],
  ['none', undefined],
])('the version of %s', (text, number) => {
  expect(versionNumber(text)).toBe(number)
})
