import { afterAll, beforeAll, expect, test } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { openDatabase } from '../../../src/lib/postgres/access.js'
import { selfSigned } from '../../support/certificate.js'
import { connectorTo, startPostgres, type TestPostgres } from '../../support/postgres.js'
import { relayTo } from '../../support/relay.js'

const options = { ledger: new Ledger(), dryRun: false }
let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres({ settings: ['ssl=on'], prepare: selfSigned })
})

afterAll(() => server?.stop())

const ENCRYPTED = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'

test('a self-signed certificate is taken where any is, and the connection is encrypted', async () => {
  const db = await openDatabase(server.connector({ tls: 'accept-any' }), options)
  expect(await db.query(ENCRYPTED)).toEqual([{ ssl: true }])
  await db.close()
})

test('it is refused where it must be verified', async () => {
  const opening = openDatabase(server.connector({ tls: 'verify' }), options)
  await expect(opening).rejects.toBeInstanceOf(RefusedError)
  await expect(opening).rejects.toMatchObject({ why: expect.stringMatching(/TLS failed: self-signed/) })
})

test('TLS goes over a stream that is no socket', async () => {
  const target = { ...(await server.connector({ tls: 'accept-any' }).target()), host: undefined }
  const db = await openDatabase(
    connectorTo(target, async () => relayTo(server.port)),
    options,
  )
  expect(await db.query(ENCRYPTED)).toEqual([{ ssl: true }])
  await db.close()
})
