import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NEWEST, RELEASES } from '../../../../src/lib/mastodon/releases/data.js'
import { SECURITY_PATCHES } from '../../../../src/lib/mastodon/releases/security.js'
import { postMigrationsBetween, releaseOf } from '../../../../src/lib/mastodon/releases.js'
import { migrationsBetween } from '../../../../src/lib/mastodon/upgrade/counts.js'
import { imageOfRelease, imagesOf, isOfficial, repositoryOf } from '../../../../src/lib/mastodon/upgrade/images.js'
import { UPGRADE_NOTES } from '../../../../src/lib/mastodon/upgrade/notes.js'
import { upgradePath } from '../../../../src/lib/mastodon/upgrade/plan.js'
import { stopsBetween } from '../../../../src/lib/mastodon/upgrade/stops.js'
import type { UpgradeSurroundings } from '../../../../src/lib/mastodon/upgrade/surroundings.js'
import { planText } from '../../../../src/lib/mastodon/upgrade/text.js'
import { MastodonVersion } from '../../../../src/lib/mastodon/version.js'
import { built, onImages } from './instances.js'

const { of, compare } = MastodonVersion
const FULL = process.env.MSTDN_TEST_FULL !== undefined
const KNOWN = [...new Set([...RELEASES.flatMap(({ first, last }) => [first, last]), ...NEWEST.map(row => row.release)])]
const RELEASED = KNOWN.map(of).filter(({ prerelease }) => prerelease === undefined)
/** With reduced counts every third release, in both places. */
const TAKEN = RELEASED.filter((_, at) => FULL || (RELEASED.length - 1 - at) % 3 === 0)
const PAIRS = TAKEN.flatMap(from => TAKEN.map(to => [from, to] as const))

describe('every pair of known releases', () => {
  it('has a plan, or a refusal that says what to do next; to itself, nothing', () => {
    for (const [from, to] of PAIRS) {
      const plan = upgradePath(to.toString(), onImages(from.toString()))
      const name = `${from} to ${to}`
      for (const { message, next } of plan.refusals) expect([name, message !== '' && next !== '']).toEqual([name, true])
      if (from.equals(to)) expect([name, plan.steps, plan.needs, plan.refusals]).toEqual([name, [], [], []])
      else if (to.isOlderThan(from))
        expect([name, plan.refusals.map(({ code }) => code)]).toEqual([name, ['downgrade']])
      else expect([name, plan.steps.at(-1)?.to]).toEqual([name, to.toString()])
    }
  })

  it('goes up at each stop, and each stop goes on to the target as the whole does', () => {
    for (const [from, to] of PAIRS.filter(([a, b]) => a.isOlderThan(b))) {
      const path = [from, ...stopsBetween(from, to).map(({ version }) => version)]
      expect([...path].sort(compare).map(String)).toEqual(path.map(String))
      expect(new Set(path.map(String)).size).toBe(path.length)
      for (const [at, stop] of path.slice(0, -1).entries()) {
        expect(stopsBetween(stop, to).map(({ version }) => `${version}`)).toEqual(path.slice(at + 1).map(String))
      }
    }
  })

  it('never crosses what a stop is there for', () => {
    for (const [from, to] of PAIRS.filter(([a, b]) => a.isOlderThan(b))) {
      const path = [from, ...stopsBetween(from, to).map(({ version }) => version)]
      for (const [at, version] of path.entries()) {
        const next = path[at + 1]
        if (next === undefined) continue
        if (version.before('4.3.0')) expect([`${version}`, `${next}`, next.before('4.4.0')]).toContain(true)
        if (version.before('2.0.0')) expect([`${version}`, `${next}`, next.before('2.1.0')]).toContain(true)
      }
    }
  })

  it('counts migrations that add up along the way', () => {
    for (const [from, to] of PAIRS.filter(([a, b]) => !b.isOlderThan(a))) {
      const whole = migrationsBetween(from, to)
      const parts = [from, ...stopsBetween(from, to).map(({ version }) => version)]
      const counts = parts.slice(1).map((next, at) => migrationsBetween(parts[at] ?? from, next))
      const sum = (pick: 'total' | 'post') =>
        counts.some(count => count[pick] === null) ? null : counts.reduce((all, count) => all + (count[pick] ?? 0), 0)
      expect([`${from} to ${to}`, whole]).toEqual([`${from} to ${to}`, { total: sum('total'), post: sum('post') }])
      if (whole.total !== null) expect(whole.total).toBeGreaterThanOrEqual(whole.post ?? 0)
    }
  })

  it('agrees with the counts of files about post-deployment migrations', () => {
    for (const [from, to] of PAIRS.filter(([a, b]) => !b.isOlderThan(a))) {
      const [old, next] = [releaseOf(from)?.postMigrations, releaseOf(to)?.postMigrations]
      const listed = postMigrationsBetween(from, to).reduce((all, { count }) => all + count, 0)
      if (old !== undefined && next !== undefined)
        expect([`${from} to ${to}`, listed]).toEqual([`${from} to ${to}`, next - old])
    }
  })

  it('goes back only where nothing is migrated for good', () => {
    for (const [from, to] of PAIRS.filter(([a, b]) => a.isOlderThan(b)))
      for (const surroundings of [onImages(`${from}`), built(`${from}`)])
        for (const { phases, migrations, pointOfNoReturn } of upgradePath(`${to}`, surroundings).steps) {
          expect(phases.mode === 'none').toBe(migrations.total === 0)
          if (phases.mode === 'single') expect(pointOfNoReturn).toBe('migrations')
          if (phases.mode === 'two') expect(pointOfNoReturn === null).toBe(migrations.post === 0)
          if (!surroundings.can.beside) expect(phases.mode).not.toBe('two')
        }
  })
})

/** Anything that could be found, or not be looked at. */
const surroundings: fc.Arbitrary<UpgradeSurroundings> = fc.record({
  installed: fc.constantFrom(...KNOWN, 'edge', '4.5.3+glitch', '99.1.2'),
  schema: fc.option(
    fc.record({ applied: fc.array(fc.constantFrom(...RELEASES.map(row => row.schema))), files: fc.constant(null) }),
  ),
  servers: fc.record({
    postgres: fc.option(fc.integer({ min: 90_000, max: 190_000 })),
    redis: fc.option(fc.constantFrom('2.8.17', '6.2.7', '7.0', '8.0.1', '', 'valkey')),
  }),
  runtimes: fc.constantFrom('shipped' as const, null, { ruby: '3.2.2', node: 'v20.1.0' }, { ruby: null, node: 'x' }),
  variables: fc.option(fc.record({ set: fc.array(fc.string()), unusable: fc.array(fc.string()) })),
  services: fc.option(
    fc.array(
      fc.record({
        name: fc.string(),
        role: fc.constantFrom('web' as const, 'sidekiq' as const, 'streaming' as const),
        image: fc.option(fc.string()),
        command: fc.option(fc.string()),
        healthCommand: fc.option(fc.string()),
      }),
      { maxLength: 4 },
    ),
  ),
  queues: fc.option(fc.array(fc.constantFrom('default', 'push', 'pull', 'mailers', 'ingress', 'scheduler', 'fasp'))),
  can: fc.record({ images: fc.boolean(), beside: fc.boolean(), appliesAtOnce: fc.boolean() }),
})

describe('whatever is found', () => {
  it('there is a plan that can be written and read, and what is unmet has a line that meets it', () => {
    const target = fc.oneof(fc.constantFrom(...KNOWN), fc.string())
    const holds = fc.property(target, surroundings, (to, found) => {
      const plan = upgradePath(to, found)
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
      expect(planText(plan)).not.toMatch(/undefined|\bnull\b|NaN/)
      for (const need of plan.needs) expect(need.met === false && need.commands.length === 0).toBe(false)
      const unmet = plan.needs.filter(({ when, met }) => when === 'before' && met === false)
      expect(plan.refusals.length).toBeGreaterThanOrEqual(unmet.length)
    })
    fc.assert(holds, { numRuns: FULL ? 5_000 : 200 })
  })
})

describe('the data', () => {
  it('notes are of releases, in their order, each with its source', () => {
    const releases = UPGRADE_NOTES.map(({ release }) => of(release))
    expect([...releases].sort(compare).map(String)).toEqual(releases.map(String))
    for (const { release, source, text } of UPGRADE_NOTES) {
      expect([text, releaseOf(of(release)) !== undefined, source.length > 8]).toEqual([text, true, true])
    }
  })

  it.each([
    ['1.3.0', 'gargron/mastodon:v1.3.0', 'gargron/mastodon:v1.3.0'],
    ['2.3.0', 'tootsuite/mastodon:v2.3.0', 'tootsuite/mastodon:v2.3.0'],
    ['3.5.6', 'tootsuite/mastodon:v3.5.6', 'tootsuite/mastodon:v3.5.6'],
    ['3.5.7', 'ghcr.io/mastodon/mastodon:v3.5.7', 'ghcr.io/mastodon/mastodon:v3.5.7'],
    ['4.0.2', 'tootsuite/mastodon:v4.0.2', 'tootsuite/mastodon:v4.0.2'],
    ['4.1.0', 'tootsuite/mastodon:v4.1.0', 'tootsuite/mastodon:v4.1.0'],
    ['4.2.9', 'ghcr.io/mastodon/mastodon:v4.2.9', 'ghcr.io/mastodon/mastodon:v4.2.9'],
    ['4.3.0', 'ghcr.io/mastodon/mastodon:v4.3.0', 'ghcr.io/mastodon/mastodon-streaming:v4.3.0'],
  ])('images of %s', (version, app, streaming) => {
    expect(imagesOf(of(version))).toEqual({ app, streaming })
  })

  it.each([
    ['docker.io/tootsuite/mastodon', 'tootsuite/mastodon', true],
    ['tootsuite/mastodon@sha256:0123', 'tootsuite/mastodon', true],
    ['ghcr.io/mastodon/mastodon:v4.3.2@sha256:0123', 'ghcr.io/mastodon/mastodon', true],
    ['registry.example:5000/mastodon/mastodon', 'registry.example:5000/mastodon/mastodon', false],
  ])('%s is in %s', (reference, repository, official) => {
    expect([repositoryOf(reference), isOfficial(repositoryOf(reference))]).toEqual([repository, official])
  })

  it.each([
    ['ghcr.io/mastodon/mastodon:v4.2.9', false, 'ghcr.io/mastodon/mastodon:v4.3.8'],
    ['tootsuite/mastodon:v4.2.9@sha256:0123', true, 'ghcr.io/mastodon/mastodon-streaming:v4.3.8'],
    ['registry.example:5000/mastodon/mastodon', false, 'registry.example:5000/mastodon/mastodon:v4.3.8'],
    [
      'registry.example:5000/mastodon/mastodon:v4.2.9',
      true,
      'registry.example:5000/mastodon/mastodon-streaming:v4.3.8',
    ],
    ['mirror.example/mastodon-streaming:v4.3.0', true, 'mirror.example/mastodon-streaming:v4.3.8'],
    ['masto:local', false, 'masto:v4.3.8'],
    ['masto:local', true, undefined],
  ])('in place of %s (streaming: %s) 4.3.8 is %s', (image, isStreaming, wanted) => {
    expect(imageOfRelease(image, of('4.3.8'), isStreaming)).toBe(wanted)
  })

  it('the patch releases that fix security problems ascend, and are of known series', () => {
    for (const [series, patches] of Object.entries(SECURITY_PATCHES)) {
      expect([...new Set(patches)].sort((a, b) => a - b)).toEqual(patches)
      expect(releaseOf(of(`${series}.0`))).toBeDefined()
    }
  })
})
