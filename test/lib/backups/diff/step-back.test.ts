import { createReadStream } from 'node:fs'
import { stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stepBack, stepBackText } from '../../../../src/lib/backups/diff.js'
import { decryptWith, encryptTo } from '../../../../src/lib/backups/encryption.js'
import { recognise, type SqlDump } from '../../../../src/lib/backups/foreign/recognise.js'
import { fileSource } from '../../../../src/lib/backups/foreign/source.js'
import { sqlOf } from '../../../../src/lib/backups/foreign/sql.js'
import type { DumpSource } from '../../../../src/lib/backups/verify.js'
import { manifestOf } from '../../../support/backups.js'
import { before, expected, HOSTILE, NEWEST, since } from './changes.js'
import { type Live, type Lives, startLives } from './lives.js'

const MANIFEST = manifestOf('a-backup', { startedAt: '2029-12-31T00:00:00.000Z' })
const NEWEST_ROW = `${NEWEST.replace(' ', 'T')}Z`
const [OLDEST, LATEST] = ['1.5.1', '4.7.2']
/** To make a database of a release takes its time. */
const RELEASES = process.env.MSTDN_TEST_FULL ? [OLDEST, '2.4.5', '4.3.8', LATEST] : [OLDEST, LATEST]

let lives: Lives
beforeAll(async () => {
  lives = await startLives()
})
afterAll(() => lives.stop())

describe.each(RELEASES)('a backup of %s', release => {
  let live: Live
  let dump: DumpSource
  beforeAll(async () => {
    live = await lives.live(release)
    await live.sql(...before(release))
    dump = await live.dump()
  })

  it('differs in nothing from the database as it was', async () => {
    const diff = await stepBack(live.toolbox, dump, MANIFEST)
    expect(stepBackText(diff)).toBe('')
    expect(diff.posts.written.count + diff.boosts.made + diff.signUps.count).toBe(0)
  })

  it('tells what happened since, and nothing that stands in the rows', async () => {
    await live.sql(...since(release))
    const diff = await stepBack(live.toolbox, dump, MANIFEST)
    const age = { takenAt: MANIFEST.startedAt, newestRow: NEWEST_ROW, ageSeconds: 86_400 }
    expect(diff).toEqual({ ...age, ...expected(release) })
    const told = JSON.stringify(diff) + stepBackText(diff)
    for (const secret of [HOSTILE, 'example', '$2a$', 'person1']) expect(told).not.toContain(secret)
    expect(stepBackText(diff)).toContain('- 3 posts, written from 2029-12-31 01:00 UTC to 2029-12-31 03:00 UTC; 2 of')
  })
})

describe('a backup in another form', () => {
  const found = { takenAt: null, newestRow: NEWEST_ROW, ageSeconds: 90_000, ...expected(LATEST) }
  let live: Live
  let dump: DumpSource
  let encrypted: DumpSource
  let plain: string
  beforeAll(async () => {
    live = await lives.live(LATEST)
    await live.sql(...before(LATEST))
    const identity = await generateX25519Identity()
    const identityFile = join(lives.dir, 'identity')
    await writeFile(identityFile, identity)
    const sealed = await live.dump(await encryptTo(await identityToRecipient(identity)))
    encrypted = { ...sealed, unseal: await decryptWith(identityFile) }
    dump = await live.dump()
    plain = await live.plainDump()
    await live.sql(...since(LATEST))
  })

  it('is compared where it is encrypted', async () => {
    expect(await stepBack(live.toolbox, encrypted, null)).toEqual(found)
  })

  it('is compared where it is plain SQL that somebody else has made', async () => {
    const { runner } = live.toolbox
    const kind = (await recognise(fileSource(plain), runner)) as SqlDump
    const sql = () => sqlOf(fileSource(plain), kind, { database: undefined, runner })
    expect(await stepBack(live.toolbox, { sql }, null)).toEqual(found)
  })

  it('is refused where it was cut, in any form', async () => {
    for (const { path } of [dump, encrypted]) await truncate(path, (await stat(path)).size >> 1)
    await expect(stepBack(live.toolbox, dump, null)).rejects.toMatchObject({ code: 'program-failed' })
    await expect(stepBack(live.toolbox, encrypted, null)).rejects.toMatchObject({ code: 'encrypted-file-damaged' })
  })
})

describe('a dump that cannot be compared', () => {
  let live: Live
  beforeAll(async () => {
    live = await lives.live(LATEST)
  })

  const stream = (text: string) => ({ sql: async () => Readable.from([Buffer.from(text)]) })
  const ACCOUNTS = 'COPY public.accounts (id, domain) FROM stdin;\n1\t\\N\n\\.\n'

  it('is refused where it holds no accounts, or not before what is theirs', async () => {
    const without = await live.plainDump('--exclude-table=accounts')
    const sql = async () => createReadStream(without)
    const refusal = { code: 'dump-not-comparable', why: 'It holds no rows of accounts.' }
    await expect(stepBack(live.toolbox, { sql }, null)).rejects.toMatchObject(refusal)
    const late = `COPY public.blocks (account_id, target_account_id) FROM stdin;\n1\t2\n\\.\n${ACCOUNTS}`
    await expect(stepBack(live.toolbox, stream(late), null)).rejects.toMatchObject({ code: 'dump-not-comparable' })
  })

  it('is refused where it ends inside of a table', async () => {
    const cut = stream(ACCOUNTS.slice(0, -3))
    await expect(stepBack(live.toolbox, cut, null)).rejects.toMatchObject({ code: 'dump-not-whole' })
  })

  it('ends what reads it when its rows make no sense, however much is still to come', async () => {
    const users = `COPY public.users (id, email) FROM stdin;\n${'no number\tx\n'.repeat(500_000)}\\.\n`
    await expect(stepBack(live.toolbox, stream(ACCOUNTS + users), null)).rejects.toMatchObject({ code: 'sql-22P02' })
    const sql = "SELECT FROM pg_stat_activity WHERE application_name = 'mstdn-ops compare'"
    const database = await live.toolbox.database()
    await expect.poll(() => database.query(sql)).toEqual([])
  })
})

describe('a live database of another kind', () => {
  let dump: DumpSource
  beforeAll(async () => {
    const old = await lives.live(OLDEST)
    await old.sql(...before(OLDEST))
    dump = await old.dump()
  })

  it('that is empty is compared in nothing', async () => {
    const diff = await stepBack((await lives.live()).toolbox, dump, null)
    expect(diff.notCompared).toEqual(['accounts', 'users', 'statuses'])
    expect(stepBackText(diff)).toContain('Not compared:\n- accounts.\n- users.\n- statuses.')
  })

  it('of another release is compared in all but the roles', async () => {
    const { toolbox, sql } = await lives.live(LATEST)
    await sql('DELETE FROM webauthn_credentials', "UPDATE users SET encrypted_password = 'x' WHERE id = 2")
    const diff = await stepBack(toolbox, dump, null)
    expect(diff).toMatchObject({ roles: null, passwords: 1, notCompared: ['roles'] })
    // The demo data of both is the same, save for what was added before the dump.
    expect(diff.accounts).toEqual({ deleted: 5, suspended: 0, reinstated: 0 })
    expect(diff.twoFactor).toEqual({ turnedOn: 0, turnedOff: 0 })
  })
})
