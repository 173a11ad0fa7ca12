import { describe, expect, it } from 'vitest'
import { upgradePath } from '../../../../src/lib/mastodon/upgrade/plan.js'
import type { UpgradeSurroundings } from '../../../../src/lib/mastodon/upgrade/surroundings.js'
import { planText } from '../../../../src/lib/mastodon/upgrade/text.js'
import { built, migrated, onImages, service, set } from './instances.js'

const OLD_QUEUES = ['default', 'push', 'mailers', 'pull']
const GHCR = 'ghcr.io/mastodon/mastodon'
const SECRETS = ['SECRET_KEY_BASE', 'OTP_SECRET']
const KEYS = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(key => `ACTIVE_RECORD_ENCRYPTION_${key}`)

/** What each says is what it is about; the plans themselves are read in the files of `plans/`. */
const PAIRS: readonly (readonly [target: string, about: string, from: UpgradeSurroundings])[] = [
  [
    '1.4.7',
    'the first foreign keys',
    onImages('1.3.3', {
      servers: { postgres: 90_603, redis: '3.2.9' },
      services: [service('web', 'gargron/mastodon:latest'), service('streaming', 'gargron/mastodon:latest')],
    }),
  ],
  ['2.0.0', 'each minor below 2.0', onImages('1.4.1', { servers: { postgres: 90_603, redis: null } })],
  [
    '2.9.4',
    'an image that moved, and OTP_SECRET that has become mandatory',
    onImages('2.2.0', {
      variables: set('SECRET_KEY_BASE', 'PAPERCLIP_SECRET', 'S3_CLOUDFRONT_HOST'),
      services: [service('web', 'gargron/mastodon:v2.2.0'), service('sidekiq', 'registry.example/masto:2.2')],
    }),
  ],
  [
    '3.0.0',
    'single phase across several minors',
    onImages('2.7.4', { servers: { postgres: 90_624, redis: '5.0.14' } }),
  ],
  [
    '3.3.0',
    'a queue that nobody listens to',
    onImages('3.2.2', {
      queues: OLD_QUEUES,
      services: [
        service('sidekiq', 'tootsuite/mastodon:v3.2.2', { command: 'bundle exec sidekiq -q default -q push' }),
      ],
    }),
  ],
  ['3.5.13', 'the folder of PostgreSQL 14', onImages('3.4.5', { schema: migrated('3.4.5') })],
  ['3.5.2', 'two slow migrations in a patch release', onImages('3.5.1')],
  ['4.0.9', 'roles', onImages('3.5.13', { queues: [...OLD_QUEUES, 'scheduler'] })],
  [
    '4.2.9',
    'a setting without effect, and the search',
    onImages('4.1.17', { variables: set(...SECRETS, 'ES_ENABLED', 'STREAMING_CLUSTER_NUM') }),
  ],
  [
    '4.3.8',
    'encryption keys and the image of streaming',
    onImages('4.2.9', {
      services: [
        service('web', 'tootsuite/mastodon:v4.2.9', { command: 'bundle exec puma -C config/puma.rb' }),
        service('sidekiq', `${GHCR}:v4.2.9`, {
          command: 'bundle exec sidekiq',
          healthCommand: String.raw`ps aux | grep '[s]idekiq\ 6'`,
        }),
        service('streaming', `${GHCR}:v4.2.9`, { command: 'node ./streaming' }),
      ],
      queues: [...OLD_QUEUES, 'scheduler', 'ingress'],
    }),
  ],
  [
    '4.7.4',
    'a stop at 4.3, and a PostgreSQL that is enough for some of the way',
    onImages('4.2.9', { servers: { postgres: 130_011, redis: '6.2.7' } }),
  ],
  [
    '4.5.3',
    'a namespace, a health check of another Sidekiq',
    onImages('4.3.8', {
      variables: set(...SECRETS, ...KEYS, 'REDIS_NAMESPACE'),
      services: [
        service('sidekiq', `${GHCR}:v4.3.8`, {
          command: 'bundle exec sidekiq',
          healthCommand: String.raw`ps aux | grep '[s]idekiq\ 6'`,
        }),
      ],
      queues: [...OLD_QUEUES, 'scheduler', 'ingress'],
    }),
  ],
  [
    '4.5.20',
    'on a platform that builds',
    built('4.3.23', { variables: set(...SECRETS, ...KEYS), schema: migrated('4.3.23') }),
  ],
  ['4.5.14', 'a patch release', onImages('4.5.3')],
  ['4.7.4', 'one minor, the newest', onImages('4.6.5')],
  ['4.7.4', 'the whole way', onImages('1.3.0', { servers: { postgres: 90_603, redis: '3.2.9' } })],
  [
    '4.6.5',
    'nothing to look at',
    {
      ...onImages('4.4.22'),
      servers: { postgres: null, redis: null },
      runtimes: null,
      variables: null,
      can: { images: false, beside: false, appliesAtOnce: false },
    },
  ],
  ['4.5.3', 'installed already', onImages('4.5.3')],
]

describe('the plan from one release to another', () => {
  it.each(PAIRS)('to %s: %s', async (target, _about, from) => {
    const plan = upgradePath(target, from)
    const file = `plans/${from.installed}-to-${target}.txt`
    await expect(`${planText(plan)}\n`).toMatchFileSnapshot(file)
  })

  it('is data: JSON gives back the same plan', () => {
    for (const [target, , from] of PAIRS) {
      const plan = upgradePath(target, from)
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    }
  })

  it('has no line of more than 80 columns but those for a shell', () => {
    const lines = PAIRS.flatMap(([target, , from]) => planText(upgradePath(target, from)).split('\n'))
    expect(lines.filter(line => line.length > 80 && !/→ (openssl|mstdn-ops) /.test(line))).toEqual([])
  })
})

const READY = set(...SECRETS, ...KEYS)
const ofRelease = migrated('4.2.9')
const files = ofRelease.applied.map(id => ({ id, phase: 'pre' as const }))
const dropped = (count: number) => ({ applied: ofRelease.applied.slice(count), files })

/** Target, installed, and what is said; the reviewed texts stand in one file. */
const REFUSED: readonly (readonly [code: string, target: string, from: UpgradeSurroundings])[] = [
  ['downgrade', '4.3.8', onImages('4.5.3')],
  ['pre-release', '4.7.0-beta.1', onImages('4.6.5')],
  ['unknown-release', '4.8.0', onImages('4.7.4')],
  ['unknown-release', '1.4.0', onImages('1.3.3')],
  ['unknown-release', 'main', onImages('4.7.4')],
  ['unknown-release', '4.5.3', onImages('1.2.2')],
  ['fork', '4.5.3', onImages('4.3.8+glitch')],
  ['fork', '4.5.3+glitch', onImages('4.3.8')],
  ['fork', '4.5.3', onImages('4.3.8+custom.1')],
  [
    'fork',
    '4.3.8',
    onImages('4.2.9', { variables: READY, schema: { applied: [...ofRelease.applied, '20170914032032'], files: null } }),
  ],
  ['database-empty', '4.3.8', onImages('4.2.9', { variables: READY, schema: { applied: [], files: null } })],
  ['half-migrated', '4.3.8', onImages('4.2.9', { variables: READY, schema: dropped(2) })],
  [
    'half-migrated',
    '4.3.8',
    onImages('4.2.9', {
      variables: READY,
      schema: {
        applied: ['20230907150100'],
        files: [
          { id: '20230904134623', phase: 'post' },
          { id: '20230907150100', phase: 'pre' },
        ],
      },
    }),
  ],
  ['database-ahead', '4.5.3', onImages('4.2.9', { variables: READY, schema: migrated('4.3.8') })],
  ['unmet-redis', '4.5.3', onImages('4.4.22', { servers: { postgres: 140_010, redis: '6.2.7' } })],
  ['unmet-postgres', '4.5.3', onImages('4.4.22', { servers: { postgres: 140_002, redis: '7.0.15' } })],
  ['unmet-otp-secret', '4.3.8', onImages('4.2.9', { variables: set('SECRET_KEY_BASE', ...KEYS) })],
  [
    'unmet-encryption-keys',
    '4.5.3',
    onImages('4.4.22', { variables: { set: ['SECRET_KEY_BASE', ...KEYS], unusable: KEYS.slice(0, 1) } }),
  ],
]

/** The releases and texts of the notes of a plan. */
function notesOf(target: string, from: UpgradeSurroundings): string {
  return upgradePath(target, from)
    .notes.map(({ release, text }) => `${release} ${text}`)
    .join('\n')
}

describe('what is done by hand', () => {
  it.each([
    ['1.3.3', '1.4.7', true],
    ['2.4.3', '2.4.5', true],
    ['1.3.0', '4.7.4', true],
    ['2.2.0', '2.5.2', false],
    ['2.0.0', '4.3.23', false],
  ])('from %s to %s assets are compiled by hand: %s, as an image without them is deployed', (from, to, told) => {
    expect(notesOf(to, onImages(from)).includes('rails assets:precompile')).toBe(told)
    expect(notesOf(to, built(from))).not.toContain('rails assets:precompile')
  })

  it('Elasticsearch 7 is asked for where the search is on, and only when 3.1.3 is passed', () => {
    const on = { variables: set(...SECRETS, 'ES_ENABLED') }
    expect(notesOf('3.2.2', onImages('3.1.2', on))).toContain('3.1.3 The search needs Elasticsearch 7')
    expect(notesOf('3.2.2', onImages('3.1.3', on))).not.toContain('Elasticsearch')
    expect(notesOf('3.2.2', onImages('3.1.2', { variables: set(...SECRETS) }))).not.toContain('Elasticsearch')
  })

  it('the hosts that are answered from 3.4.0 on are told', () => {
    expect(notesOf('3.4.5', onImages('3.3.0'))).toContain('3.4.0 Requests for another host')
    expect(notesOf('3.5.13', onImages('3.4.5'))).not.toContain('another host')
  })

  it.each([
    ['4.2.9', '4.3.8', '4.3.0 Two-factor secrets that are set up under it'],
    ['4.4.22', '4.5.20', '4.5.0 New accounts are addressed by number'],
  ])('what going back from %s to %s would lose is told', (from, to, said) => {
    expect(notesOf(to, onImages(from))).toContain(said)
  })
})

describe('what is refused', () => {
  it.each(REFUSED)('%s: to %s', (code, target, from) => {
    expect(upgradePath(target, from).refusals.map(refusal => refusal.code)).toEqual([code])
  })

  it('is said in sentences that a reviewer has read', async () => {
    const texts = REFUSED.map(([, target, from]) => {
      const { refusals } = upgradePath(target, from)
      return [
        `$ ${from.installed} → ${target}`,
        ...refusals.flatMap(({ code, message, next }) => [code, message, `Next: ${next}`]),
      ].join('\n')
    })
    await expect(`${texts.join('\n\n')}\n`).toMatchFileSnapshot('plans/refused.txt')
  })

  it('what is no release is shown on one line, and not whole', () => {
    const [refusal] = upgradePath(`a\nb\u001b${'c'.repeat(500)}`, onImages('4.5.3')).refusals
    expect(refusal?.message).toBe(`"a\\nb\\u{1b}${'c'.repeat(56)}" is no release of Mastodon that is known here.`)
  })

  it('how many migrations there are tells nothing where the list of the release is not had', () => {
    const schema = { applied: ofRelease.applied.slice(200), files: null }
    expect(upgradePath('4.3.8', onImages('4.2.9', { schema, variables: READY })).refusals).toEqual([])
  })

  it('a build of its own whose schema is that of the release goes on', () => {
    expect(
      upgradePath(
        '4.3.8',
        onImages('4.2.9+custom.1', { schema: migrated('4.2.9'), variables: set(...SECRETS, ...KEYS) }),
      ).refusals,
    ).toEqual([])
  })
})
