import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Database } from '../../../../src/lib/postgres/access.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { goneMedia, goneMediaStep } from '../../../../src/lib/runbooks/replace/gone-media.js'
import { localPlace } from '../../../support/local-place.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

let server: TestPostgres
let database: Database
const root = mkdtempSync(join(tmpdir(), 'mstdn-ops-gone-'))

beforeAll(async () => {
  server = await startPostgres()
  database = await server.open(await server.createDatabase('mastodon'))
  await database.write('CREATE TABLE accounts (id bigint PRIMARY KEY, domain varchar)')
  await database.write(`CREATE TABLE media_attachments (id bigint PRIMARY KEY, account_id bigint,
    remote_url varchar NOT NULL DEFAULT '', file_file_name varchar)`)
  await database.write(`INSERT INTO accounts VALUES (1, NULL), (2, 'a.example'), (3, 'b.example')`)
})

afterAll(async () => {
  rmSync(root, { recursive: true, force: true })
  await database?.close()
  await server?.stop()
})

beforeEach(() => database.write('TRUNCATE media_attachments').then(() => undefined))

async function lookedAt(config: Record<string, string> = {}, path = root) {
  const notes: Record<string, string> = {}
  const toolbox = toolboxOf({ version: '4.5.3', database, config })
  const storage = { media: async () => ({ place: localPlace(), path }) }
  const context = {
    toolbox: { ...toolbox, backend: { ...toolbox.backend, storage } },
    ...{ runId: 'run-1', dryRun: false, noted: (key: string) => notes[key] },
    note: async (key: string, value: string) => void Object.assign(notes, { [key]: value }),
  } as unknown as StepContext
  await goneMediaStep().run(context)
  return goneMedia(context.noted)
}

function put(folder: string): void {
  mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, folder, 'converted.mp4'), '')
}

test('files that the database believes in are looked for where each release keeps them', async () => {
  await database.write(`INSERT INTO media_attachments VALUES
    (112345678901234567, 2, 'https://a.example/1', 'there.gif'), (112345678901234568, 2, 'https://a.example/2', 'x.png'),
    (1234, 3, 'https://b.example/3', 'early.png'), (1235, 3, 'https://b.example/4', 'gone.png'),
    (1236, 3, 'https://b.example/5', 'folder.png'), (1237, 3, 'https://b.example/6', NULL), (1238, 1, '', 'ours.png'),
    (12345678901234567, 3, 'https://b.example/7', 'cut.png'), (22345678901234567, 3, 'https://b.example/8', 'no.png'),
    (1234567890, 3, 'https://b.example/9', 'ten.png'), (2234567890, 3, 'https://b.example/10', 'early-ten.png')`)
  put('cache/media_attachments/files/123/456/789/012/345/original')
  put('media_attachments/files/001/234/567/890/original')
  put('media_attachments/files/223/456/789/original')
  put('cache/media_attachments/files/112/345/678/901/234/567/original')
  put('media_attachments/files/000/001/234/original')
  mkdirSync(join(root, 'cache/media_attachments/files/000/001/236/original'), { recursive: true })
  expect(await lookedAt()).toEqual({ looked: 9, whole: true, gone: 4, domains: ['b.example', 'a.example'] })
})

test('of many a sample is looked for, which is said', async () => {
  await database.write(`INSERT INTO media_attachments
    SELECT n, 2, 'https://a.example/' || n, 'x.png' FROM generate_series(1, 300000) n`)
  await database.write('ANALYZE media_attachments')
  expect(await lookedAt()).toMatchObject({ looked: 2_000, whole: false, gone: 2_000, domains: ['a.example'] })
})

test('none is none', async () => {
  expect(await lookedAt()).toEqual({ looked: 0, whole: true, gone: 0, domains: [] })
})

test('what is in a bucket, or a folder that cannot be entered, is no failure of a restore', async () => {
  await database.write(`INSERT INTO media_attachments VALUES (1, 2, 'https://a.example/1', 'x.png')`)
  expect(await lookedAt({ S3_ENABLED: 'true', S3_BUCKET: 'toots' })).toEqual({
    unknown: 'They are in the bucket toots, which is not looked into.',
  })
  expect(await lookedAt({}, join(root, 'nowhere'))).toMatchObject({ unknown: expect.stringContaining('nowhere') })
})
