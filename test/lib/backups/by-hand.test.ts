import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { pouredLine } from '../../../src/lib/backups/by-hand.js'

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
