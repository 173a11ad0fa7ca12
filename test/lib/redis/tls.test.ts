import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Ledger } from '../../../src/lib/ledger.js'
import { openRedis } from '../../../src/lib/redis/access.js'
import { selfSigned } from '../../support/certificate.js'
import { freePort } from '../../support/postgres.js'
import { redisConnectorTo, startRedis, type TestRedis } from '../../support/redis.js'
import { relayTo } from '../../support/relay.js'

const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-cert-'))
let server: TestRedis
let port: number

beforeAll(async () => {
  const { cert, key } = selfSigned(dir)
  port = await freePort()
  const tls = [`tls-port ${port}`, `tls-cert-file ${cert}`, `tls-key-file ${key}`, 'tls-auth-clients no']
  server = await startRedis({ settings: tls })
})

afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

test('a self-signed certificate is taken where any is', async () => {
  const redis = await server.open({ port, tls: 'accept-any' })
  expect(await redis.read('PING')).toBe('PONG')
  await redis.close()
})

test('it is refused where it must be verified', async () => {
  const opening = server.open({ port, tls: 'verify' })
  await expect(opening).rejects.toMatchObject({ why: expect.stringMatching(/TLS failed: self-signed/) })
})

test('TLS goes over a stream that is no socket', async () => {
  const connector = redisConnectorTo({ database: 0, prefix: '', tls: 'accept-any' }, async () => relayTo(port))
  const redis = await openRedis(connector, { ledger: new Ledger(), dryRun: false })
  expect(await redis.read('PING')).toBe('PONG')
  await redis.close()
})
