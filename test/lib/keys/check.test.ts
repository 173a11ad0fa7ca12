import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { fingerprintsOf } from '../../../src/lib/backups/secrets.js'
import { BackupStore } from '../../../src/lib/backups/store.js'
import { checkKeys } from '../../../src/lib/keys/check.js'
import type { KeyFinding } from '../../../src/lib/keys/finding.js'
import { newVapidPair } from '../../../src/lib/mastodon/secrets.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { putBackup } from '../../support/backups.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'
import { LEGACY, OTP, PRIMARY, RAILS, SALT } from '../../support/sealed-values.js'
import { type Made, toolboxOf } from '../../support/toolbox-of.js'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let server: TestPostgres
let database: Database
let dir: string
beforeAll(async () => {
  server = await startPostgres()
  database = await server.open(await server.createDatabase('keys'))
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-keys-check-'))
  await database.write(`CREATE TABLE users (id serial, otp_required_for_login boolean, otp_secret text,
    encrypted_otp_secret text, encrypted_otp_secret_iv text, encrypted_otp_secret_salt text)`)
  await database.write('CREATE TABLE accounts (id int, domain text)')
  await database.write("INSERT INTO accounts VALUES (1, NULL), (2, 'other.example')")
  await database.write('CREATE TABLE keypairs (id serial, account_id int, private_key text)')
})
afterAll(async () => {
  await database?.close()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})
afterEach(async () => {
  await database.write('TRUNCATE users, keypairs')
})

const hex = (digit: string) => digit.repeat(128)
const pair = newVapidPair()
const GOOD = {
  SECRET_KEY_BASE: hex('a'),
  OTP_SECRET: OTP,
  VAPID_PRIVATE_KEY: pair.privateKey,
  VAPID_PUBLIC_KEY: pair.publicKey,
  ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY: 'DeterministicKeyOfTestsMstdnOps1',
  ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT: SALT,
  ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: PRIMARY,
}

async function check(version: string, config: Record<string, string>, made: Made = {}) {
  const toolbox = toolboxOf({ version, config, database, ...made })
  const settings = { ...toolbox.instance, backups: { dir } }
  return checkKeys({ ...toolbox, instance: settings })
}

const of = (findings: readonly KeyFinding[], look: KeyFinding['look']) => findings.filter(one => one.look === look)
const seal = (text: string, required = true) =>
  database.write('INSERT INTO users (otp_required_for_login, otp_secret) VALUES ($1, $2)', [required, text])

describe('the values', () => {
  it.each<[string, Record<string, string>, string, RegExp]>([
    ['a mandatory one that is missing', { SECRET_KEY_BASE: '' }, 'bad', /SECRET_KEY_BASE is not set/],
    ['an optional one that is missing', { VAPID_PRIVATE_KEY: '', VAPID_PUBLIC_KEY: '' }, 'warn', /VAPID_PUBLIC_KEY is/],
    ['a placeholder', { ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: 'x_DO_NOT_USE_IN_PRODUCTION' }, 'bad', /placeholder/],
    ['a sample', { SECRET_KEY_BASE: 'dummy-secret_key_base' }, 'bad', /sample value/],
    ['a short one', { SECRET_KEY_BASE: 'secret' }, 'bad', /only 6 characters/],
    ['another form', { SECRET_KEY_BASE: 'Z'.repeat(64) }, 'warn', /128 hexadecimal/],
    ['white space', { SECRET_KEY_BASE: `${hex('a')} ` }, 'bad', /white space/],
    ['no private key', { VAPID_PRIVATE_KEY: 'abc' }, 'bad', /no private VAPID key/],
    ['no public key', { VAPID_PUBLIC_KEY: pair.privateKey }, 'bad', /no public VAPID key/],
    ['a pair of two', { VAPID_PUBLIC_KEY: newVapidPair().publicKey }, 'bad', /do not belong together/],
  ])('tell %s', async (_title, changes, state, message) => {
    const { findings } = await check('4.5.3', { ...GOOD, ...changes })
    const wrong = findings.filter(one => one.state === state && ['value', 'pair'].includes(one.look))
    expect(wrong.map(one => one.message).join('\n')).toMatch(message)
    expect(wrong.every(one => state === 'warn' || one.fix)).toBe(true)
  })

  it('say nothing of what is right, and never the value itself', async () => {
    const check453 = await check('4.5.3', GOOD)
    expect(of(check453.findings, 'value').map(one => one.state)).toEqual(Array(6).fill('ok'))
    expect(of(check453.findings, 'pair')).toMatchObject([{ state: 'ok' }])
    const text = JSON.stringify(check453)
    for (const value of Object.values(GOOD)) expect(text).not.toContain(value)
  })

  it('tell what runs with another one', async () => {
    const { findings } = await check('4.5.3', { ...GOOD, SECRET_KEY_BASE: hex('b') }, { stored: GOOD })
    expect(of(findings, 'in-force')).toMatchObject([{ state: 'warn', secrets: ['SECRET_KEY_BASE'] }])
  })
})

describe('what is stored', () => {
  const opens = async (version: string, config: Record<string, string>) =>
    of((await check(version, config)).findings, 'opens').map(({ secrets, state }) => [secrets.at(-1), state])
  const KEY = 'ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY'
  const OTHER = { ...GOOD, [KEY]: 'x'.repeat(32), OTP_SECRET: hex('0') }

  it('tells nothing where there is nothing', async () => {
    expect((await opens('4.5.3', GOOD)).map(([, state]) => state)).toEqual(['unknown', 'unknown', 'unknown'])
  })

  it('opens with the right keys, and not with others', async () => {
    await seal(RAILS.sha256)
    await seal(RAILS.sha1)
    await database.write('INSERT INTO keypairs (account_id, private_key) VALUES (1, $1)', [RAILS.compressed])
    await database.write("INSERT INTO keypairs (account_id, private_key) VALUES (2, 'theirs')")
    const [, ...right] = await opens('4.7.2', GOOD)
    expect(right.map(([, state]) => state)).toEqual(['ok', 'ok'])
    const [, ...wrong] = await opens('4.7.2', OTHER)
    expect(wrong.map(([, state]) => state)).toEqual(['bad', 'bad'])
  })

  it('tells that a part was sealed with other keys, and passes over what nobody uses', async () => {
    await seal(RAILS.sha256)
    await seal(RAILS.sha256.replace('"p":"y', '"p":"z'), false)
    expect((await opens('4.5.3', GOOD))[1]).toEqual([KEY.replace('PRIMARY_KEY', 'KEY_DERIVATION_SALT'), 'ok'])
    await seal(RAILS.sha256.replace('"p":"y', '"p":"z'))
    expect((await opens('4.5.3', GOOD))[1]?.[1]).toBe('warn')
  })

  it('takes OTP_SECRET for what is not sealed anew yet', async () => {
    const legacy = `INSERT INTO users (otp_required_for_login, otp_secret, encrypted_otp_secret, encrypted_otp_secret_iv,
      encrypted_otp_secret_salt) VALUES (true, $1, $2, $3, $4)`
    await database.write(legacy, [null, LEGACY.secret, LEGACY.iv, LEGACY.salt])
    expect((await opens('4.2.9', GOOD))[0]).toEqual(['OTP_SECRET', 'ok'])
    expect((await opens('4.2.9', OTHER))[0]).toEqual(['OTP_SECRET', 'bad'])
    await database.write('UPDATE users SET otp_secret = $1', [RAILS.sha256])
    expect((await opens('4.3.8', OTHER))[0]).toEqual(['OTP_SECRET', 'unknown'])
  })
})

describe('the backups', () => {
  const salt = 'abc'
  const secrets = (config: Record<string, string>) => ({
    salt,
    fingerprints: fingerprintsOf(MastodonVersion.of('4.5.3'), new Map(Object.entries(config)), salt),
  })
  const backup = async (config: Record<string, string>) => of((await check('4.5.3', config)).findings, 'backup')[0]
  const put = (name: string, parts: object) => putBackup(new BackupStore(dir), name, parts)

  it('are told by what they were made with, and by whether they hold the secrets', async () => {
    expect(await backup(GOOD)).toMatchObject({ state: 'warn', message: expect.stringContaining('no backup') })
    await put('20260301-020000-0001', { secrets: secrets(GOOD) })
    expect(await backup(GOOD)).toMatchObject({ state: 'warn', message: expect.stringContaining('none holds') })
    const file = { name: 'secrets.env.age', part: 'secrets', bytes: 10, sha256: '00' }
    await put('20260302-020000-0002', {
      startedAt: '2026-03-02T02:00:00.000Z',
      secrets: secrets(GOOD),
      files: [{ ...file, encrypted: true, compression: 'none' }],
    })
    expect(await backup(GOOD)).toMatchObject({ state: 'ok', message: expect.stringContaining('20260302') })
    expect(await backup({ ...GOOD, SECRET_KEY_BASE: hex('b') })).toMatchObject({
      state: 'bad',
      message: expect.stringContaining('other values of SECRET_KEY_BASE'),
    })
  })
})
