import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sign } from 'aws4'
import { afterEach, expect, test } from 'vitest'
import { bucketVersions } from '../../../src/lib/backups/bucket-versions.js'

const KEYS = { accessKeyId: 'the id', secretAccessKey: 'the secret' }

let server: Server | undefined
afterEach(() => server?.close())

/** A store that says this to who signs as it must, and 403 to everybody else. */
async function store(says: string, status = 200): Promise<string> {
  server = createServer((request, response) => {
    const known = request.headers.authorization === expected(request)
    response.writeHead(known ? status : 403).end(known ? says : '')
  })
  await new Promise<void>(resolve => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function expected({ url = '', headers }: IncomingMessage): string {
  const sent = {
    'X-Amz-Date': String(headers['x-amz-date']),
    'X-Amz-Content-Sha256': String(headers['x-amz-content-sha256']),
  }
  const request = { service: 's3', region: 'eu-central-1', host: headers.host ?? '', path: url, headers: sent }
  return String(sign(request, KEYS).headers?.Authorization)
}

const config = (endpoint: string, changes: Record<string, string> = {}) =>
  new Map(
    Object.entries({
      ...{ S3_ENABLED: 'true', S3_ENDPOINT: endpoint, S3_REGION: 'eu-central-1' },
      ...{ AWS_ACCESS_KEY_ID: KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey },
      ...changes,
    }),
  )

const ANSWER = (status: string) =>
  `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${status}</VersioningConfiguration>`

test.each([
  ['<Status>Enabled</Status>', true],
  ['<Status>Suspended</Status>', false],
  ['', false],
])('a store that answers %j', async (status, versions) => {
  expect(await bucketVersions(config(await store(ANSWER(status))), 'media')).toEqual({ versions })
})

test('another secret is not accepted, which is told without it', async () => {
  const asked = config(await store(ANSWER('<Status>Enabled</Status>')), { AWS_SECRET_ACCESS_KEY: 'another one' })
  expect(await bucketVersions(asked, 'media')).toEqual({ versions: null, why: 'the store did not say: status 403' })
})

test.each<[string, Record<string, string>]>([
  ['the store did not say: fetch failed', { S3_ENDPOINT: 'http://127.0.0.1:1' }],
  ['no credentials for it are configured', { AWS_ACCESS_KEY_ID: '' }],
  ['only stores of the kind of S3 are asked', { S3_ENABLED: 'false' }],
])('where it cannot be known it is said why: %s', async (why, changes) => {
  expect(await bucketVersions(config('http://127.0.0.1:1', changes), 'media')).toEqual({ versions: null, why })
})
