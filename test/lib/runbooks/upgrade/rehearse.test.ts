import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { refuseWithoutRoomFor } from '../../../../src/lib/runbooks/upgrade/rehearse/check.js'
import {
  clearDumps,
  dumpFolder,
  refuseWithoutRoomForDump,
} from '../../../../src/lib/runbooks/upgrade/rehearse/dump-folder.js'
import type { RehearsalResult } from '../../../../src/lib/runbooks/upgrade/rehearse/options.js'
import { rehearsedText } from '../../../../src/lib/runbooks/upgrade/rehearse/text.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const GB = 1024 ** 3

/** A database whose server's log grows to 1 GB. */
function withFree(freeBytes: number) {
  const disks = [{ place: 'database' as const, path: '/var/lib/postgresql', totalBytes: 100 * GB, freeBytes }]
  return toolboxOf({ disks, database: { query: (async () => [{ bytes: GB }]) as never } })
}

test.each([
  [16 * GB - 1, true],
  [16 * GB, false],
])('with %d bytes free, a database of 10 GB is refused: %s', async (free, refused) => {
  const checked = refuseWithoutRoomFor(withFree(free), 10 * GB)
  if (refused) await expect(checked).rejects.toMatchObject({ code: 'no-room', exitCode: 3 })
  else await expect(checked).resolves.toBeUndefined()
})

test('a dump lies in the state folder for its owner alone, goes with the next rehearsal, and needs room there', async () => {
  const state = mkdtempSync(join(tmpdir(), 'mstdn-ops-state-'))
  vi.stubEnv('XDG_STATE_HOME', state)
  try {
    const toolbox = toolboxOf({})
    const dir = await dumpFolder(toolbox, '20261122-031500-9a3f')
    expect(dir.startsWith(state)).toBe(true)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    await clearDumps(toolbox)
    expect(existsSync(dir)).toBe(false)
    await expect(refuseWithoutRoomForDump(toolbox, 1)).resolves.toBeUndefined()
    await expect(refuseWithoutRoomForDump(toolbox, GB ** 2)).rejects.toMatchObject({ code: 'no-room', exitCode: 3 })
  } finally {
    vi.unstubAllEnvs()
    rmSync(state, { recursive: true })
  }
})

const WELL: RehearsalResult = {
  ...{ from: '4.2.9', to: '4.3.8', phases: 'two', ok: true, why: null, failed: null, unseen: null, in: 'server' },
  source: { backup: '20261122-031500-9a3f', at: '2026-11-22T03:15:00.000Z', bytes: 10 * GB },
  migrations: [
    { id: '20231210154528', name: 'AddOtpSecretToUsers', phase: 'pre', seconds: 1.24 },
    { id: '20240322161611', name: 'RemoveObsoleteRolesFromUsers', phase: 'post', seconds: 61 },
  ],
  locks: [{ table: 'users', mode: 'AccessExclusiveLock', seconds: 60.6, migration: 'RemoveObsoleteRolesFromUsers' }],
  rewrites: [{ table: 'users', bytes: GB, migration: 'RemoveObsoleteRolesFromUsers' }],
  disk: { before: 10 * GB, after: 11 * GB, log: GB },
  mayConnectTo: ['postgres'],
  forecast: { mayGoAhead: true, migrationSeconds: 82, backupSeconds: 600, stoppedSeconds: 0, diskBytes: 2 * GB },
}

test('what went well is told with its forecast', () => {
  expect(rehearsedText(WELL)).toMatchInlineSnapshot(`
    "The upgrade from 4.2.9 to 4.3.8 was rehearsed well: the real one may go ahead.

    Rehearsed with the backup 20261122-031500-9a3f, of 2026-11-22T03:15:00.000Z (10.0 GiB), on the live server.
    Its role owned the scratch database, and could connect to: postgres (as everybody may; it had no right on a table of the instance).

    Seconds of each migration:
         61.0  RemoveObsoleteRolesFromUsers (post)
          1.2  AddOtpSecretToUsers (pre)

    Seconds for which tables were locked (others wait for them as long):
         60.6  AccessExclusiveLock on users: RemoveObsoleteRolesFromUsers

    Tables that were written anew as a whole:
      users (1.0 GiB): RemoveObsoleteRolesFromUsers

    Forecast:
      In all: 82 s for the migrations, 10 min for a backup, and a restart.
      Downtime: a restart.
      Disk: 2.0 GiB more on the database’s disk (database 10.0 GiB before, 11.0 GiB after; log 1.0 GiB).
    The database, the role, the network and the Redis of the rehearsal are removed."
  `)
})

test('where it was rehearsed is told', () => {
  const text = rehearsedText({ ...WELL, in: 'sandbox', mayConnectTo: [] })
  expect(text).toContain('(10.0 GiB), in a PostgreSQL of its own.')
  expect(text).toContain('The PostgreSQL, the network and the Redis of the rehearsal are removed.')
  expect(text).not.toContain('on the live server')
})

test('what would not is told with the migration, the reason and what is known of it', () => {
  const failed = {
    ...{ id: '20240322161611', name: 'RemoveObsoleteRolesFromUsers', reason: 'PG::DuplicateTable' },
    explanation: 'Known problem: a table that is there already. ',
    phase: 'post' as const,
  }
  const text = rehearsedText({ ...WELL, ok: false, why: 'RemoveObsoleteRolesFromUsers failed.', failed })
  expect(text.split('\n').slice(0, 4)).toEqual([
    'The upgrade from 4.2.9 to 4.3.8 would not end well: RemoveObsoleteRolesFromUsers failed.',
    '  Migration: 20240322161611 RemoveObsoleteRolesFromUsers',
    '  PG::DuplicateTable',
    '  Known problem: a table that is there already. ',
  ])
  expect(text).toContain('it would fail there, past the point of no return, with the new release serving.')
})

test('a restart is all where no phase was run, and not where only no line of a migration was understood', () => {
  const none = { ...WELL, migrations: [], locks: [], rewrites: [] }
  const text = rehearsedText({ ...none, forecast: { ...WELL.forecast, migrationSeconds: 0 } })
  expect(text).toContain('Forecast: nothing is to be migrated, a restart is all.')
  expect(rehearsedText(none)).toContain('In all: 82 s for the migrations')
})
