import { afterAll, beforeAll, expect, test } from 'vitest'
import { replicasOf } from '../../../src/lib/postgres/replicas.js'
import { replicaText } from '../../../src/lib/runbooks/upgrade/replicas.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.stop())

test('without replicas there are none', async () => {
  const database = await server.open()
  expect(await replicasOf(database)).toEqual([])
  await database.close()
})

test('the report says how far each was behind, as far as that may be seen', () => {
  const [one, other] = [
    { name: 'one', bytes: 12_340_000, seconds: 1.25 },
    { name: 'other', bytes: null, seconds: null },
  ]
  const before = [{ ...one, bytes: 0, seconds: null }]
  expect(replicaText([{ step: 'migrate-post', before, after: [one, other] }])).toEqual([
    'The replica one was behind by 12.3 MB, 1.3 s after migrate-post (before: 0.0 MB).',
    'The replica other was behind by what this user may not see after migrate-post (before: not connected).',
  ])
  expect(replicaText([])).toEqual([])
})
