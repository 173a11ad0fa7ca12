import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it, test } from 'vitest'
import { byHandLines, dumpLine, pouredLine } from '../../../src/lib/backups/by-hand.js'
import type { BackupFile } from '../../../src/lib/backups/manifest.js'
import { manifestOf } from '../../support/backups.js'

const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops it\'s "here" '))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test.each([
  ['none', Buffer.from('a\nb\n')],
  ['gzip', gzipSync('a\nb\n')],
] as const)('the line opens what is packed (%s) and sends it through the programs', (packing, content) => {
  const path = join(dir, `dump $(id) ${packing}`)
  writeFileSync(path, content)
  const line = pouredLine({ path, encrypted: false, packing }, ['sed', 's/a/c/'], ['cat'])
  expect(execFileSync('sh', ['-c', line], { encoding: 'utf8' })).toBe('c\nb\n')
})

test('what is encrypted is opened first', () => {
  const dump = { path: '/b/database.dump.zst.age', encrypted: true, packing: 'zstd' } as const
  expect(pouredLine(dump, ['pg_restore', '-d', 'new'])).toBe(
    'age -d -i IDENTITY /b/database.dump.zst.age | zstd -dc | pg_restore -d new',
  )
  expect(pouredLine({ ...dump, packing: 'none' }, ['pg_restore'])).toBe(
    'age -d -i IDENTITY /b/database.dump.zst.age | pg_restore',
  )
})

const { database } = manifestOf('one').postgres
const file = (parts: Partial<BackupFile> = {}): BackupFile => ({
  ...{ name: 'database.dump', part: 'database', bytes: 1, sha256: '', encrypted: false, compression: 'inside' },
  ...parts,
})

describe('the line that makes a dump by hand', () => {
  it.each<[string, BackupFile | undefined, string | null]>([
    ['pg_dump -Fc > /b/database.dump', undefined, null],
    ['pg_dump -Fc > /b/database.dump', file(), null],
    [
      'pg_dump -Fc -Z0 | zstd -c > /b/database.dump.zst',
      file({ name: 'database.dump.zst', compression: 'zstd' }),
      null,
    ],
    ['pg_dump -Fc | age -r age1x > /b/database.dump.age', undefined, 'age1x'],
    [
      'pg_dump -Fc -Z0 | zstd -c | age -r age1x > /b/database.dump.zst.age',
      file({ name: 'database.dump.zst.age', compression: 'zstd', encrypted: true }),
      'age1x',
    ],
  ])('is %s', (line, made, recipient) => {
    expect(dumpLine('/b', made, recipient)).toBe(line)
  })
})

describe('the lines that restore by hand', () => {
  it('make the database as the manifest knows it', () => {
    const settings = { search_path: 'a, b' }
    const traits = { ...database, provider: 'icu' as const, icuLocale: 'de-DE', settings }
    expect(byHandLines(file(), traits, 150018)).toEqual([
      '# PostgreSQL 15 or newer, with the role mastodon',
      'createdb -T template0 -O mastodon -E UTF8 --locale-provider=icu --icu-locale=de-DE --lc-collate=C --lc-ctype=C NEW_DATABASE',
      `psql -d NEW_DATABASE -c 'ALTER DATABASE "NEW_DATABASE" SET "search_path" TO a, b'`,
      'pg_restore --no-owner --role=mastodon -d NEW_DATABASE database.dump',
      'vacuumdb --analyze-only -d NEW_DATABASE',
    ])
    const [, plain] = byHandLines(file(), database, 150018)
    expect(plain).toBe('createdb -T template0 -O mastodon -E UTF8 --lc-collate=C --lc-ctype=C NEW_DATABASE')
  })
})
