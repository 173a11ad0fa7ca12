import { join } from 'node:path'
import { dumpLine } from '../../backups/by-hand.js'
import { captureDatabase, capturesInstead } from '../../backups/capture.js'
import { dumpDatabase } from '../../backups/database.js'
import { encryptTo } from '../../backups/encryption.js'
import type { FilePart, Manifest } from '../../backups/manifest.js'
import { type Draft, fingerprinted, manifestOf } from '../../backups/manifest-of.js'
import { mediaUnasked } from '../../backups/media.js'
import { type Owner, ownerOf } from '../../backups/owner.js'
import { refuseNoRoom } from '../../backups/room.js'
import { readSum } from '../../backups/sink.js'
import { type BackupStore, isProven, storeOf } from '../../backups/store.js'
import { messageOf, NotUndoneError, RefusedError } from '../../errors.js'
import { dropDrills, mayCreateDatabases, withMaintenance } from '../../postgres/scratch.js'
import { newRunId } from '../../runbook/journal.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import { shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import type { Unwritten } from '../../unwritten.js'
import { checkParts, leftOut, partSteps } from './backup-parts.js'

export interface BackupOptions {
  with: FilePart[]
  label?: string
  /** Milliseconds: nothing is done when the newest proven backup is younger. */
  ifOlderThan?: number
  /** A line for `sh`, run when the backup is proven, with its folder in MSTDN_BACKUP. */
  afterCommand?: Unwritten
  bytesPerSecond?: number
  /** A backup that the platform has made already: it is downloaded, and no other dump made. */
  capture?: string
}

export interface BackupResult {
  /** Null when no backup was due. */
  name: string | null
  path: string | null
  bytes: number
  /** Null where nothing was there to count them with. */
  rows: number | null
  encrypted: boolean
  parts: FilePart[]
  /** What was asked for and is not in it, each as a sentence. */
  leftOut: string[]
  /** Milliseconds of each step. */
  took: Record<string, number>
}

/** Under this key the result of a backup is noted. */
export const BACKUP_NOTE = 'backup'

const UNDECODED =
  'Not decoded: there is no pg_restore here that could read it. It is proven by mstdn-ops db:verify where there is one.'

const NOT_DUE: BackupResult = {
  name: null,
  path: null,
  bytes: 0,
  rows: 0,
  encrypted: false,
  parts: [],
  leftOut: [],
  took: {},
}

/**
 * Makes a backup that is proven before it is listed: written aside, decoded whole on the way, read back from the disk,
 * and only then given its name.
 */
export const backup: Runbook<BackupOptions, BackupResult> = {
  name: 'db:backup',
  disposable: true,
  check: async (toolbox, options) => {
    if (!(await isDue(toolbox, options))) return
    await capturesInstead(toolbox)
    if (toolbox.instance.backups.recipient !== undefined) await encryptTo(toolbox.instance.backups.recipient)
    const [size] = await (await toolbox.database()).query<{ bytes: number }>(
      'SELECT pg_database_size(current_database()) AS bytes',
    )
    await refuseNoRoom(storeOf(toolbox), size?.bytes ?? 0, await checkParts(toolbox, options))
  },
  steps: async (toolbox, options) => {
    if (!(await isDue(toolbox, options))) return []
    const draft = await emptyDraft(toolbox, options)
    const parts = partSteps(draft, options)
    return [
      prepareStep(draft),
      ...[databaseStep(draft, options), ...parts, proveStep(draft)].map(step => timed(draft, step)),
      finishStep(draft, options),
      ...(options.afterCommand === undefined ? [] : [afterStep(draft, options.afterCommand)]),
    ]
  },
  result: async (_toolbox, _options, noted) => {
    const result = noted(BACKUP_NOTE)
    return result === undefined ? NOT_DUE : (JSON.parse(result) as BackupResult)
  },
}

async function emptyDraft(toolbox: Toolbox, { label }: BackupOptions): Promise<Draft> {
  const startedAt = toolbox.clock.now()
  return {
    name: newRunId(startedAt),
    partial: '',
    startedAt,
    label: label ?? null,
    recipient: toolbox.instance.backups.recipient ?? null,
    files: [],
    media: await mediaUnasked(toolbox),
    redis: { kept: false, why: 'not asked for' },
    took: {},
  }
}

/** Neither one of another instance counts, nor one that the clock of this machine once made in the future. */
async function isDue(toolbox: Toolbox, { ifOlderThan }: BackupOptions): Promise<boolean> {
  if (ifOlderThan === undefined) return true
  const domain = await toolbox.app.domain()
  const { backups } = await storeOf(toolbox).list()
  const ages = backups
    .filter(backup => isProven(backup) && backup.manifest.instance.domain === domain)
    .map(({ manifest }) => toolbox.clock.now().getTime() - Date.parse(manifest.startedAt))
  return !ages.some(age => age >= 0 && age < ifOlderThan)
}

/** Notes how long the step took. */
function timed(draft: Draft, step: Step): Step {
  const run = async (context: StepContext) => {
    const started = Date.now()
    await step.run(context)
    draft.took[step.id] = Date.now() - started
  }
  return { ...step, run }
}

/** The lock tells that nobody else works for this instance, so that what it has not finished was killed. */
function prepareStep(draft: Draft): Step {
  return {
    id: 'prepare',
    title: 'Clear away what a killed backup left, and make the folder',
    effect: 'write',
    run: async ({ toolbox, dryRun, runId }) => {
      if (dryRun) return
      const [store, owner] = [storeOf(toolbox), await ownerOf(toolbox, runId)]
      for (const name of await store.clean(owner))
        toolbox.output.info(`Removed ${name}, which a killed backup had left.`)
      await clearDrills(toolbox)
      draft.partial = await makeFolder(store, draft.name, owner)
      draft.secrets = await fingerprinted(toolbox)
    },
    undo: async ({ toolbox }) => {
      if (draft.partial !== '') await storeOf(toolbox).drop(draft.partial)
    },
  }
}

async function clearDrills(toolbox: Toolbox): Promise<void> {
  if (!(await mayCreateDatabases(await toolbox.database()))) return
  const dropped = await withMaintenance(toolbox, 'backup', maintenance => dropDrills(toolbox, maintenance))
  for (const name of dropped) toolbox.output.info(`Dropped ${name}, which a killed drill had left.`)
}

function makeFolder(store: BackupStore, name: string, owner: Owner): Promise<string> {
  return store.begin(name, owner).catch(error => {
    throw new RefusedError({
      code: 'no-backup-folder',
      message: `No folder can be made in ${store.dir}.`,
      cause: (error as Error).message,
      next: 'Correct its owner or mode, or name another folder under backups in mstdn-ops.yaml.',
    })
  })
}

function databaseStep(draft: Draft, { bytesPerSecond, capture }: BackupOptions): Step {
  return {
    id: 'database',
    title: 'Dump the database, and decode the dump on the way',
    effect: 'read',
    run: async ({ toolbox, dryRun, progress, stop }) => {
      if (dryRun) return
      const seal = draft.recipient === null ? {} : { seal: await encryptTo(draft.recipient) }
      const rate = bytesPerSecond === undefined ? {} : { bytesPerSecond }
      const known = capture === undefined ? {} : { id: capture }
      const options = { dir: draft.partial, onProgress: progress, stop, ...seal, ...rate, ...known }
      const captures = capture === undefined ? await capturesInstead(toolbox) : toolbox.backend.captures
      draft.database = await (captures ? captureDatabase(toolbox, captures, options) : dumpDatabase(toolbox, options))
      draft.files.push(draft.database.file)
    },
  }
}

/** What the disk gives back is compared with what was written. */
function proveStep(draft: Draft): Step {
  return {
    id: 'read-back',
    title: 'Read the files back and compare their checksums',
    effect: 'read',
    run: async ({ dryRun, stop }) => {
      if (dryRun) return
      for (const { name, bytes, sha256 } of draft.files) {
        const found = await readSum(join(draft.partial, name), stop)
        if (found.bytes !== bytes || found.sha256 !== sha256) throw notReadBack(name)
      }
    },
  }
}

function notReadBack(name: string): RefusedError {
  return new RefusedError({
    code: 'not-read-back',
    message: `${name} on the disk is not what was written.`,
    cause: 'Its size or its SHA-256 is another: the disk or its controller is faulty.',
    next: 'Look at the disk (smartctl, dmesg), and keep backups on another one.',
  })
}

function finishStep(draft: Draft, options: BackupOptions): Step {
  return {
    id: 'finish',
    title: 'Write the manifest, and give the backup its name',
    effect: 'write',
    run: async context => {
      const { toolbox, dryRun } = context
      const store = storeOf(toolbox)
      toolbox.ledger.record(dumpEntry(join(store.dir, draft.name), draft))
      if (dryRun) return
      const manifest = await manifestOf(toolbox, draft)
      const path = await store.finish(draft.partial, manifest)
      await context.note(BACKUP_NOTE, JSON.stringify(resultOf(path, manifest, options))).catch(error => {
        throw notNoted(path, error)
      })
    },
    atomic: true,
    repeatable: true,
    irreversible: 'a backup that is proven stays',
  }
}

function notNoted(path: string, error: unknown): NotUndoneError {
  return new NotUndoneError({
    code: 'journal-not-written',
    message: `The backup ${path} is made and proven, but the journal of this run cannot be written.`,
    cause: messageOf(error),
  })
}

function dumpEntry(folder: string, { database, recipient }: Draft) {
  const line = dumpLine(folder, database?.file, recipient)
  return { kind: 'command', exact: line, byHand: line } as const
}

function resultOf(path: string, manifest: Manifest, options: BackupOptions): BackupResult {
  const { name, files, counts, recipient, took } = manifest
  return {
    name,
    path,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    rows: counts.by === 'nothing' ? null : counts.tables.reduce((sum, table) => sum + table.rows, 0),
    encrypted: recipient !== null,
    parts: [...new Set(files.map(file => file.part))],
    leftOut: [...(counts.by === 'nothing' ? [UNDECODED] : []), ...leftOut(manifest, options)],
    took,
  }
}

/** The line may hold a secret, like the password of a remote place: it goes by the environment, which no list shows. */
const GIVEN_LINE = 'line=$MSTDN_AFTER; unset MSTDN_AFTER; eval "$line"'

function afterStep(draft: Draft, line: Unwritten): Step {
  return {
    id: 'after-command',
    title: 'Run the command of --after-command',
    effect: 'write',
    repeatable: true,
    run: async ({ toolbox }) => {
      const env = { MSTDN_BACKUP: join(storeOf(toolbox).dir, draft.name), MSTDN_AFTER: line.text }
      const byHand = `${shellLine([`MSTDN_BACKUP=${env.MSTDN_BACKUP}`])} LINE   # the one of --after-command`
      const invocation = { file: 'sh', args: ['-c', GIVEN_LINE], env, byHand, effect: 'write' } as const
      // A shell that does not understand the line prints it with its complaint.
      for (const part of line.text.split('\n')) toolbox.output.redactor.add('the line of --after-command', part.trim())
      const outcome = await toolbox.runner.run(invocation)
      if (outcome.exitCode === 0) return
      throw new NotUndoneError({
        code: 'after-command-failed',
        message: `The command after the backup failed (code ${outcome.exitCode}).`,
        cause: outcome.stderr.trim().split('\n').at(-1) || 'It gave no reason.',
        next: `The backup itself stands: ${env.MSTDN_BACKUP}. Run the command again by hand.`,
      })
    },
  }
}
