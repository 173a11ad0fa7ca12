import { join } from 'node:path'
import { ownerOf } from '../../backups/owner.js'
import { openBackup, storeOf } from '../../backups/store.js'
import { messageOf, NotUndoneError, RefusedError } from '../../errors.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { BROKEN } from './close.js'
import { differencesAt } from './content.js'
import { capturesOf, liveDatabase } from './live.js'
import { makeBackup, safetyBackup } from './safety-backup.js'

/** Under this key a run notes that the copy holds what the database holds. */
const PROVEN = 'safety-proven'
/** How often it is tried to put the safety backup back. */
const ATTEMPTS = 2

/**
 * Lets the platform make a backup of the database, in which nobody writes any more: it goes back without an upload. A
 * copy of it is downloaded and decoded, and its rows compared with the database, before that is emptied.
 */
export function safetyCaptureStep(label: string): Step {
  return {
    id: 'safety-backup',
    title: 'Let the platform make a safety backup, and prove a copy of it here',
    effect: 'write',
    done: async ({ noted }) => noted(PROVEN) === 'yes',
    run: async context => {
      // Gone on with after an undo that failed: what is in the database now is no state to be kept.
      if (context.noted(BROKEN) === 'yes') return
      const uuid = await captured(context)
      await makeBackup(context, { with: [], label, capture: uuid })
      if (context.dryRun) return
      await refuseUnlike(context)
      await context.note(PROVEN, 'yes')
    },
    // Both stay, and harm nobody: the copy as a backup in the list.
    undo: async ({ toolbox, runId, noted, note }) => {
      // People may write before a run that goes on all the same comes here again: then it needs another one.
      if (noted(BROKEN) !== 'yes') for (const key of ['safety-mark', PROVEN]) await note(key, '')
      await storeOf(toolbox).clean(await ownerOf(toolbox, runId))
    },
  }
}

async function captured(context: StepContext): Promise<string> {
  const captures = capturesOf(context.toolbox)
  if (!context.noted('safety-mark')) await context.note('safety-mark', await captures.mark())
  const made = await captures.capture({
    mark: context.noted('safety-mark') ?? '',
    onStarted: ({ id, uuid }) => context.note('safety', JSON.stringify({ id, uuid })),
    onProgress: ({ bytes }) => context.progress(`${Math.round(bytes / 1e6)} MB`),
  })
  return made.uuid
}

/** Returns what people call the safety backup on the platform; undefined where none was made. */
export function safetyCapture(noted: StepContext['noted']): { id: string; uuid: string } | undefined {
  const safety = noted('safety')
  return safety === undefined ? undefined : (JSON.parse(safety) as { id: string; uuid: string })
}

/** Nobody writes, so that even the last row must be in it. */
async function refuseUnlike(context: StepContext): Promise<void> {
  const [first] = await unlike(context)
  if (first === undefined) return
  throw new RefusedError({
    code: 'safety-backup-differs',
    message: 'The safety backup does not hold what the database holds.',
    cause: first,
    next: 'Look who writes there (mstdn-ops doctor, pg_stat_activity), then run the command again.',
  })
}

async function unlike(context: StepContext): Promise<string[]> {
  const { manifest } = await openBackup(join(storeOf(context.toolbox).dir, safetyBackup(context.noted)?.name ?? ''))
  if (manifest.counts.by === 'nothing') return ['It could not be decoded: no pg_restore here reads it.']
  const expected = { tables: manifest.counts.tables, shape: manifest.shape }
  return differencesAt(context, await liveDatabase(context), expected)
}

/**
 * Puts the safety backup back into the emptied database and looks that every row is there.
 *
 * @throws NotUndoneError when it is not.
 */
export async function putSafetyBack(
  context: StepContext,
  empty: (context: StepContext) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await backIn(context, empty)
      return
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      context.toolbox.output.warn(`${messageOf(error)} It is tried once more.`)
    }
  }
}

/** What a killed undo had begun is taken up; otherwise tables that the safety backup has not are cleared away first. */
async function backIn(context: StepContext, empty: (context: StepContext) => Promise<void>): Promise<void> {
  const { toolbox, noted, note, progress } = context
  const captures = capturesOf(toolbox)
  if (!noted('back-mark')) {
    await empty(context).catch(unlessRefused)
    await note('back-mark', await captures.mark())
  }
  const { uuid } = safetyCapture(noted) ?? { uuid: '' }
  const onProgress = ({ bytes }: { bytes: number }) => progress(`${Math.round(bytes / 1e6)} MB`)
  await toolbox.letGoOfDatabase()
  await captures.restore(uuid, { mark: noted('back-mark') ?? '', onProgress })
  const [first] = await unlike(context)
  if (first === undefined) return
  await forgetBack(context)
  throw notBack(first)
}

/** What was put back is gone or no good: the next time it is put back anew, and the transfer of then not taken up. */
export async function forgetBack({ dryRun, noted, note }: StepContext): Promise<void> {
  if (!dryRun && noted('back-mark')) await note('back-mark', '')
}

/** The restore drops what it replaces: a reset that is refused is no reason to leave it. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof RefusedError)) throw error
}

function notBack(cause: string): NotUndoneError {
  return new NotUndoneError({
    code: 'safety-not-back',
    message: 'The safety backup was put back, but the database is not what it was.',
    cause,
    next: 'mstdn-ops resume --undo',
  })
}
