import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { composeText, ENV_FILE, SERVERS } from '../../../../../src/lib/backends/compose/new-project/compose-file.js'
import { envText } from '../../../../../src/lib/backends/compose/new-project/env-text.js'
import { rolesOf } from '../../../../../src/lib/backends/compose/roles.js'
import { sidekiqMajorsIn } from '../../../../../src/lib/mastodon/health.js'
import { variablesFor } from '../../../../../src/lib/mastodon/new-instance/environment.js'
import { newSecrets } from '../../../../../src/lib/mastodon/new-secrets.js'
import { sidekiqMajors } from '../../../../../src/lib/mastodon/queues.js'
import { isVapidPair, mandatorySecrets, secretsOf } from '../../../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../../../src/lib/mastodon/version.js'
import { answersOf } from '../../../../../src/lib/setup/answers.js'
import type { Answers } from '../../../../../src/lib/setup/questions.js'
import { cleanEnvironment } from '../../../../support/cli.js'

const RELEASES = ['4.2.9', '4.3.8', '4.5.3', '4.7.2']
/** What a careless writer of env files breaks. */
const AWKWARD = 'pa$s w#rd "x" \\d'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function answers(more: Record<string, unknown> = {}): Answers {
  const least = { domain: 'example.social', owner: 'alice', 'owner-email': 'alice@example.org' }
  const { answers, wrong } = answersOf({ ...least, ...more })
  expect(wrong).toEqual([])
  return answers
}

function environment(given: Answers): string {
  const secrets = Object.entries(newSecrets(secretsOf(MastodonVersion.of(given.release ?? '')), new Map()))
  return envText([...variablesFor(given, SERVERS), { title: 'Secrets', variables: secrets }])
}

interface Project {
  services: Record<string, ComposeService>
  volumes?: Record<string, unknown>
}
interface ComposeService {
  image: string
  command?: string[] | string
  environment?: Record<string, string>
  ports?: { host_ip: string; published: string; target: number }[]
  networks: Record<string, unknown>
  volumes?: { source: string; target: string; type: string }[]
  healthcheck: { test: string[] }
}

/** What compose itself makes of the two files. */
async function asComposeReadsIt(given: Answers): Promise<Project> {
  const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-setup-'))
  folders.push(folder)
  writeFileSync(join(folder, 'compose.yaml'), await composeText(given))
  writeFileSync(join(folder, ENV_FILE), environment(given))
  const words = ['compose', '--project-directory', folder, 'config', '--format', 'json']
  // It doubles each dollar, so that its output can be read as a file again.
  const text = execFileSync('docker', words, { cwd: folder, env: cleanEnvironment(), encoding: 'utf8' })
  return JSON.parse(text.replaceAll('$$', '$'))
}

describe.each(RELEASES)('the compose file of Mastodon %s', release => {
  const version = MastodonVersion.of(release)

  it('is read by compose as the release wants it', async () => {
    const given = answers({ release, 'smtp-server': 'smtp.example.org', 'smtp-login': 'me', 'smtp-password': AWKWARD })
    const { services, volumes } = await asComposeReadsIt(given)
    expect(Object.keys(services).toSorted()).toEqual(['db', 'redis', 'sidekiq', 'streaming', 'web'])
    expect(services.web?.image).toBe(`ghcr.io/mastodon/mastodon:v${release}`)
    const streaming = release.startsWith('4.2') ? 'mastodon' : 'mastodon-streaming'
    expect(services.streaming?.image).toBe(`ghcr.io/mastodon/${streaming}:v${release}`)
    for (const name of ['web', 'sidekiq', 'streaming'])
      expect(services[name]?.environment).toMatchObject({ LOCAL_DOMAIN: 'example.social', SMTP_PASSWORD: AWKWARD })
    for (const name of mandatorySecrets(version)) expect(services.web?.environment?.[name]).toMatch(/^\w{32,}$/)
    expect(services.db?.environment).not.toHaveProperty('SECRET_KEY_BASE')
    expect(Object.keys(volumes ?? {}).toSorted()).toEqual(['media', 'postgres', 'redis'])
  })

  it('opens two ports on this machine alone, and keeps the servers on the internal network', async () => {
    const { services } = await asComposeReadsIt(answers({ release, 'web-port': 3001, elasticsearch: 'yes' }))
    const open = Object.entries(services).flatMap(([name, { ports = [] }]) =>
      ports.map(({ host_ip, published, target }) => `${name} ${host_ip}:${published}:${target}`),
    )
    expect(open.toSorted()).toEqual(['streaming 127.0.0.1:4000:4000', 'web 127.0.0.1:3001:3000'])
    for (const name of ['db', 'redis', 'es'])
      expect(Object.keys(services[name]?.networks ?? {})).toEqual(['internal_network'])
  })

  it('tests the health of a Sidekiq that the release has, and each process is seen for what it is', async () => {
    const text = parse(await composeText(answers({ release }))) as { services: Record<string, ComposeService> }
    const test = text.services.sidekiq?.healthcheck.test.at(-1) ?? ''
    expect(sidekiqMajorsIn(test)).toEqual(sidekiqMajors(version))
    const shapes = Object.entries(text.services).map(([name, { image, command }]) => ({
      name,
      image,
      command: String(command ?? '').split(' '),
    }))
    expect(rolesOf(shapes)).toEqual({ web: ['web'], sidekiq: ['sidekiq'], streaming: ['streaming'] })
  })
})

describe('where the data lies', () => {
  const places = (services: Record<string, ComposeService>) =>
    Object.fromEntries(
      Object.entries(services).map(([name, { volumes = [] }]) => [
        name,
        volumes.map(one => `${one.type} ${one.target}`),
      ]),
    )

  it('in folders beside the file, uploaded files where PAPERCLIP_ROOT_PATH says', async () => {
    const given = answers({ volumes: 'folders', 'media-path': '/srv/media', 'media-url': 'https://files.example/x' })
    const { services } = await asComposeReadsIt(given)
    expect(places(services)).toMatchObject({
      db: ['bind /var/lib/postgresql/data'],
      web: ['bind /srv/media'],
      sidekiq: ['bind /srv/media'],
      streaming: [],
    })
    expect(services.web?.environment).toMatchObject({ PAPERCLIP_ROOT_PATH: '/srv/media' })
  })

  it('in a bucket: then no volume is made for uploaded files', async () => {
    const bucket = { media: 's3', 's3-bucket': 'files', 's3-key-id': 'AKIA', 's3-secret': AWKWARD }
    const { services, volumes } = await asComposeReadsIt(
      answers({ ...bucket, 's3-endpoint': 'http://s3.example:9000' }),
    )
    expect(places(services)).toMatchObject({ web: [], sidekiq: [] })
    expect(Object.keys(volumes ?? {})).not.toContain('media')
    expect(services.web?.environment).toMatchObject({
      S3_ENABLED: 'true',
      S3_PROTOCOL: 'http',
      S3_HOSTNAME: 's3.example:9000',
      AWS_SECRET_ACCESS_KEY: AWKWARD,
    })
  })
})

it.each(RELEASES)('all secrets of %s are made, each time others, unquoted', release => {
  const version = MastodonVersion.of(release)
  const [one, other] = [newSecrets(secretsOf(version), new Map()), newSecrets(secretsOf(version), new Map())]
  expect(Object.keys(one).toSorted()).toEqual(
    secretsOf(version)
      .map(({ name }) => name)
      .toSorted(),
  )
  for (const [name, value] of Object.entries(one)) {
    expect(other[name]).not.toBe(value)
    expect(environment(answers({ release }))).toMatch(new RegExp(`^${name}=[\\w=-]+$`, 'm'))
  }
  expect(isVapidPair({ privateKey: one.VAPID_PRIVATE_KEY ?? '', publicKey: one.VAPID_PUBLIC_KEY ?? '' })).toBe(true)
})

it('without mail, search and a bucket no variable speaks of them', () => {
  expect(environment(answers())).not.toMatch(/^(SMTP|ES|S3|AWS|PAPERCLIP)_/m)
})
