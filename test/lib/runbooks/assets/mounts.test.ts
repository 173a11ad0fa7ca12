import { expect, test } from 'vitest'
import { memoryIn } from '../../../../src/lib/runbooks/assets/memory.js'
import { isKept, mountsIn } from '../../../../src/lib/runbooks/assets/mounts.js'

const TABLE = [
  'overlay / overlay rw,lowerdir=/a:/b 0 0',
  'proc /proc proc rw,nosuid 0 0',
  '/dev/vda1 /mastodon/public/assets ext4 rw 0 0',
  '/dev/vda1 /mastodon/public/pa\\040cks ext4 rw 0 0',
  'tmpfs /mastodon/tmp tmpfs rw 0 0',
  '',
].join('\n')

test.each([
  ['/mastodon/public/assets', true],
  ['/mastodon/public/assets/manifest.json', true],
  ['/mastodon/public/pa cks', true],
  ['/mastodon/public/assets-old', false],
  ['/mastodon/public', false],
  ['/mastodon/tmp/file', false],
  ['/', false],
])('what is written to %s is kept: %s', (path, kept) => {
  expect(isKept(path, mountsIn(TABLE))).toBe(kept)
})

test('without a table nothing is kept', () => {
  expect(isKept('/mastodon/public', mountsIn(''))).toBe(false)
})

test.each([
  ['MemTotal:        2000000 kB\nSwapTotal:       1000000 kB\n', 3_072_000_000],
  ['MemTotal:        2000000 kB\nSwapTotal:             0 kB\nlimit max\n', 2_048_000_000],
  ['MemTotal:        8000000 kB\nSwapTotal:       1000000 kB\nlimit 1073741824\n', 1_073_741_824 + 1_024_000_000],
  ['MemTotal:        2000000 kB\nlimit 9223372036854771712\n', 2_048_000_000],
])('memory is RAM and swap, as far as the container may use them', (text, bytes) => {
  expect(memoryIn(text)).toBe(bytes)
})

test('memory is not known where nothing tells', () => {
  expect(memoryIn('cat: /proc/meminfo: No such file or directory\n')).toBeUndefined()
})
