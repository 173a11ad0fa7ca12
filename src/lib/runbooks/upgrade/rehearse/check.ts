import { openBackup } from '../../../backups/store.js'
import { RefusedError } from '../../../errors.js'
import { mayCreateRoles } from '../../../postgres/apart-role.js'
import { databaseDisk } from '../../../postgres/room.js'
import { humanBytes } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'
import { refuseBesideMigration } from '../../db/verify.js'
import { refuse } from '../check.js'
import { nothingToDo } from '../options.js'
import { refuseWithoutRoomForDump } from './dump-folder.js'
import type { RehearsalOptions } from './options.js'
import { apartOf, withRoomOf } from './where.js'

/** From then on a server keeps passwords as the role's is sent, and tells where its log stands. */
const OLDEST_SERVER = 100_000

/** A second database needs that much of the first: its tables, its indexes, and what migrations write anew. */
const OF_DATABASE = 1.5

/** Refuses what is in the way of the rehearsal: all that is in the way of the upgrade, and what it needs besides. */
export async function refuseRehearsal(toolbox: Toolbox, options: RehearsalOptions): Promise<void> {
  const { upgrade, backup, in: where } = options
  const apart = apartOf(toolbox)
  if (nothingToDo(upgrade)) return
  await refuse(toolbox, { ...upgrade, backup: false })
  await apart.usable()
  const database = await toolbox.database()
  if ((await database.serverVersionNum()) < OLDEST_SERVER) throw serverTooOld()
  if (where === 'server' && !(await mayCreateRoles(database)))
    throw noRole((await toolbox.backend.postgres?.target())?.user ?? 'mastodon')
  await refuseBesideMigration(toolbox)
  const bytes = await bytesToRehearse(toolbox, options)
  await refuseWithoutRoomFor(withRoomOf(toolbox, where), bytes)
  if (backup === null) await refuseWithoutRoomForDump(toolbox, bytes)
}

/** @throws RefusedError where less is free than 1.5 times the database and the server's log. */
export async function refuseWithoutRoomFor(toolbox: Toolbox, bytes: number): Promise<void> {
  const log = await logBytes(toolbox)
  const needed = Math.ceil(bytes * OF_DATABASE) + Math.min(bytes, log)
  const disk = await databaseDisk(toolbox)
  if (disk === undefined) return toolbox.output.warn(`${humanBytes(needed)} are needed; how much is free is not known.`)
  if (disk.freeBytes >= needed) return
  throw new RefusedError({
    code: 'no-room',
    message: 'There is not enough room to rehearse.',
    cause: `${humanBytes(needed)} are needed in ${disk.path} (1.5 × the database, and the server’s log), ${humanBytes(disk.freeBytes)} are free.`,
    next: 'Make room there, or restore a backup on another machine and upgrade that first.',
  })
}

/** What is written goes through the server's log as well, which grows to about this. */
async function logBytes(toolbox: Toolbox): Promise<number> {
  const [row] = await (await toolbox.database()).query<{ bytes: number }>(
    "SELECT pg_size_bytes(current_setting('max_wal_size')) AS bytes",
  )
  return row?.bytes ?? 0
}

/** Returns how large the database is that is rehearsed with. */
export async function bytesToRehearse(toolbox: Toolbox, { backup }: Pick<RehearsalOptions, 'backup'>): Promise<number> {
  return backup === null ? liveBytes(toolbox) : backupBytes(backup)
}

async function liveBytes(toolbox: Toolbox): Promise<number> {
  const [row] = await (await toolbox.database()).query<{ bytes: number }>(
    'SELECT pg_database_size(current_database()) AS bytes',
  )
  return row?.bytes ?? 0
}

async function backupBytes(path: string): Promise<number> {
  return (await openBackup(path)).manifest.postgres.database.bytes
}

function noRole(user: string): RefusedError {
  return new RefusedError({
    code: 'no-role-apart',
    message: 'No role and database can be made here for a rehearsal.',
    cause: `The migrations run as a role that may touch the scratch database alone, and ${user} may not make one.`,
    next: `As a superuser: ALTER ROLE "${user}" CREATEDB CREATEROLE; or rehearse on a server that is thrown away: --in sandbox`,
  })
}

function serverTooOld(): RefusedError {
  return new RefusedError({
    code: 'server-too-old',
    message: 'Nothing is rehearsed on a PostgreSQL before 10.',
    next: 'Upgrade PostgreSQL first, or go on without a rehearsal.',
  })
}
