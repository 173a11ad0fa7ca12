import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MastodonVersion, parseVersionRb, versionOfImage } from '../../../src/lib/mastodon/version.js'

const { parse, of, compare } = MastodonVersion

describe('parse', () => {
  test.each([
    ['1.3.3', [1, 3, 3, undefined, undefined]],
    ['v4.3.2', [4, 3, 2, undefined, undefined]],
    ['1.4.1.rc6', [1, 4, 1, 'rc.6', undefined]],
    ['2.9.0rc1', [2, 9, 0, 'rc.1', undefined]],
    ['4.0.0rc1', [4, 0, 0, 'rc.1', undefined]],
    ['4.2.0-beta3', [4, 2, 0, 'beta.3', undefined]],
    ['4.3.0-beta.1', [4, 3, 0, 'beta.1', undefined]],
    ['v4.2.1+glitch', [4, 2, 1, undefined, 'glitch']],
    ['4.3.0-alpha.5+glitch.ab12', [4, 3, 0, 'alpha.5', 'glitch.ab12']],
    ['4.5.0-nightly.2025-09-01', [4, 5, 0, 'nightly.2025-09-01', undefined]],
    ['4.3.0-nightly.2024-05-30-security', [4, 3, 0, 'nightly.2024-05-30-security', undefined]],
    [' 4.5.3\n', [4, 5, 3, undefined, undefined]],
  ] as const)('%s', (text, [major, minor, patch, prerelease, metadata]) => {
    expect(parse(text)).toMatchObject({ major, minor, patch })
    expect(parse(text)?.prerelease).toBe(prerelease)
    expect(parse(text)?.metadata).toBe(metadata)
  })

  test.each([
    'latest',
    'edge',
    'nightly',
    'v4.3',
    '4',
    '',
    'sha256:0123456789abcdef',
    '2.7.2 (compatible; Pleroma 2.5.0)',
    '4.x.0-nightly.2025-01-01',
    '04.3.1',
    '4.3.1; rm -rf',
    '4.3.1\n4.4.0',
    `4.3.1-rc${'1'.repeat(200)}`,
  ])('%s names no release', text => {
    expect(parse(text)).toBeUndefined()
  })

  test('the text stays as it was written, for it is also the image tag', () => {
    expect(`${of('v4.0.0rc1')}`).toBe('4.0.0rc1')
    expect(JSON.stringify({ version: of('4.3.2+glitch') })).toBe('{"version":"4.3.2+glitch"}')
  })

  test('of throws for what is no version', () => {
    expect(() => of('edge')).toThrow(TypeError)
  })
})

describe('order', () => {
  const ascending = [
    ...['1.3.0', '1.3.3', '1.4.1.rc6', '1.4.1', '1.4.7', '1.5.1', '2.0.0', '2.4.5', '2.5.2', '2.9.0rc1', '2.9.0'],
    ...['2.10.0', '3.5.9', '3.5.13', '4.0.0rc1', '4.0.0rc2', '4.0.0rc10', '4.0.0', '4.2.0-beta1', '4.2.0-beta3'],
    ...['4.2.0-rc1', '4.2.0', '4.3.0-alpha.5', '4.3.0-beta.1', '4.3.0-nightly.2024-09-01', '4.3.0-rc.1', '4.3.0'],
  ].map(of)

  test('is the order of release', () => {
    const shuffled = ascending.toSorted((a, b) => (`${a}`.length % 3) - (`${b}`.length % 3))
    expect(shuffled.sort(compare).map(String)).toEqual(ascending.map(String))
  })

  test('a fork counts as the release that it is built on', () => {
    expect(of('4.3.2+glitch').equals(of('4.3.2'))).toBe(true)
  })

  const anyVersion = fc
    .tuple(
      fc.nat(6),
      fc.nat(12),
      fc.nat(25),
      fc.constantFrom('', 'rc1', 'rc2', 'rc10', '-beta.1', '-alpha.3', '+glitch'),
    )
    .map(([major, minor, patch, rest]) => of(`${major}.${minor}.${patch}${rest}`))

  test('is total: antisymmetric, transitive, and the numbers come first', () => {
    fc.assert(
      fc.property(anyVersion, anyVersion, anyVersion, (a, b, c) => {
        expect(Math.sign(compare(a, b)) + Math.sign(compare(b, a))).toBe(0)
        if (compare(a, b) <= 0 && compare(b, c) <= 0) expect(compare(a, c)).toBeLessThanOrEqual(0)
        const byNumbers = a.major - b.major || a.minor - b.minor || a.patch - b.patch
        if (byNumbers !== 0) expect(Math.sign(compare(a, b))).toBe(Math.sign(byNumbers))
        expect(a.isOlderThan(b)).toBe(b.isNewerThan(a))
      }),
    )
  })

  test('what parse makes of a version it makes of its own text again', () => {
    fc.assert(fc.property(anyVersion, a => compare(of(`v${a}`), a) === 0))
  })

  test('never throws on any text', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        parse(text)
      }),
    )
  })
})

describe('atLeast and before ask for a feature', () => {
  test.each([
    ['4.3.0', '4.3.0', true],
    ['4.2.9', '4.3.0', false],
    ['4.10.0', '4.9.0', true],
    ['4.3.0-beta.1', '4.3.0', true],
    ['4.0.0rc1', '4.0.0', true],
    ['4.3.0-beta.1', '4.3.0-rc.1', false],
    ['4.3.0-rc.2', '4.3.0-rc.1', true],
    ['2.5.2', '2.6.0', false],
    ['4.3.0+glitch', '4.3.0', true],
  ])('%s atLeast %s: %s', (version, bound, expected) => {
    expect(of(version).atLeast(bound)).toBe(expected)
    expect(of(version).before(bound)).toBe(!expected)
  })

  test('series', () => {
    expect(of('4.3.0-beta.1').series).toBe('4.3')
    expect(`${of('4.3.0-beta.1').release}`).toBe('4.3.0')
  })
})

describe('versionOfImage', () => {
  test.each([
    ['ghcr.io/mastodon/mastodon:v4.3.2', '4.3.2'],
    ['ghcr.io/mastodon/mastodon:v4.3.2@sha256:0123', '4.3.2'],
    ['registry.example.org:5000/mastodon:v2.9.4', '2.9.4'],
    ['tootsuite/mastodon:v4.0.0rc1', '4.0.0rc1'],
    ['registry.example.org:5000/mastodon', undefined],
    ['tootsuite/mastodon', undefined],
    ['ghcr.io/mastodon/mastodon:latest', undefined],
    ['ghcr.io/mastodon/mastodon:v4.3', undefined],
    ['ghcr.io/mastodon/mastodon@sha256:0123', undefined],
    ['', undefined],
  ])('%s', (reference, expected) => {
    expect(versionOfImage(reference)?.toString()).toBe(expected)
  })
})

const method = (name: string, body: string) => `    def ${name}\n      ${body}\n    end\n`
const rb = (major: number, minor: number, patch: number, rest = '') =>
  `module Mastodon\n  module Version\n    module_function\n\n${method('major', `${major}`)}\n${method('minor', `${minor}`)}\n` +
  `${method('patch', `${patch}`)}\n${rest}\n${method('to_s', "[to_a.join('.'), flags].join")}  end\nend\n`

describe('parseVersionRb', () => {
  test.each([
    ['1.3 without pre', rb(1, 3, 2, method('pre', 'nil')), '1.3.2'],
    ['1.4 with pre', rb(1, 4, 1, method('pre', "'rc6'")), '1.4.1.rc6'],
    ['2.9 with flags', rb(2, 9, 0, method('pre', 'nil') + method('flags', "'rc1'")), '2.9.0rc1'],
    ['3.1 with an empty suffix', rb(3, 1, 2, method('flags', "''") + method('suffix', "''")), '3.1.2'],
    ['a fork by suffix', rb(3, 5, 3, method('flags', "''") + method('suffix', "'+glitch'")), '3.5.3+glitch'],
    [
      '4.1 asking the environment',
      rb(4, 1, 0, method('flags', "ENV.fetch('MASTODON_VERSION_FLAGS', 'rc2')")),
      '4.1.0rc2',
    ],
    ['a default in a block', rb(4, 1, 0, method('flags', "ENV.fetch('MASTODON_VERSION_FLAGS') { 'rc3' }")), '4.1.0rc3'],
    ['4.2 beta', rb(4, 2, 0, method('default_prerelease', "'beta3'")), '4.2.0-beta3'],
    ['4.3 release', rb(4, 3, 8, method('default_prerelease', "''")), '4.3.8'],
    [
      '4.8 alpha with an environment override',
      rb(
        4,
        8,
        0,
        method('default_prerelease', "'alpha.1'") +
          method('prerelease', "ENV['MASTODON_VERSION_PRERELEASE'].presence || default_prerelease"),
      ),
      '4.8.0-alpha.1',
    ],
    ['Windows line ends', rb(4, 5, 3).replaceAll('\n', '\r\n'), '4.5.3'],
    ['a fork whose flags are no version', rb(4, 1, 2, method('flags', "' (our fork)'")), '4.1.2'],
    ['one-line methods', 'def major = 4\ndef minor = 7\ndef patch = 2\n', '4.7.2'],
  ])('%s', (_, text, expected) => {
    expect(parseVersionRb(text)?.toString()).toBe(expected)
  })

  test.each([
    ['', 'an empty file'],
    ['<html>404</html>', 'another file'],
    [method('major', '4'), 'half a file'],
  ])('no version in %s', text => {
    expect(parseVersionRb(text)).toBeUndefined()
  })
})
