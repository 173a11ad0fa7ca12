import compareSemver from 'semver/functions/compare.js'
import parseSemver from 'semver/functions/parse.js'

/**
 * What Mastodon prints as its version: up to 4.1 the pre-release follows without a dash (`4.0.0rc1`),
 * in 1.3 and 1.4 after a dot (`1.4.1.rc6`), from 4.2.0 as semantic versioning has it (`4.3.0-beta.1`).
 */
const PRINTED = /^v?(\d+\.\d+\.\d+)(?:[-.]?([A-Za-z][0-9A-Za-z.-]*))?(?:\+([0-9A-Za-z.-]+))?$/

/** `rc1`, `beta3`: the number has to stand alone for `rc10` to come after `rc9`. */
const GLUED_NUMBER = /^(alpha|beta|rc)\.?(\d+)$/

const LONGEST = 128

function normalise(numbers: string, prerelease: string | undefined): string {
  return prerelease ? `${numbers}-${prerelease.replace(GLUED_NUMBER, '$1.$2')}` : numbers
}

/** A release of Mastodon. This file is the only place in the project that compares versions. */
export class MastodonVersion {
  private constructor(
    private readonly text: string,
    private readonly normal: string,
    readonly major: number,
    readonly minor: number,
    readonly patch: number,
    /** `rc.1`, `nightly.2025-06-01`; undefined for a release. */
    readonly prerelease: string | undefined,
    /** What a fork or a custom build adds after `+`, like `glitch`. It plays no part in the order. */
    readonly metadata: string | undefined,
  ) {}

  /**
   * Reads a version as Mastodon prints it, or an image tag or git tag of it.
   * @returns undefined for what names no one release: `latest`, `edge`, `v4.3`, a digest, other software's answer
   */
  static parse(text: string): MastodonVersion | undefined {
    const trimmed = text.trim()
    const found = trimmed.length > LONGEST ? null : PRINTED.exec(trimmed)
    if (!found?.[1]) return undefined
    const normal = normalise(found[1], found[2])
    const parts = parseSemver(normal)
    if (!parts) return undefined
    const { major, minor, patch } = parts
    const prerelease = parts.prerelease.join('.') || undefined
    return new MastodonVersion(trimmed.replace(/^v/, ''), normal, major, minor, patch, prerelease, found[3])
  }

  /** Like `parse`, for versions that the program itself names. Throws a TypeError for anything else. */
  static of(text: string): MastodonVersion {
    const version = NAMED.get(text) ?? MastodonVersion.parse(text)
    if (!version) throw new TypeError(`not a Mastodon version: ${JSON.stringify(text)}`)
    NAMED.set(text, version)
    return version
  }

  /** The order in which releases came out: negative, 0 or positive. A pre-release comes before its release. */
  static compare(a: MastodonVersion, b: MastodonVersion): number {
    return compareSemver(a.normal, b.normal)
  }

  isNewerThan(other: MastodonVersion): boolean {
    return MastodonVersion.compare(this, other) > 0
  }

  isOlderThan(other: MastodonVersion): boolean {
    return MastodonVersion.compare(this, other) < 0
  }

  equals(other: MastodonVersion): boolean {
    return MastodonVersion.compare(this, other) === 0
  }

  /**
   * Whether this version has what came with `release`.
   *
   * A pre-release counts as the release that it leads to, for that is what it behaves like:
   * `4.3.0-beta.1` refuses to boot without the encryption keys that 4.3.0 asks for. Where a pre-release
   * is named itself (`atLeast('4.3.0-rc.1')`), the order of release decides. For that order use `compare`.
   */
  atLeast(release: string): boolean {
    const bound = MastodonVersion.of(release)
    const self = bound.prerelease ? this : this.release
    return MastodonVersion.compare(self, bound) >= 0
  }

  /** The opposite of `atLeast`. */
  before(release: string): boolean {
    return !this.atLeast(release)
  }

  /** The release that a pre-release leads to; for a release, itself without a fork's suffix. */
  get release(): MastodonVersion {
    return MastodonVersion.of(`${this.major}.${this.minor}.${this.patch}`)
  }

  /** The minor series, like `4.3`. */
  get series(): string {
    return `${this.major}.${this.minor}`
  }

  /** The version as it was written, without a leading `v`: `4.0.0rc1`, `4.3.2+glitch`. */
  toString(): string {
    return this.text
  }

  toJSON(): string {
    return this.text
  }
}

/** What `of` was given: the tables name the same releases again and again. */
const NAMED = new Map<string, MastodonVersion>()

/** A range of releases: from `since` up to, and not including, `before`. */
export interface VersionRange {
  since: string
  before?: string
}

/** Whether a version has what came with `since` and not yet what came with `before`. */
export function inRange(version: MastodonVersion, { since, before }: VersionRange): boolean {
  return version.atLeast(since) && (before === undefined || version.before(before))
}

/**
 * Reads the version out of an image reference, like `ghcr.io/mastodon/mastodon:v4.3.2@sha256:…`.
 * @returns undefined where the tag names no one release (`latest`, `edge`, `v4.3`) or there is no tag
 */
export function versionOfImage(reference: string): MastodonVersion | undefined {
  const named = reference.split('@')[0] ?? ''
  const tag = /:([^:/]+)$/.exec(named)?.[1]
  return tag === undefined ? undefined : MastodonVersion.parse(tag)
}

/** The body of `def NAME`: on the lines up to `end`, or after `=` on the same line. */
function bodyOf(text: string, name: string): string | undefined {
  const block = new RegExp(
    `^[ \\t]*def (?:self\\.)?${name}(?:\\(\\))?[ \\t]*(?:=[ \\t]*(.+)|\\n([^]*?)\\n[ \\t]*end)[ \\t]*$`,
    'm',
  )
  const found = block.exec(text)
  return found?.[1] ?? found?.[2]
}

/** The literal that a method returns, or the default where it asks the environment first. */
function literalIn(body: string | undefined): string {
  if (body === undefined) return ''
  const withoutNames = body.replace(/ENV(?:\.fetch\(|\[)\s*(['"])\w+\1\s*[\])]?/g, '')
  const literal = /(['"])([^'"]*)\1|\b(\d+)\b/.exec(withoutNames)
  return literal?.[2] ?? literal?.[3] ?? ''
}

function prereleaseIn(text: string): string {
  const dashed = literalIn(bodyOf(text, 'default_prerelease'))
  const dotted = literalIn(bodyOf(text, 'pre'))
  const glued = ['flags', 'suffix'].map(name => literalIn(bodyOf(text, name))).join('')
  return (dashed && `-${dashed}`) + (dotted && `.${dotted}`) + glued
}

/**
 * Reads `lib/mastodon/version.rb` without running it, in the shape of every era: `pre` (1.3 to 2.9),
 * `flags` and `suffix` (1.6 to 4.1), `default_prerelease` (from 4.2.0-beta3). What the environment of the
 * running server adds (MASTODON_VERSION_PRERELEASE, _METADATA, _FLAGS, _SUFFIX) is not in the file.
 * @returns undefined when the file names no major, minor and patch
 */
export function parseVersionRb(text: string): MastodonVersion | undefined {
  const unix = text.replaceAll('\r\n', '\n')
  const numbers = ['major', 'minor', 'patch'].map(name => literalIn(bodyOf(unix, name))).join('.')
  return MastodonVersion.parse(numbers + prereleaseIn(unix)) ?? MastodonVersion.parse(numbers)
}
