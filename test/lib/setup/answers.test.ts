import { describe, expect, it } from 'vitest'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import {
  answersFile,
  answersOf,
  readAnswersFile,
  secretsAmong,
  trademarkWarning,
  withoutSecrets,
  wrongAnswersError,
} from '../../../src/lib/setup/answers.js'
import { QUESTIONS } from '../../../src/lib/setup/questions.js'

const least = { domain: 'example.social', owner: 'alice', 'owner-email': 'alice@example.org' }
const mail = { 'smtp-server': 'smtp.example.org', 'smtp-login': 'me', 'smtp-password': 'x' }
const bucket = { media: 's3', 's3-bucket': 'files', 's3-key-id': 'AKIA', 's3-secret': 'x' }

/** What is said besides the least, the question that is blamed, and a part of the reason. */
const BAD: readonly (readonly [said: Record<string, unknown>, id: string, reason: RegExp])[] = [
  [{ domain: '' }, 'domain', /missing.*never be changed/],
  [{ domain: 'https://example.social' }, 'domain', /without https/],
  [{ domain: 'example.social/about' }, 'domain', /no path/],
  [{ domain: 'alice@example.social' }, 'domain', /no name of a person/],
  [{ domain: 'example.social:3000' }, 'domain', /without a port/],
  [{ domain: 'Example.social' }, 'domain', /small letters/],
  [{ domain: 'bücher.example' }, 'domain', /xn--/],
  [{ domain: 'my_server.example' }, 'domain', /Only a-z/],
  [{ domain: 'x; touch /tmp/x' }, 'domain', /no path/],
  [{ domain: 'localhost' }, 'domain', /needs a dot/],
  [{ domain: '192.0.2.1' }, 'domain', /address of numbers/],
  [{ domain: '-a.example' }, 'domain', /starts and ends/],
  [{ domain: 'a..example' }, 'domain', /starts and ends/],
  [{ domain: 'example.social.' }, 'domain', /starts and ends/],
  [{ domain: `${'a'.repeat(64)}.example` }, 'domain', /starts and ends/],
  [{ domain: `${'a.'.repeat(127)}example` }, 'domain', /253/],
  [{ domain: ['a.example'] }, 'domain', /must be a text/],
  [{ 'web-domain': 'example.social' }, 'web-domain', /leave it empty/],
  [{ 'web-domain': 'https://web.example' }, 'web-domain', /without https/],
  [{ release: 'latest' }, 'release', /whole number/],
  [{ release: 4.5 }, 'release', /whole number/],
  [{ release: '4.1.17' }, 'release', /4\.2\.0 or newer/],
  [{ release: '9.0.0' }, 'release', /not known/],
  [{ owner: '@alice' }, 'owner', /without @/],
  [{ owner: 'alice b' }, 'owner', /Only letters/],
  [{ owner: 'a'.repeat(31) }, 'owner', /30/],
  [{ owner: 'Admin' }, 'owner', /keeps this name/],
  [{ 'owner-email': 'alice' }, 'owner-email', /NAME@DOMAIN/],
  [{ 'owner-email': 'a@b@example.org' }, 'owner-email', /NAME@DOMAIN/],
  [{ 'owner-email': 'a b@example.org' }, 'owner-email', /before the @/],
  [{ 'owner-email': 'alice@localhost' }, 'owner-email', /no domain/],
  [{ 'single-user': 'maybe' }, 'single-user', /yes or no/],
  [{ registrations: 'invite' }, 'registrations', /closed or approved or open/],
  [{ registrations: 'open' }, 'registrations', /Without a mail server/],
  [{ ...mail, 'single-user': 'yes', registrations: 'open' }, 'registrations', /one person/],
  [{ title: 'a'.repeat(101) }, 'title', /100/],
  [{ title: 'a\nb' }, 'title', /control character/],
  [{ description: 'ends in \\' }, 'description', /No env file/],
  [{ 'smtp-server': 'smtp://mail.example' }, 'smtp-server', /without smtp/],
  [{ 'smtp-server': 'mail.example:25' }, 'smtp-server', /port is asked/],
  [{ 'smtp-server': 'localhost' }, 'smtp-server', /container itself/],
  [{ 'smtp-port': '25' }, 'smtp-port', /no meaning/],
  [{ ...mail, 'smtp-port': '0' }, 'smtp-port', /1 to 65535/],
  [{ ...mail, 'smtp-password': '' }, 'smtp-password', /missing/],
  [{ ...mail, 'smtp-auth': 'digest' }, 'smtp-auth', /plain or login/],
  [{ ...mail, 'smtp-from': 'Mastodon' }, 'smtp-from', /NAME@DOMAIN/],
  [{ media: 'ftp' }, 'media', /local or s3/],
  [{ 'media-path': 'public' }, 'media-path', /starts with/],
  [{ 'media-path': '/srv/../etc' }, 'media-path', /no "\.\."/],
  [{ 'media-url': 'files.example' }, 'media-url', /https/],
  [{ 'media-url': 'https://u:p@files.example' }, 'media-url', /password/],
  [{ ...bucket, 's3-bucket': 'Files' }, 's3-bucket', /small letters/],
  [{ ...bucket, 's3-secret': '' }, 's3-secret', /missing/],
  [{ ...bucket, 's3-endpoint': 's3.example' }, 's3-endpoint', /https/],
  [{ volumes: 'bind' }, 'volumes', /named or folders/],
  [{ 'web-port': 'http' }, 'web-port', /1 to 65535/],
  [{ 'web-port': 70_000 }, 'web-port', /1 to 65535/],
  [{ 'streaming-port': 3000 }, 'streaming-port', /web process/],
  [{ listen: '0.0.0.0/0' }, 'listen', /One IPv4/],
  [{ 'trusted-proxy': '10.0.0.300' }, 'trusted-proxy', /Addresses like/],
  [{ images: 'ghcr.io/mastodon/' }, 'images', /without a \//],
  [{ images: 'ghcr.io/mastodon:v4' }, 'images', /without a tag/],
  [{ 'postgres-image': 'postgres 17' }, 'postgres-image', /registry\.example/],
  [{ colour: 'blue' }, 'colour', /no such question/],
]

describe('answersOf', () => {
  it('fills in what was not said: the newest release, closed without mail, and what follows from the domain', () => {
    const { answers, wrong } = answersOf(least)
    expect(wrong).toEqual([])
    expect(answers).toMatchObject({
      title: 'example.social',
      registrations: 'closed',
      'contact-email': 'alice@example.org',
      'smtp-port': '',
      volumes: 'named',
    })
    expect(MastodonVersion.parse(answers.release ?? '')?.series).toBe('4.7')
    expect(answersOf({ ...least, ...mail }).answers).toMatchObject({
      registrations: 'approved',
      'smtp-from': 'notifications@example.social',
      'smtp-port': '587',
    })
  })

  it.each(BAD)('refuses %j with the reason', (said, id, reason) => {
    const { wrong } = answersOf({ ...least, ...said })
    expect(wrong.map(each => each.id)).toEqual([id])
    expect(wrong[0]?.reason).toMatch(reason)
  })

  it('names everything that is missing or wrong at once', () => {
    const error = wrongAnswersError(answersOf({ release: 'edge', media: 's3', 'web-port': '0' }).wrong)
    expect(error.exitCode).toBe(2)
    const ids = error.why?.split('\n').map(line => line.split(':')[0])
    expect(ids).toEqual([
      'domain',
      'release',
      'owner',
      'owner-email',
      's3-bucket',
      's3-key-id',
      's3-secret',
      'web-port',
    ])
  })

  it('takes YAML as people write it: numbers, and yes and true', () => {
    const { answers, wrong } = answersOf({ ...least, 'web-port': 3001, 'single-user': true, elasticsearch: 'yes' })
    expect(wrong).toEqual([])
    expect(answers).toMatchObject({ 'web-port': '3001', 'single-user': 'yes', elasticsearch: 'yes' })
  })
})

describe('the answers file', () => {
  it('reads back as the same answers, and holds no secret', async () => {
    const said = { ...least, ...mail, ...bucket, 'smtp-password': 'p4ss w#rd', description: "it's: #1 'here'" }
    const { answers, wrong } = answersOf(said)
    expect(wrong).toEqual([])
    const text = await answersFile(answers)
    expect(text).not.toContain('p4ss')
    const read = await readAnswersFile('answers.yaml', text)
    expect(answersOf({ ...read, ...secretsAmong(answers) }).answers).toEqual(answers)
    expect(withoutSecrets(answers)).not.toHaveProperty('smtp-password')
    expect(secretsAmong(answers)).toEqual({ 'smtp-password': 'p4ss w#rd', 's3-secret': 'x' })
  })

  it.each(['- a', 'text', 'a: [', '"unclosed'])('%j is no answers file', async content => {
    await expect(readAnswersFile('answers.yaml', content)).rejects.toMatchObject({ exitCode: 2 })
  })
})

describe('the questions', () => {
  it('say in one line each what is asked and why', () => {
    for (const { id, ask, why } of QUESTIONS) {
      expect(id).toMatch(/^[a-z0-9-]+$/)
      expect(`${ask}${why}`).not.toContain('\n')
      expect(why.length, id).toBeGreaterThan(10)
    }
    expect(new Set(QUESTIONS.map(({ id }) => id)).size).toBe(QUESTIONS.length)
  })

  it('have answers of their own that are right', () => {
    const { answers } = answersOf({ ...least, ...mail, elasticsearch: 'yes' })
    expect(answersOf(Object.fromEntries(Object.entries(answers).filter(([, value]) => value !== ''))).wrong).toEqual([])
  })
})

it.each([
  ['mastodon.example', true],
  ['my.mstdn.social', true],
  ['mastodon.example.org', false],
  ['example.social', false],
])('a word of the trademark in %s is warned of: %s', (domain, isWarned) => {
  expect(trademarkWarning({ domain }) !== undefined).toBe(isWarned)
})
