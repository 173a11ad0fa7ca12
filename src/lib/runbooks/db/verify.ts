import { dumpTools } from '../../backups/database.js'
import { decryptWith } from '../../backups/encryption.js'
import { countedTables } from '../../backups/manifest.js'
import { backupToVerify } from '../../backups/named.js'
import { differencesIn, restoreInto } from '../../backups/restore-into.js'
import { type CheckRecord, noteCheck, type StoredBackup } from '../../backups/store.js'
import { contentProblem, decode, differingCount, dumpOf, problemWithFiles } from '../../backups/verify.js'
import { RefusedError } from '../../errors.js'
import { migrationSessions } from '../../postgres/migration-lock.js'
import { refuseWithoutRoom } from '../../postgres/room.js'
import {
  createLike,
  drillName,
  dropDatabase,
  dropDrills,
  mayCreateDatabases,
  withMaintenance,
} from '../../postgres/scratch.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { noteUnseen } from '../replace/room.js'

export interface VerifyOptions {
  /** The name of a backup in the store, `latest` (the newest, in any state), or the path of a backup's folder. */
  backup: string
  /** Restores it into a database of its own and compares it. */
  drill: boolean
  /** The file with the secret key, for an encrypted backup: without it only its files are compared. */
  identity?: string
}

export interface VerifyResult {
  name: string
  path: string
  /** The deepest look that was taken. */
  level: CheckRecord['level']
  ok: boolean
  /** Why not, where not. */
  why: string | null
  /** It is encrypted and no secret key was given: what is in its files was not looked at. */
  sealed: boolean
  tables: number
  rows: number
}

/** What the system says where a disk is read-only, or a folder not ours to write to. */
const WRITE_PROTECTED = ['EROFS', 'EACCES', 'EPERM']

/** Looks whether a backup is what its manifest says: its files, every row in them, and that they restore. */
export const verify: Runbook<VerifyOptions, VerifyResult> = {
  name: 'db:verify',
  disposable: true,
  check: async (toolbox, options) => {
    const backup = await backupToVerify(toolbox, options.backup)
    if (isSealed(backup, options) && !options.drill) return
    dumpOf(backup, await unsealing(options))
    await dumpTools(toolbox)
    if (options.drill) await refuseDrill(toolbox, backup)
  },
  steps: async (toolbox, options) => {
    const backup = await backupToVerify(toolbox, options.backup)
    if (isSealed(backup, options)) return [checksumStep(backup)]
    const levels = [checksumStep(backup), decodeStep(backup, options)]
    return options.drill ? [...levels, drillStep(backup, options)] : levels
  },
  result: async (toolbox, options, noted) => {
    const backup = await backupToVerify(toolbox, options.backup)
    const { name, path, manifest } = backup
    const why = noted('why') ?? null
    const rows = manifest.counts.tables.reduce((sum, table) => sum + table.rows, 0)
    const level = (noted('level') ?? 'checksums') as CheckRecord['level']
    const sealed = isSealed(backup, options)
    return { name, path, level, ok: why === null, why, sealed, tables: manifest.counts.tables.length, rows }
  },
}

/** Whether nothing but the files as they lie there can be looked at. */
function isSealed({ manifest }: StoredBackup, { identity }: VerifyOptions): boolean {
  return identity === undefined && manifest.files.some(({ part, encrypted }) => part === 'database' && encrypted)
}

async function unsealing({ identity }: VerifyOptions) {
  return identity === undefined ? undefined : decryptWith(identity)
}

/** What is bad is the answer, not a failure: it is noted, and nothing deeper is looked at. */
function lookStep(
  step: Pick<Step, 'id' | 'title' | 'effect' | 'undo'>,
  backup: StoredBackup,
  level: CheckRecord['level'],
  look: (context: StepContext) => Promise<string | undefined>,
): Step {
  return {
    ...step,
    needed: async ({ noted }) => noted('why') === undefined || 'it is bad already',
    run: async context => {
      if (context.dryRun) return
      const why = await look(context)
      await context.note('level', level)
      if (why !== undefined) await context.note('why', why)
      const at = context.toolbox.clock.now().toISOString()
      const record = { at, level, ok: why === undefined, ...(why === undefined ? {} : { why }) }
      await noteCheck(backup.path, record).catch(error => tellUnnoted(context, error))
    },
  }
}

/** Backups are well kept where nobody may write: what was found holds there as well. Told once in a run. */
async function tellUnnoted({ toolbox, note, noted }: StepContext, error: NodeJS.ErrnoException): Promise<void> {
  if (!WRITE_PROTECTED.includes(error.code ?? '')) throw error
  if (noted('unnoted') !== undefined) return
  await note('unnoted', error.message)
  toolbox.output.warn(`What was found cannot be noted beside the backup, which nobody may write to: ${error.message}`)
}

function checksumStep(backup: StoredBackup): Step {
  const step = { id: 'checksums', title: 'Compare sizes and checksums with the manifest', effect: 'read' } as const
  return lookStep(step, backup, 'checksums', ({ stop }) => problemWithFiles(backup, stop))
}

function decodeStep(backup: StoredBackup, options: VerifyOptions): Step {
  const step = { id: 'decode', title: 'Decode the dump, and count every row', effect: 'read' } as const
  return lookStep(step, backup, 'decoded', async ({ toolbox, stop }) => {
    const { tools, equipment } = await dumpTools(toolbox)
    try {
      const found = await decode(tools, equipment, dumpOf(backup, await unsealing(options)), stop)
      return differingCount(countedTables(backup.manifest), found)
    } catch (error) {
      return contentProblem(error)
    }
  })
}

function drillStep(backup: StoredBackup, options: VerifyOptions): Step {
  const step = {
    id: 'drill',
    title: 'Restore it into a database of its own, compare, and drop that',
    effect: 'write',
    undo: async ({ toolbox, runId }: StepContext) => {
      const name = await drillName(toolbox, runId)
      await withMaintenance(toolbox, 'drill', maintenance => dropDatabase(maintenance, name))
    },
  } as const
  return lookStep(step, backup, 'drilled', async context => {
    const { toolbox, runId } = context
    const name = await drillName(toolbox, runId)
    return withMaintenance(toolbox, 'drill', async maintenance => {
      await dropDrills(toolbox, maintenance)
      await createLike(maintenance, name, backup.manifest.postgres.database)
      try {
        return await drilled(context, backup, await unsealing(options), name)
      } finally {
        await dropDatabase(maintenance, name)
      }
    })
  })
}

async function drilled(
  context: StepContext,
  backup: StoredBackup,
  unseal: Awaited<ReturnType<typeof unsealing>>,
  name: string,
): Promise<string | undefined> {
  const { toolbox, progress, stop } = context
  try {
    const onProgress = (bytes: number) => progress(`${Math.round(bytes / 1e6)} MB`)
    await restoreInto(toolbox, dumpOf(backup, unseal), name, { onProgress, stop, onUnseen: noteUnseen(context) })
  } catch (error) {
    return contentProblem(error)
  }
  const { manifest } = backup
  const expected = { tables: countedTables(manifest), shape: manifest.shape }
  const [first, ...others] = await differencesIn(toolbox, name, expected)
  return first === undefined || others.length === 0 ? first : `${first} And ${others.length} more.`
}

async function refuseDrill(toolbox: Toolbox, { manifest }: StoredBackup): Promise<void> {
  if (!(await mayCreateDatabases(await toolbox.database()))) throw noDrill()
  await refuseWithoutRoom(toolbox, manifest.postgres.database.bytes)
  await refuseBesideMigration(toolbox)
}

/**
 * Refuses what would slow a migration down that is under way: Rails' lock on it is held in the database itself.
 *
 * @throws RefusedError where one seems to be.
 */
export async function refuseBesideMigration(toolbox: Toolbox): Promise<void> {
  if ((await migrationSessions(await toolbox.database())).length === 0) return
  throw new RefusedError({
    code: 'migration-under-way',
    message: 'A migration seems to be under way: no database is restored beside it.',
    cause: 'Somebody holds an advisory lock in the database, as Rails does while it migrates.',
    next: 'Wait until it has ended, then run the command again.',
  })
}

function noDrill(): RefusedError {
  return new RefusedError({
    code: 'no-second-database',
    message: 'No second database can be made here for a drill.',
    cause: 'The user of the app may not create databases.',
    next: 'Verify without --drill (every row is decoded), or copy the backup to a server of your own and drill there.',
  })
}
