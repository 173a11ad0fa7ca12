import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { globalAgent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PostgresConnector, PostgresTools } from '../../../src/lib/backends/backend.js'
import { readManifest } from '../../../src/lib/backups/manifest.js'
import { contentsOf, restoreThrough } from '../../../src/lib/backups/restore-into.js'
import { openBackup, storeOf } from '../../../src/lib/backups/store.js'
import { dumpOf } from '../../../src/lib/backups/verify.js'
import { OperatorError, RefusedError } from '../../../src/lib/errors.js'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import { runsDir } from '../../../src/lib/paths.js'
import { isUnfinished, listRuns } from '../../../src/lib/runbook/journal.js'
import {
  type Boundary,
  type BoundaryObserver,
  type RunReport,
  resumeRun,
  runRunbook,
} from '../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../src/lib/runbook/step.js'
import { type BackupResult, backup } from '../../../src/lib/runbooks/db/backup.js'
import { discard } from '../../../src/lib/runbooks/db/discard.js'
import { theKept } from '../../../src/lib/runbooks/db/kept.js'
import { prune } from '../../../src/lib/runbooks/db/prune.js'
import { type RestoreOptions, restore } from '../../../src/lib/runbooks/db/restore.js'
import { restoreFile } from '../../../src/lib/runbooks/db/restore-file.js'
import { rollback } from '../../../src/lib/runbooks/db/rollback.js'
import { verify } from '../../../src/lib/runbooks/db/verify.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { killedRun } from '../../support/killed-run.js'
import { must } from '../compose/bed/process.js'
import { type Fault, type HerokuApp, startHerokuApp } from './bed.js'

vi.setConfig({ testTimeout: 180_000 })

const FULL = process.env.MSTDN_TEST_FULL !== undefined

let app: HerokuApp
let dir: string
const before = { ...process.env }
beforeAll(async () => {
  app = await startHerokuApp({ version: '4.5.3' })
  dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-restore-'))
  // In this process Node has read its authorities already; killed runs find them by the variable.
  globalAgent.options.ca = readFileSync(app.certificate)
  const places = { XDG_STATE_HOME: dir, XDG_DATA_HOME: join(dir, 'data'), XDG_CONFIG_HOME: join(dir, 'config') }
  Object.assign(process.env, app.env, places, { MSTDN_OPS_ACCEPT_SELF_SIGNED: 'true' })
}, 300_000)
afterEach(() => app?.clearFaults())
afterAll(async () => {
  await app?.stop()
  if (dir) await rm(dir, { recursive: true, force: true })
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
  Object.assign(process.env, before)
})

/** Opens the toolbox for the work and closes it again. */
async function using<T>(work: (toolbox: Toolbox) => Promise<T>, dryRun = false): Promise<T> {
  const output = new Output({ quiet: true, logLevel: 'error' })
  const toolbox = await openToolbox({ app: app.app }, { output, dryRun })
  return work(toolbox).finally(() => toolbox.close())
}

function run<O extends object, R extends object>(
  runbook: Runbook<O, R>,
  options: O,
  observer?: BoundaryObserver,
): Promise<RunReport<R>> {
  return using(toolbox => runRunbook(toolbox, runbook, options, { pauseMs: 10, ...(observer ? { observer } : {}) }))
}

async function failure(work: Promise<unknown>): Promise<OperatorError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof OperatorError) return error
  throw new Error('it did not fail, or not as an operator is told', { cause: error })
}

const madeBackup = async (): Promise<BackupResult & { path: string }> => {
  const { result } = await run(backup, { with: [] })
  if (result?.path == null) throw new Error('no backup')
  return { ...result, path: result.path }
}
const manifestAt = (path: string) => readManifest(readFileSync(join(path, 'manifest.json'), 'utf8'), path)

/** Of the database that DATABASE_URL leads to. */
const sql = (text: string) => app.psql(text, app.config().DATABASE_URL)
const posts = async () => Number(await sql('SELECT count(*) FROM statuses'))

test('a backup is dumped from here, over TLS, and proven', async () => {
  const { path, leftOut, rows } = await madeBackup()
  const manifest = manifestAt(path)
  expect(manifest).toMatchObject({ counts: { by: 'snapshot and decode' }, verified: { decoded: true } })
  expect(leftOut).toEqual([])
  expect(rows).toBeGreaterThan(100)
  expect((await run(verify, { backup: 'latest', drill: false })).result).toMatchObject({ ok: true, level: 'decoded' })
  const drill = { code: 'no-second-database', exitCode: 3 }
  expect(await failure(run(verify, { backup: 'latest', drill: true }))).toMatchObject(drill)
})

describe('a backup where no dump can be made from here', () => {
  /** Makes one on a machine with these client programs. */
  const madeWith = async (tools: () => Promise<PostgresTools>) => {
    const { result } = await using(async toolbox => {
      const own = toolbox.backend.postgres as PostgresConnector
      const postgres: PostgresConnector = {
        ...{ where: own.where, tools, target: () => own.target(), psql: (...words) => own.psql(...words) },
        byHand: (...words) => own.byHand(...words),
      }
      return runRunbook({ ...toolbox, backend: { ...toolbox.backend, postgres } }, backup, { with: [] })
    })
    return result
  }
  const none = async () => {
    throw new RefusedError({ code: 'no-postgres-programs', message: 'pg_dump was not found on this machine.' })
  }
  /** Its pg_dump says that it is of PostgreSQL 12; its pg_restore is the one of this machine. */
  const olderDump = async () => {
    const tools = await using(async ({ backend }) => backend.postgres?.tools?.())
    const open: PostgresTools['open'] = script => {
      const older = script.script.replace('pg_dump --version', 'echo "pg_dump (PostgreSQL) 12.22"')
      return (tools as PostgresTools).open({ ...script, script: older })
    }
    return { where: 'this machine', open }
  }

  test('the platform’s own is downloaded; without a pg_restore it is said that nothing was decoded', async () => {
    const made = await madeWith(none)
    expect(made).toMatchObject({ rows: null, leftOut: [expect.stringContaining('Not decoded')] })
    const manifest = manifestAt(made?.path ?? '')
    expect(manifest).toMatchObject({ counts: { by: 'nothing', tables: [] }, verified: { decoded: false } })
    expect(manifest.schema.versions.length).toBeGreaterThan(10)
    expect(Object.keys(manifest.shape).length).toBeGreaterThan(100)
    expect((await run(verify, { backup: made?.name ?? '', drill: false })).result).toMatchObject({ ok: true })
  })

  test('what is too old to read it does not decode it either', async () => {
    const made = await madeWith(olderDump)
    expect(manifestAt(made?.path ?? '')).toMatchObject({ counts: { by: 'nothing' }, postgres: { dumpedBy: 150018 } })
  })

  test.each(['transfer-fails', 'download-403', 'download-page', 'download-cut'] as const)(
    '%s: no backup is listed',
    async kind => {
      const listed = async () => (await using(toolbox => storeOf(toolbox).list())).backups.length
      const count = await listed()
      app.inject({ kind })
      expect(await failure(madeWith(none))).toMatchObject({ exitCode: 4 })
      expect(await listed()).toBe(count)
    },
  )
})

test('what only a superuser could restore is left out', async () => {
  const { path } = await madeWithExtension()
  const source = dumpOf(await openBackup(path))
  await using(async toolbox => {
    const connector = toolbox.backend.postgres as PostgresConnector
    const dumped = await contentsOf(await (connector.tools as () => Promise<PostgresTools>)(), source)
    expect(dumped).toContain('COMMENT - EXTENSION pg_buffercache')
    await restoreThrough(toolbox, connector, source)
  })
  expect(await app.psql("SELECT count(*) FROM pg_extension WHERE extname = 'pg_buffercache'")).toBe('1')
  await app.psql('DROP EXTENSION pg_buffercache')
})

/** An extension that the platform has made, with a comment of its own. */
async function madeWithExtension() {
  await app.psql("CREATE EXTENSION pg_buffercache; COMMENT ON EXTENSION pg_buffercache IS 'of the platform'")
  return madeBackup()
}

describe('a restore', () => {
  let source: string
  let kept: number
  let formation: Record<string, number>
  let addon: string
  beforeAll(async () => {
    source = (await madeBackup()).path
    kept = await posts()
    formation = app.formation()
    addon = new URL(app.config().DATABASE_URL ?? '').pathname
    await lose()
  })
  /** Makes what is lost by going back, and gives out an id that must not come again. */
  const lose = async () => {
    await sql("INSERT INTO tags (name, created_at, updated_at) VALUES ('lost', now(), now())")
    await sql("SELECT setval('tags_id_seq', 4711)")
  }
  const options = (more: Partial<RestoreOptions> = {}): RestoreOptions => ({
    ...{ source, drainSeconds: 0, replayJobs: false },
    ...more,
  })
  const lost = async () => (await sql("SELECT count(*) FROM tags WHERE name = 'lost'")) === '0'
  const asBefore = async () => {
    expect(await posts()).toBe(kept)
    expect(await lost()).toBe(false)
    expect(app.formation()).toEqual(formation)
    expect(app.maintenance()).toBe(false)
    expect(new URL(app.config().DATABASE_URL ?? '').pathname).toBe(addon)
  }

  /** A step of the runbook fails there. */
  const failsAt = (step: string, boundary: Boundary): BoundaryObserver => {
    return (id, at) => {
      if (id === step && at === boundary) throw new Error(`${boundary} ${step} was made to fail`)
    }
  }
  const runs = () => listRuns(runsDir(app.app))
  const unfinished = async () => (await runs()).filter(isUnfinished).map(({ header }) => header.runId)
  const resumed = (undo: boolean) =>
    using(async toolbox => resumeRun(toolbox, restore, (await unfinished())[0] ?? '', { undo }))
  const killed = (more: Partial<RestoreOptions>, step: string, boundary: Boundary) =>
    killedRun(dir, {
      ...{ app: app.app, runbook: 'db:restore', options: options(more), mode: 'run' },
      stop: { step, boundary },
    })
  const restored = async () => {
    expect(await posts()).toBe(kept)
    expect(await lost()).toBe(true)
    expect(Number(await sql("SELECT nextval('tags_id_seq')"))).toBeGreaterThan(4711)
    expect(app.formation()).toEqual(formation)
    expect(app.maintenance()).toBe(false)
  }
  /** With the same instance and none of its journals. */
  const onOtherMachine = async <T>(work: () => Promise<T>): Promise<T> => {
    process.env.XDG_STATE_HOME = join(dir, 'other')
    return work().finally(() => {
      process.env.XDG_STATE_HOME = dir
    })
  }
  /** The dump of the backup, as a file that says nothing of where it comes from. */
  const dumpOfOthers = async (name: string) => {
    const file = join(dir, name)
    const [dump = ''] = readdirSync(source).filter(entry => entry.startsWith('database.dump'))
    if (name.endsWith('.sql')) await must('sh', ['-c', TO_SQL, 'sh', join(source, dump), file])
    else copyFileSync(join(source, dump), file)
    return file
  }
  const TO_SQL =
    'restore=$(ls /usr/lib/postgresql/*/bin/pg_restore | tail -n 1); case $1 in *.zst) zstd -dcq "$1";; *) cat "$1";; esac | "$restore" -f "$2"'
  const COMMENT = `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`
  const LOCKS =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

  describe('in place', () => {
    test('a dry run changes nothing and names the plain lines', async () => {
      const from = app.requests.length
      const { byHand } = await using(toolbox => runRunbook(toolbox, restore, options()), true)
      const sent = app.requests.slice(from).filter(({ method, path }) => method !== 'GET' && !path.endsWith('/dynos'))
      expect(sent).toEqual([])
      for (const line of ['maintenance:on', 'ps:scale', 'pg:backups:capture', 'pg:reset', 'maintenance:off'])
        expect(
          byHand.filter(words => words.startsWith(`heroku ${line} `)),
          line,
        ).not.toEqual([])
      await asBefore()
    })

    test('everything is as it was in the backup, and the state before is a backup', async () => {
      const locks: Promise<string>[] = []
      const observer: BoundaryObserver = (id, at) => {
        if (id === 'restore' && at === 'started') locks.push(sql(LOCKS))
      }
      const { result } = await run(restore, options(), observer)
      expect(result).toMatchObject({ keptAs: 'backup', kept: expect.any(String) })
      expect(await Promise.all(locks), 'the reset ended the session that held the lock').toEqual(['1'])
      await restored()
      await run(restore, options({ source: result?.kept ?? '' }))
      await asBefore()
    })

    test.each(FULL ? ['latest.dump', 'dump.sql'] : ['dump.sql'])(
      'a dump of others comes in as well: %s',
      async name => {
        const file = await dumpOfOthers(name)
        const foreign = { file, drainSeconds: 0, replayJobs: false, unverified: true }
        const { result } = await run(restoreFile, foreign)
        expect(result).toMatchObject({ backup: name, stateOf: null, keptAs: 'backup' })
        await restored()
        await run(restore, options({ source: result?.kept ?? '' }))
        await asBefore()
      },
    )

    const MORE: Fault[] = [
      { kind: 'download-403' },
      { kind: 'unprocessable', method: 'PATCH', path: /formation$/ },
      { kind: 'unprocessable', method: 'PUT', path: /reset$/ },
      { kind: 'reset-idle' },
    ]
    const FAULTS: Fault[] = [
      { kind: 'transfer-fails' },
      { kind: 'download-short' },
      { kind: 'reset-before', method: 'PUT', path: /reset$/ },
      ...(FULL ? MORE : []),
    ]
    test.each(FAULTS)('$kind: undone, the site serves as before', async fault => {
      app.inject(fault)
      expect(await failure(run(restore, options()))).toMatchObject({ exitCode: 4 })
      await asBefore()
    })

    const STEPS = ['close', 'stop', 'safety-backup', 'jobs-aside', 'compare', 'analyze', 'clear-redis']
    const places: [string, Boundary][] = [
      ['start', 'acted'],
      ...(FULL ? ['reset', 'restore', 'raise-ids', ...STEPS].map((step): [string, Boundary] => [step, 'acted']) : []),
    ]
    test.each(places)('a failure when %s has %s: the safety backup goes back by itself', async (step, boundary) => {
      expect(await failure(run(restore, options(), failsAt(step, boundary)))).toMatchObject({ exitCode: 4 })
      await asBefore()
    })

    test('a safety backup that does not go back at once is put back all the same', async () => {
      const observer: BoundaryObserver = (id, at) => {
        if (id === 'reset' && at === 'before-undo') app.inject({ kind: 'transfer-fails' })
        failsAt('compare', 'started')(id, at)
      }
      expect(await failure(run(restore, options(), observer))).toMatchObject({ exitCode: 4 })
      await asBefore()
    })

    test.each(FULL ? [true, false] : [true])(
      'while it does not go back the site stays closed; resume (undo: %s) ends it',
      async undo => {
        const observer: BoundaryObserver = (id, at) => {
          if (id === 'reset' && at === 'before-undo') app.inject({ kind: 'transfer-fails', times: 2 })
          failsAt('compare', 'started')(id, at)
        }
        const error = await failure(run(restore, options(), observer))
        expect(error).toMatchObject({ exitCode: 5, why: expect.stringContaining('stays closed') })
        expect(app.formation()).toEqual({ web: 0, worker: 0 })
        expect(app.maintenance()).toBe(true)
        expect(await failure(run(backup, { with: [] }))).toMatchObject({ code: 'unfinished-run', exitCode: 3 })
        expect((await resumed(undo)).undone ?? false).toBe(undo)
        if (undo) return asBefore()
        await restored()
        await lose()
      },
    )

    const LONG: [string, Boundary][] = [
      ['restore', 'started'],
      ['restore', 'acted'],
    ]
    test('killed: what somebody else has put into the database since is not touched', async () => {
      expect(await killed({}, 'restore', 'acted')).toMatchObject({ killed: true })
      const ours = await sql(COMMENT)
      await sql(`COMMENT ON DATABASE "${addon.slice(1)}" IS NULL`)
      const theirs = { exitCode: 5, why: expect.stringContaining('Somebody else has filled the database') }
      expect(await failure(resumed(true))).toMatchObject(theirs)
      expect([await lost(), app.maintenance(), app.formation().web]).toEqual([true, true, 0])
      await sql(`COMMENT ON DATABASE "${addon.slice(1)}" IS '${ours}'`)
      expect((await resumed(true)).undone).toBe(true)
      await asBefore()
    })

    const kills: [string, Boundary][] = [
      ['reset', 'acted'],
      ...(FULL ? LONG : []),
      ...(FULL
        ? STEPS.flatMap((step): [string, Boundary][] => [
            [step, 'started'],
            [step, 'acted'],
          ])
        : []),
    ]
    test.each(kills)('killed when %s has %s: resume --undo puts the safety backup back', async (step, boundary) => {
      expect(await killed({}, step, boundary)).toMatchObject({ killed: true })
      expect((await resumed(true)).undone).toBe(true)
      await asBefore()
    })
    test.each(kills)('killed when %s has %s: resume goes on', async (step, boundary) => {
      expect(await killed({}, step, boundary)).toMatchObject({ killed: true })
      if (step === 'reset') {
        const elsewhere = { code: 'unended-elsewhere', exitCode: 6, next: expect.stringContaining('IS NULL') }
        expect(await failure(onOtherMachine(() => run(backup, { with: [] })))).toMatchObject(elsewhere)
      }
      await resumed(false)
      await restored()
      expect(await sql(COMMENT)).toBe('')
      await lose()
    })
  })

  describe('into a database that is ordered for it', () => {
    const PLAN = { newDatabase: 'essential-1' }
    const addons = async () => {
      const all = await using(async ({ backend }) => (await backend.databases?.list()) ?? [])
      return all.filter(({ state }) => state === 'provisioned')
    }
    const others = async () => (await addons()).filter(({ isCurrent }) => !isCurrent)

    test('a plan that does not exist is refused with those that do; the price is told before', async () => {
      const refused = { code: 'no-such-plan', exitCode: 3, why: expect.stringContaining('essential-0 ($5.00 a month)') }
      expect(await failure(run(restore, options({ newDatabase: 'gold-9' })))).toMatchObject(refused)
      const consent = await using(async toolbox => restore.consent?.(toolbox, options(PLAN)))
      const price = expect.stringMatching(/essential-1 is ordered: \$9\.00 a month\. .* costs on \(\$5\.00 a month\)/)
      expect(consent).toMatchObject({ kind: 'domain', loses: price })
    })

    const FAULTS: Fault[] = [
      { kind: 'provision-fails' },
      // The one that gives the former database its second name, and the one that counts.
      { kind: 'release-fails', times: 2 },
      { kind: 'unprocessable', method: 'PATCH', path: /formation$/ },
    ]
    test.each(FAULTS)('$kind: undone, and nothing is left that costs', async fault => {
      app.inject(fault)
      expect(await failure(run(restore, options(PLAN)))).toMatchObject({ exitCode: 4 })
      await asBefore()
      expect(await others()).toEqual([])
    })

    const STEPS = ['restore', 'compare', 'analyze', 'close', 'stop', 'jobs-aside', 'raise-ids', 'clear-redis']
    const places: [string, Boundary][] = [
      ['order', 'acted'],
      ['promote', 'acted'],
      ...(FULL ? STEPS.map((step): [string, Boundary] => [step, 'acted']) : []),
    ]
    test.each(places)('a failure when %s has %s: undone, and nothing is left that costs', async (step, boundary) => {
      expect(await failure(run(restore, options(PLAN), failsAt(step, boundary)))).toMatchObject({ exitCode: 4 })
      await asBefore()
      expect(await others()).toEqual([])
    })

    test.each(FULL ? ['latest.dump'] : [])('a dump of others that fails leaves nothing that costs: %s', async name => {
      const file = await dumpOfOthers(name)
      const foreign = { file, drainSeconds: 0, replayJobs: false, unverified: true, ...PLAN }
      const error = await failure(run(restoreFile, foreign, failsAt('analyze', 'acted')))
      expect(error).toMatchObject({ exitCode: 4, message: expect.stringContaining('analyze was made to fail') })
      await asBefore()
      expect(await others()).toEqual([])
    })

    test('a dry run orders nothing', async () => {
      const from = app.requests.length
      const { byHand } = await using(toolbox => runRunbook(toolbox, restore, options(PLAN)), true)
      const sent = app.requests.slice(from).filter(({ method, path }) => method !== 'GET' && !path.endsWith('/dynos'))
      expect(sent).toEqual([])
      expect(byHand).toContain(`heroku addons:create --app ${app.app} heroku-postgresql:essential-1`)
    })

    test('killed when it was ordered: resume --undo takes it back', async () => {
      expect(await killed(PLAN, 'order', 'acted')).toMatchObject({ killed: true })
      expect((await resumed(true)).undone).toBe(true)
      expect(await others()).toEqual([])
      await asBefore()
    })

    test('killed in the middle: resume goes on; then rollback, and discard', async () => {
      expect(await killed(PLAN, 'promote', 'acted')).toMatchObject({ killed: true })
      const { result } = await resumed(false)
      expect(result).toMatchObject({ keptAs: 'addon' })
      await restored()
      const [former] = await others()
      expect(former?.name).toBe((result as { kept: string }).kept)

      const rolledBack = await rolled()
      await asBefore()
      expect(await addons()).toHaveLength(2)
      if (FULL) {
        expect(await rolled()).not.toEqual(rolledBack)
        await restored()
        await rolled()
        await asBefore()
      }

      const consent = await using(async toolbox => discard.consent?.(toolbox, {}))
      expect(consent).toMatchObject({ kind: 'domain', loses: expect.stringContaining('$9.00 a month, which is saved') })
      const [kept] = await others()
      const discarded = { dropped: [kept?.name], saved: [{ cents: 900, unit: 'month' }] }
      expect((await run(discard, {})).result).toEqual(discarded)
      expect(await addons()).toHaveLength(1)
      expect(await failure(using(toolbox => theKept(toolbox, undefined)))).toMatchObject({ code: 'nothing-kept' })
    })

    // The last: what was live before is gone after it.
    test.each(FULL ? ['db:prune'] : [])('when its time is over, %s destroys the replaced one', async () => {
      await run(restore, options({ ...PLAN, keepOld: 1 }))
      expect(await addons()).toHaveLength(2)
      await run(prune, { keep: { daily: 7, weekly: 4, monthly: 6 }, labels: [] })
      expect(await addons()).toHaveLength(1)
      await restored()
    })

    const rolled = async () => {
      const { name, runId } = await using(toolbox => theKept(toolbox, undefined))
      const { result } = await run(rollback, { of: runId, database: name, ordered: true, drainSeconds: 0 })
      return result?.kept
    }
  })
})
