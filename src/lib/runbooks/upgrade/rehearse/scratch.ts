import { join } from 'node:path'
import { dumpDatabase } from '../../../backups/database.js'
import type { DatabaseTraits } from '../../../backups/manifest.js'
import { openOther, restoreFor, restoreForLine } from '../../../backups/restore-into.js'
import { openBackup } from '../../../backups/store.js'
import { type DumpSource, dumpOf } from '../../../backups/verify.js'
import { RefusedError } from '../../../errors.js'
import { newEncryptionKeys } from '../../../mastodon/secrets.js'
import { copyRoleSettings, createApartRole, dropApartRoles, reachOf } from '../../../postgres/apart-role.js'
import { createLike, drillName, dropDrills, withMaintenance } from '../../../postgres/scratch.js'
import type { Step, StepContext } from '../../../runbook/step.js'
import { humanBytes } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'
import { noteUnseen } from '../../replace/room.js'
import { bytesToRehearse, refuseWithoutRoomFor } from './check.js'
import { clearDumps, dumpFolder } from './dump-folder.js'
import { MADE, type RehearsalOptions, type RehearsalResult, type RehearsedIn } from './options.js'
import { apartOf, scratchToolbox } from './where.js'

/** Under these keys the run notes what it works with. */
export const SOURCE = 'source'
export const MAY_CONNECT = 'may-connect'

/** What the processes of a rehearsal are given: the password of the role, and encryption keys that an upgrade would make. */
interface Secrets {
  password: string
  keys: Readonly<Record<string, string>>
}

/** They live in this process alone: a rehearsal is not gone on with by another one. */
const secrets = new Map<string, Secrets>()

/** Returns the secrets of the run, which are the same in all phases. */
export function secretsOf({ runId }: Pick<StepContext, 'runId'>): Secrets {
  const found = secrets.get(runId)
  if (found === undefined) throw new Error('the role of the rehearsal was made by another process')
  return found
}

/** Removes all that rehearsals of the instance have made, under way or left by a kill: the lock tells which it is. */
export async function clearAway(toolbox: Toolbox): Promise<void> {
  if (toolbox.dryRun) return
  // What works in the database goes first.
  await apartOf(toolbox).close()
  await withMaintenance(toolbox, 'rehearsal', async maintenance => {
    await dropDrills(toolbox, maintenance)
    await dropApartRoles(toolbox, maintenance)
  })
  await clearDumps(toolbox)
}

export function clearStep(): Step {
  return {
    id: 'clear',
    title: 'Clear away what a killed rehearsal has left',
    effect: 'write',
    repeatable: true,
    run: ({ toolbox }) => clearAway(toolbox),
    undo: async () => undefined,
  }
}

/** The last step: what stands from here on is the answer alone. */
export function removeStep({ in: where }: RehearsalOptions): Step {
  return {
    id: 'remove',
    title: `Remove the ${MADE[where]}, the network and the Redis of the rehearsal`,
    effect: 'write',
    repeatable: true,
    run: ({ toolbox }) => clearAway(toolbox),
    undo: ({ toolbox }) => clearAway(toolbox),
  }
}

/** Makes the role, its database, and fills it. */
export function restoreStep(options: RehearsalOptions): Step {
  const { backup } = options
  return {
    id: 'restore',
    title: `${backup === null ? 'Dump the database, and restore that' : 'Restore the newest backup'} into a database of its own`,
    effect: 'write',
    run: async context => {
      if (!context.dryRun) await filled(context, options)
    },
    undo: ({ toolbox }) => clearAway(toolbox),
  }
}

async function filled(context: StepContext, { backup, in: where }: RehearsalOptions): Promise<void> {
  const { toolbox, runId } = context
  const name = await drillName(toolbox, runId)
  const scratch = scratchToolbox(context, where)
  if (where !== 'server') await refuseWithoutRoomFor(scratch, await bytesToRehearse(toolbox, { backup }))
  await withMaintenance(scratch, 'rehearsal', async maintenance => {
    const password = await createApartRole(maintenance, name)
    toolbox.output.redactor.add('password of the rehearsal', password)
    secrets.set(runId, { password, keys: newEncryptionKeys() })
    const left = await copyRoleSettings(await toolbox.database(), maintenance, name)
    if (left.length > 0)
      toolbox.output.warn(`Settings of the app’s role that the rehearsal’s lacks: ${left.join(', ')}`)
  })
  if (where === 'server') await refuseReach(context, name)
  const filling = { name, where, toolbox: scratch }
  if (backup === null) await fromDump(context, filling)
  else await fromBackup(context, backup, filling)
}

/** Where everybody may change what the instance has, so could the migrations by mistake. */
async function refuseReach({ toolbox, note }: StepContext, role: string): Promise<void> {
  const { databases, tables } = await reachOf(await toolbox.database(), role, role)
  await note(MAY_CONNECT, JSON.stringify(databases))
  if (tables.length === 0) return
  throw new RefusedError({
    code: 'open-tables',
    message: 'Everybody who connects may read or change tables of the live database: nothing is rehearsed beside it.',
    cause: `PUBLIC was granted rights on ${tables.slice(0, 5).join(', ')}.`,
    next: `REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, if nothing of yours needs it.`,
  })
}

async function fromBackup(context: StepContext, path: string, scratch: Scratch): Promise<void> {
  const backup = await openBackup(path)
  const { startedAt, postgres } = backup.manifest
  await noteSource(context, scratch, { backup: backup.name, at: startedAt, bytes: postgres.database.bytes })
  await restored(context, scratch, { source: dumpOf(backup), traits: postgres.database })
}

/** The dump is plain, whatever the backups are: it lies beside the journal, for this user alone, until it is restored. */
async function fromDump(context: StepContext, scratch: Scratch): Promise<void> {
  const { toolbox, runId, progress, stop } = context
  const at = toolbox.clock.now().toISOString()
  const dir = await dumpFolder(toolbox, runId)
  if (toolbox.instance.backups.recipient !== undefined)
    toolbox.output.info(`The dump lies in ${dir} until it is restored, not encrypted.`)
  try {
    const { file, traits } = await dumpDatabase(toolbox, { dir, onProgress: progress, stop })
    await noteSource(context, scratch, { backup: null, at, bytes: traits.bytes })
    const source = { path: join(dir, file.name), zstd: file.compression === 'zstd' }
    await restored(context, scratch, { source, traits })
  } finally {
    await clearDumps(toolbox)
  }
}

/** The database that is filled, and where it is. */
interface Scratch {
  name: string
  where: RehearsedIn
  /** The toolbox of its server. */
  toolbox: Toolbox
}

async function noteSource(
  { toolbox, note }: StepContext,
  { where }: Scratch,
  source: RehearsalResult['source'],
): Promise<void> {
  await note(SOURCE, JSON.stringify(source))
  const size = humanBytes(source.bytes)
  const server = where === 'server' ? 'The live server' : 'A server of its own, on the same machine,'
  toolbox.output.info(
    `${server} writes ${size} and builds all indexes once more: one processor and its disk are busy meanwhile.`,
  )
}

async function restored(
  context: StepContext,
  { name, toolbox }: Scratch,
  { source, traits }: { source: DumpSource; traits: DatabaseTraits },
): Promise<void> {
  const { progress, stop } = context
  // Only the owner and who made it may connect: what is said of others is none of theirs.
  const apart = { ...traits, owner: name, grants: [`${name}=CONNECT`] }
  await withMaintenance(toolbox, 'rehearsal', maintenance => createLike(maintenance, name, apart))
  const to = { database: name, role: name, extensions: traits.extensions }
  const onProgress = (bytes: number) => progress(`${Math.round(bytes / 1e6)} MB`)
  await restoreFor(toolbox, source, to, { onProgress, stop, onUnseen: noteUnseen(context) })
  const line = restoreForLine(source, to)
  toolbox.ledger.record({ kind: 'command', exact: line, byHand: line })
  await analyzed(toolbox, name)
}

/** The live database has its statistics: without them migrations would take longer than there. */
async function analyzed(toolbox: Toolbox, name: string): Promise<void> {
  const database = await openOther(toolbox, name, 'rehearsal')
  await database.write('ANALYZE').finally(() => database.close())
}
