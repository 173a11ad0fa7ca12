import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { globalAgent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { HerokuApp } from '../../../src/lib/backends/heroku/app.js'
import { HerokuCaptures } from '../../../src/lib/backends/heroku/captures.js'
import { DataApi } from '../../../src/lib/backends/heroku/data-api.js'
import { HerokuDatabases } from '../../../src/lib/backends/heroku/databases.js'
import { PlatformApi } from '../../../src/lib/backends/heroku/platform-api.js'
import { postgresOf } from '../../../src/lib/backends/heroku/servers.js'
import type { Transfer } from '../../../src/lib/backends/managed-database.js'
import { OperatorError } from '../../../src/lib/errors.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { Output } from '../../../src/lib/output.js'
import { Runner } from '../../../src/lib/runner.js'
import { finish } from '../compose/bed/process.js'
import { type HerokuApp as Bed, demoCounts, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 120_000 })

const POSTS = demoCounts.localStatuses + demoCounts.remoteStatuses
/** Short enough for a test that waits in vain. */
const PACE = { pauseMs: 50, patienceMs: 30_000, failures: 3, resetMs: 600 }

let bed: Bed
let folder: string
beforeAll(async () => {
  bed = await startHerokuApp({ version: '4.5.3', client: 'real' })
  folder = await mkdtemp(join(tmpdir(), 'mstdn-ops-captures-'))
  globalAgent.options.ca = readFileSync(bed.certificate)
}, 900_000)
afterEach(() => bed?.clearFaults())
afterAll(async () => {
  await bed?.stop()
  if (folder) await rm(folder, { recursive: true })
})

function facets({ dryRun = false, patienceMs = PACE.patienceMs } = {}) {
  const [ledger, output] = [new Ledger(), new Output({ logLevel: 'error' })]
  const [apiParts, login] = [
    { ledger, output, dryRun },
    { baseUrl: bed.env.HEROKU_HOST ?? '', token: bed.token },
  ]
  const runner = new Runner({ ledger, output, dryRun })
  const app = new HerokuApp(bed.app, new PlatformApi(login, apiParts), { ledger, output, runner })
  const data = () => new DataApi(login, apiParts, bed.env)
  const connect = (url: string | undefined, variable: string) =>
    postgresOf(app, url, { acceptSelfSigned: true }, variable)
  const patience = { pauseMs: 50, limitMs: 20_000 }
  return {
    ledger,
    captures: new HerokuCaptures(app, data, { ...PACE, patienceMs }),
    databases: new HerokuDatabases(app, { data, connect, patience }),
  }
}

const posts = async (url?: string) => Number(await bed.psql('SELECT count(*) FROM statuses', url))
const tables = `SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`
const isEmpty = async () => (await bed.psql(tables)) === '0'
/** How often this was asked for since the request of that number. */
const asked = (from: number, method: string, path: RegExp) =>
  bed.requests.slice(from).filter(request => request.method === method && path.test(request.path)).length

async function failure(work: Promise<unknown>): Promise<OperatorError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof OperatorError) return error
  throw new Error('it did not fail, or not as an operator is told', { cause: error })
}

class Collected extends Writable {
  readonly chunks: Buffer[] = []

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.chunks.push(chunk)
    done()
  }
}

/** Decodes the whole dump. */
async function decodes(bytes: Buffer): Promise<boolean> {
  const file = join(folder, 'decoded.dump')
  await writeFile(file, bytes)
  return (await finish('pg_restore', ['-f', '/dev/null', file])).code === 0
}

describe('a backup and back', () => {
  let made: Transfer

  test('a capture is waited for, named, and listed', async () => {
    const { captures, ledger } = facets()
    await captures.usable()
    const [started, seen]: [Transfer[], Transfer[]] = [[], []]
    const onStarted = (transfer: Transfer) => void started.push(transfer)
    made = await captures.capture({ onStarted, onProgress: transfer => void seen.push(transfer) })
    expect(made).toMatchObject({ id: 'b001', kind: 'backup', state: 'succeeded', warnings: 0, scheduled: false })
    expect(started.map(({ uuid }) => uuid)).toEqual([made.uuid])
    expect(seen.at(-1)).toEqual(made)
    expect(await captures.list()).toEqual([made])
    expect(ledger.byHand()).toEqual([`heroku pg:backups:capture --app ${bed.app}`])
  })

  test('its dump comes whole, by https, and can be decoded', async () => {
    const to = new Collected()
    const bytes = await facets().captures.download(made.id, to)
    const dump = Buffer.concat(to.chunks)
    expect(bytes).toBe(dump.length)
    expect(bytes).toBe(made.bytes)
    expect(await decodes(dump)).toBe(true)
    expect(await decodes(dump.subarray(0, -100))).toBe(false)
  })

  test('a reset empties the database, a restore brings every row back', async () => {
    const { captures } = facets()
    await captures.reset(isEmpty)
    expect(await isEmpty()).toBe(true)
    expect(await captures.restore(made.id)).toMatchObject({ kind: 'restore', state: 'succeeded' })
    expect(await posts()).toBe(POSTS)
  })

  test('what was begun since the mark is taken up, not begun again', async () => {
    const { captures } = facets()
    const mark = await captures.mark()
    const first = await captures.capture({ mark })
    const from = bed.requests.length
    expect(await facets().captures.capture({ mark })).toEqual(first)
    expect(await facets().captures.follow(first.uuid)).toEqual(first)
    expect(asked(from, 'POST', /backups$/)).toBe(0)
    await captures.deleteOne(first.id)
    await captures.deleteOne(first.id)
    expect(asked(from, 'DELETE', /transfers/)).toBe(1)
    expect((await captures.list()).map(({ id }) => id)).toEqual([made.id])
  })

  test('a dry run begins nothing and says what it would', async () => {
    const { captures, databases, ledger } = facets({ dryRun: true })
    const from = bed.requests.length
    expect(await captures.capture()).toMatchObject({ state: 'planned' })
    expect(await captures.restore(made.id)).toMatchObject({ state: 'planned' })
    await captures.reset(isEmpty)
    expect(await databases.create('essential-0')).toMatchObject({ state: 'planned' })
    expect(bed.requests.slice(from).filter(({ method }) => method !== 'GET')).toEqual([])
    expect(ledger.byHand()).toEqual([
      `heroku pg:backups:capture --app ${bed.app}`,
      `heroku pg:backups:restore --app ${bed.app} ${made.id} DATABASE_URL --confirm ${bed.app}`,
      `heroku pg:reset --app ${bed.app} DATABASE_URL --confirm ${bed.app}`,
      `heroku addons:create --app ${bed.app} heroku-postgresql:essential-0`,
    ])
  })
})

describe('what goes wrong with a transfer', () => {
  test('a backup that fails half way is a failure, with the last lines of its log', async () => {
    bed.inject({ kind: 'transfer-fails' })
    const error = await failure(facets().captures.capture())
    expect(error).toMatchObject({ code: 'capture-failed', exitCode: 3, why: expect.stringContaining('server closed') })
    const [failed] = await facets().captures.list()
    expect(failed?.state).toBe('failed')
    const refused = { code: 'capture-not-whole', exitCode: 3 }
    expect(await failure(facets().captures.restore(failed?.id ?? ''))).toMatchObject(refused)
    expect(await failure(facets().captures.download(failed?.id ?? '', new Collected()))).toMatchObject(refused)
  })

  test('a failed one is not taken up: another is begun', async () => {
    const { captures } = facets()
    const mark = await captures.mark()
    bed.inject({ kind: 'transfer-fails' })
    await failure(captures.capture({ mark }))
    expect(await captures.capture({ mark })).toMatchObject({ state: 'succeeded' })
  })

  test('a restore that fails half way leaves half of it, and putting it back again mends that', async () => {
    const { captures } = facets()
    bed.inject({ kind: 'transfer-fails' })
    expect(await failure(captures.restore('b001'))).toMatchObject({ code: 'restore-failed', exitCode: 5 })
    expect(await posts()).toBe(0)
    await captures.restore('b001')
    expect(await posts()).toBe(POSTS)
  })

  test('one that never ends is given up without a verdict; nothing is restored beside it; it can be ended', async () => {
    const { captures } = facets({ patienceMs: 500 })
    bed.inject({ kind: 'transfer-hangs' })
    const begun: Transfer[] = []
    const onStarted = (transfer: Transfer) => void begun.push(transfer)
    const error = await failure(captures.restore('b001', { onStarted }))
    expect(error).toMatchObject({ code: 'transfer-stands-still', exitCode: 8 })
    const { uuid = '' } = begun[0] ?? {}
    const beside = { code: 'restore-under-way', exitCode: 3 }
    expect(await failure(captures.restore('b001'))).toMatchObject(beside)
    expect(await failure(captures.reset(isEmpty))).toMatchObject(beside)
    await captures.cancel(uuid)
    await captures.cancel(uuid)
    expect(await failure(captures.follow(uuid))).toMatchObject({ code: 'restore-failed', exitCode: 5 })
    expect(await posts()).toBe(POSTS)
  })

  test('looks that fail are made again, up to a point', async () => {
    const path = /transfers\/[0-9a-f-]{36}$/
    bed.inject({ kind: 'server-error', method: 'GET', path })
    bed.inject({ kind: 'html', method: 'GET', path })
    expect(await facets().captures.capture()).toMatchObject({ state: 'succeeded' })
    bed.inject({ kind: 'forbidden', method: 'GET', path, times: 4 })
    expect(await failure(facets().captures.capture())).toMatchObject({ code: 'transfer-not-seen', exitCode: 8 })
  })

  test('an answer that is lost, or cut, costs no second backup', async () => {
    const { captures } = facets()
    for (const kind of ['reset-after', 'truncated'] as const) {
      const [from, before] = [bed.requests.length, (await captures.list()).length]
      bed.inject({ kind, method: 'POST', path: /\/backups$/ })
      expect(await captures.capture()).toMatchObject({ state: 'succeeded' })
      expect(asked(from, 'POST', /\/backups$/)).toBe(1)
      expect((await captures.list()).length).toBe(before + 1)
    }
    bed.inject({ kind: 'reset-before', method: 'POST', path: /\/backups$/ })
    expect(await failure(captures.capture())).toMatchObject({ code: 'heroku-no-effect', exitCode: 3 })
  })
})

describe('what goes wrong with a download', () => {
  test.each([
    ['download-403', 'download-refused', /HTTP 403, text\/html/],
    ['download-page', 'download-no-dump', /calls itself text\/html/],
    ['download-cut', 'download-cut', /./],
    ['download-moved-http', 'download-refused', /https/],
  ] as const)('%s is refused and nothing of it is taken for a dump', async (kind, code, why) => {
    bed.inject({ kind })
    const to = new Collected()
    const error = await failure(facets().captures.download('b001', to))
    expect(error).toMatchObject({ code, exitCode: 3, why: expect.stringMatching(why) })
    expect(JSON.stringify(error)).not.toContain('X-Amz-Signature')
    expect(to.destroyed).toBe(true)
    expect(to.writableFinished).toBe(false)
    if (kind !== 'download-cut') expect(to.chunks).toEqual([])
  })

  test('it goes where the store says, encrypted; the address is asked for again where it was lost', async () => {
    bed.inject({ kind: 'download-moved' })
    bed.inject({ kind: 'server-error', method: 'POST', path: /public-url$/ })
    const to = new Collected()
    await facets().captures.download('b001', to)
    expect(await decodes(Buffer.concat(to.chunks))).toBe(true)
  })

  test('a dump that ends early in good order is what only a decode tells', async () => {
    bed.inject({ kind: 'download-short' })
    const to = new Collected()
    await facets().captures.download('b001', to)
    expect(await decodes(Buffer.concat(to.chunks))).toBe(false)
  })

  test('what the stream itself fails with is passed on', async () => {
    const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('ENOSPC: no space left')) })
    await expect(facets().captures.download('b001', full)).rejects.toThrow('ENOSPC')
  })

  test('a backup that is not there is refused by name', async () => {
    expect(await failure(facets().captures.download('b999', new Collected()))).toMatchObject({
      code: 'no-such-capture',
    })
  })
})

describe('what goes wrong with a reset', () => {
  test('a reset that is said to be done and is not', async () => {
    bed.inject({ kind: 'reset-idle' })
    expect(await failure(facets().captures.reset(isEmpty))).toMatchObject({ code: 'reset-without-effect', exitCode: 3 })
    expect(await posts()).toBe(POSTS)
  })

  test('an answer that was lost: looking tells that it is done, and nothing is concluded where it is not', async () => {
    const { captures } = facets()
    const path = /reset$/
    bed.inject({ kind: 'reset-before', method: 'PUT', path })
    expect(await failure(captures.reset(isEmpty))).toMatchObject({ code: 'heroku-answer-lost', exitCode: 8 })
    expect(await posts()).toBe(POSTS)
    bed.inject({ kind: 'reset-after', method: 'PUT', path })
    await captures.reset(isEmpty)
    await captures.restore('b001')
    expect(await posts()).toBe(POSTS)
  })

  test('a database that cannot be looked into: nothing is known', async () => {
    const { captures } = facets()
    const blind = async () => Promise.reject(new Error('no connection'))
    expect(await failure(captures.reset(blind))).toMatchObject({ code: 'reset-not-seen', exitCode: 8 })
    await captures.restore('b001')
  })
})

describe('a second database', () => {
  let former: string
  let added: string

  test('the plans have prices, and the present one is known', async () => {
    const { databases } = facets()
    const plans = await databases.plans()
    expect(plans[0]).toEqual({ plan: 'heroku-postgresql:essential-0', price: { cents: 500, unit: 'month' } })
    const [current, ...others] = await databases.list()
    expect(current).toMatchObject({ plan: plans[0]?.plan, price: plans[0]?.price, isCurrent: true })
    expect(others).toEqual([])
    former = current?.name ?? ''
  })

  test('it is ordered, waited for, and not ordered twice', async () => {
    const { databases } = facets()
    const from = bed.requests.length
    bed.inject({ kind: 'reset-after', method: 'POST', path: /addons$/ })
    const made = await databases.create('essential-1', [former])
    expect(made).toMatchObject({ plan: 'heroku-postgresql:essential-1', state: 'provisioned', isCurrent: false })
    expect(made.attachments).toEqual([expect.stringMatching(/^HEROKU_POSTGRESQL_[A-Z]+$/)])
    expect(await databases.create('essential-1', [former])).toEqual(made)
    expect(asked(from, 'POST', /addons$/)).toBe(1)
    added = made.name
    const connector = await databases.connector(added)
    const target = await connector.target()
    expect(connector.byHand('', 'SELECT 1')).toContain(`${made.attachments[0]}_URL`)
    expect(target.database).not.toBe(new URL(bed.databaseUrl).pathname.slice(1))
    expect(bed.config()[`${made.attachments[0]}_URL`]).toContain(target.database)
  })

  test('a plan that does not exist, and a database that cannot be made, are refused', async () => {
    const { databases } = facets()
    expect(await failure(databases.create('; rm -rf'))).toMatchObject({ code: 'bad-plan', exitCode: 2 })
    expect(await failure(databases.create('gold-9'))).toMatchObject({ exitCode: 3 })
    bed.inject({ kind: 'provision-fails' })
    expect(await failure(databases.create('essential-2'))).toMatchObject({ code: 'database-not-made', exitCode: 3 })
  })

  test('a backup goes into it, beside the one that serves', async () => {
    const { captures, databases } = facets()
    await captures.restore('b001', { into: added })
    const [name] = (await databases.list()).find(one => one.name === added)?.attachments ?? []
    expect(await posts(bed.config()[`${name}_URL`])).toBe(POSTS)
    expect(await failure(captures.restore('b001', { into: 'nothing' }))).toMatchObject({ code: 'no-database-addon' })
  })

  test('promoting it moves DATABASE_URL, a pool goes along, and the former keeps a name', async () => {
    const { databases, ledger } = facets()
    const pool = { addon: { name: former }, app: { name: bed.app }, name: 'DATABASE_CONNECTION_POOL' }
    await platform('POST', '/addon-attachments', { ...pool, namespace: 'connection-pooling:default' })
    bed.inject({ kind: 'reset-after', method: 'POST', path: /addon-attachments$/ })
    await databases.promote(added)
    const [one, other] = await databases.list()
    expect(one).toMatchObject({ name: former, isCurrent: false, attachments: [expect.stringMatching(/^HEROKU_/)] })
    expect(other).toMatchObject({ name: added, isCurrent: true })
    expect(bed.config().DATABASE_CONNECTION_POOL_URL).toBe(bed.config().DATABASE_URL)
    expect(ledger.byHand()).toEqual([`heroku pg:promote --app ${bed.app} ${added}`])
  })

  test('twice is once; a failed release phase is told; what serves is not destroyed', async () => {
    const { databases } = facets()
    const from = bed.requests.length
    await databases.promote(added)
    expect(asked(from, 'POST', /addon-attachments$/)).toBe(0)
    expect(await failure(databases.destroy(added))).toMatchObject({ code: 'database-in-use', exitCode: 3 })
    bed.inject({ kind: 'release-fails' })
    expect(await failure(databases.promote(former))).toMatchObject({ code: 'promote-release-failed', exitCode: 5 })
    expect(bed.config().DATABASE_URL).toBe(bed.databaseUrl)
  })

  test('destroying is waited for, and does nothing where it is gone', async () => {
    const { databases } = facets()
    const from = bed.requests.length
    await databases.destroy(added)
    await databases.destroy(added)
    expect(asked(from, 'DELETE', /addons/)).toBe(1)
    expect((await databases.list()).map(({ name }) => name)).not.toContain(added)
  })
})

async function platform(method: string, path: string, body: object): Promise<void> {
  const headers = { authorization: `Bearer ${bed.token}`, 'content-type': 'application/json' }
  const answer = await fetch(`${bed.env.HEROKU_HOST}${path}`, { method, headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(await answer.text())
}

test('Heroku’s own client does the same against the same platform', async () => {
  const heroku = (words: readonly string[]) => finish('heroku', [...words, '--app', bed.app], { env: bed.env })
  const file = join(folder, 'latest.dump')
  const capture = await heroku(['pg:backups:capture'])
  expect(capture.code, capture.stderr).toBe(0)
  const [newest] = await facets().captures.list()
  expect(capture.stderr).toContain(newest?.id)
  await heroku(['pg:backups:download', newest?.id ?? '', '--output', file])
  expect(existsSync(file)).toBe(true)
  expect(await decodes(readFileSync(file))).toBe(true)
  const reset = await heroku(['pg:reset', 'DATABASE_URL', '--confirm', bed.app])
  expect(reset.code, reset.stderr).toBe(0)
  expect(await isEmpty()).toBe(true)
  const restore = await heroku(['pg:backups:restore', newest?.id ?? '', 'DATABASE_URL', '--confirm', bed.app])
  expect(restore.code, restore.stderr).toBe(0)
  expect(await posts()).toBe(POSTS)
})
