import { basename } from 'node:path'
import { type StepBack, stepBack } from '../../backups/diff.js'
import { type ForeignDump, openForeign } from '../../backups/foreign/opened.js'
import { differencesIn, openOther } from '../../backups/restore-into.js'
import { RefusedError, UsageError } from '../../errors.js'
import type { Database } from '../../postgres/access.js'
import { whileRoom } from '../../postgres/room.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import type { Content } from '../replace/content.js'
import { makeFresh } from '../replace/fresh.js'
import { noteKeptUntil } from '../replace/keep.js'
import type { Lacking } from '../replace/migrate.js'
import { namesOf } from '../replace/names.js'
import { noteUnseen } from '../replace/room.js'
import { refuseSecondDatabase } from '../replace/second-database.js'
import { refuseUnfit } from './fit.js'
import { backText, takeItsPlace, undoFresh } from './restore.js'
import { type ManagedOptions, type ManagedWay, managedWay } from './restore-managed.js'
import { type RestoreResult, restoreResult, rowsIn } from './restore-result.js'

export interface RestoreFileOptions extends ManagedOptions {
  /** The path of a dump that this tool did not make. */
  file: string
  identity?: string
  /** The operator takes it although nothing proves that its content is what was dumped. */
  unverified: boolean
}

/** A dump of text takes several times its size in a database. */
const GROWTH = 6

/** Restores a dump that others made: by pg_dump in custom format, plain SQL, or pg_dumpall. */
export const restoreFile: Runbook<RestoreFileOptions, RestoreResult> = {
  name: 'db:restore-file',
  check: async (toolbox, options) => {
    if (!options.unverified) throw notProven(options.file)
    const dump = await opened(toolbox, options)
    await refuseUnfit(toolbox, dump.versions)
    const way = await wayOf(toolbox, options)
    await (way ? way.check() : refuseSecondDatabase(toolbox, dump.bytes * GROWTH))
  },
  consent: async (toolbox, options) => {
    const told = [await toldOf(toolbox, options), (await (await wayOf(toolbox, options))?.told()) ?? '']
    const lost = `Everything since the dump ${options.file} was made is lost here.`
    return { kind: 'domain', loses: [lost, ...told.filter(Boolean)].join('\n') }
  },
  steps: async (toolbox, options) => {
    const way = await wayOf(toolbox, options)
    if (way) return way.steps()
    const dump = () => opened(toolbox, options)
    return [fileStep(options, dump), compareFileStep(dump), ...takeItsPlace(options, lackingOf(options))]
  },
  result: async (toolbox, options, noted) => {
    const { tables } = await opened(toolbox, options)
    const content = { backup: basename(options.file), stateOf: null, rows: rowsIn(tables) }
    return restoreResult(toolbox, content, await wayOf(toolbox, options), noted)
  },
}

/** Reading it to its end takes long: once for each call of the tool. */
const read = new WeakMap<Toolbox, Promise<ForeignDump>>()

function opened(
  toolbox: Toolbox,
  { file, identity }: Pick<RestoreFileOptions, 'file'> & { identity?: string | undefined },
): Promise<ForeignDump> {
  const dump = read.get(toolbox) ?? openForeign(toolbox, file, identity)
  read.set(toolbox, dump)
  return dump
}

const NOT_COUNTED = 'What that is cannot be counted beforehand for a dump of this format.'

/** Only rows that a plain dump holds as text can be compared before they are restored. */
async function toldOf(toolbox: Toolbox, options: RestoreFileOptions): Promise<string> {
  const { sql } = await opened(toolbox, options)
  return sql === undefined ? NOT_COUNTED : backText(stepBack(toolbox, { sql }, null))
}

/** Returns what going back to the dump means, counted. @throws RefusedError for a format that tells nothing beforehand. */
export async function backToFile(toolbox: Toolbox, file: string, identity?: string): Promise<StepBack> {
  const { sql } = await opened(toolbox, { file, identity })
  if (sql !== undefined) return stepBack(toolbox, { sql }, null)
  throw new RefusedError({ code: 'dump-not-comparable', message: `${file} is not compared.`, cause: NOT_COUNTED })
}

function fileStep(options: RestoreFileOptions, dump: () => Promise<ForeignDump>): Step {
  return {
    id: 'restore',
    title: `Restore ${basename(options.file)} into a new database beside the live one`,
    effect: 'write',
    run: async context => {
      await noteKeptUntil(context, options)
      const fresh = await makeFresh(context, 'restore')
      const { into, line } = await dump()
      context.toolbox.ledger.command(line(fresh))
      if (context.dryRun) return
      const told = (bytes: number) => context.progress(`${Math.round(bytes / 1e6)} MB`)
      await whileRoom(context.toolbox, fresh, () => into(fresh, told), noteUnseen(context))
    },
    undo: undoFresh,
  }
}

function compareFileStep(dump: () => Promise<ForeignDump>): Step {
  return {
    id: 'compare',
    title: 'Compare every table’s rows with the dump, and the domain',
    effect: 'read',
    run: async context => {
      if (context.dryRun) return
      const { fresh } = await namesOf(context)
      const [difference] = await differencesIn(context.toolbox, fresh, { tables: (await dump()).tables })
      if (difference !== undefined) throw otherwise(difference)
      const database = await openOther(context.toolbox, fresh, 'compare')
      await refuseOtherDomain(context, database).finally(() => database.close())
    },
  }
}

function wayOf(toolbox: Toolbox, options: RestoreFileOptions): Promise<ManagedWay | undefined> {
  return managedWay(toolbox, contentOf(options), options)
}

function lackingOf(options: RestoreFileOptions): Lacking {
  return async toolbox => (await refuseUnfit(toolbox, (await opened(toolbox, options)).versions)).pending
}

function contentOf(options: RestoreFileOptions): Content {
  return {
    name: basename(options.file),
    into: async ({ toolbox, progress }, connector) =>
      (await opened(toolbox, options)).through(connector, bytes => progress(`${Math.round(bytes / 1e6)} MB`)),
    line: async ({ toolbox }, database) => (await opened(toolbox, options)).line(database),
    expected: async ({ toolbox }) => ({ tables: (await opened(toolbox, options)).tables }),
    lacking: lackingOf(options),
    refuse: refuseOtherDomain,
  }
}

/** The addresses of local posts name the domain that other servers know them by (statuses.uri, 1.6 and later). */
async function refuseOtherDomain({ toolbox }: StepContext, database: Database): Promise<void> {
  const config = await toolbox.app.config()
  const own = [await toolbox.app.domain(), config.get('WEB_DOMAIN')].filter(Boolean)
  const [row] = await database.query<{ host: string }>(
    `SELECT split_part(uri, '/', 3) AS host FROM statuses WHERE local AND uri LIKE 'http%' ORDER BY id DESC LIMIT 1`,
  )
  if (row === undefined || own.includes(row.host)) return
  throw new RefusedError({
    code: 'backup-of-another-domain',
    message: `The dump is of ${row.host}, this instance is ${own.join(' or ')}.`,
    cause: 'Accounts, posts and keys belong to their domain: other servers know them by it.',
    next: 'Choose a dump of this instance.',
  })
}

function notProven(file: string): UsageError {
  return new UsageError({
    code: 'content-not-proven',
    message: `The content of ${file} is not proven: it is no backup of mstdn-ops, and brings no checksum.`,
    cause: 'Its form is looked at, and every row is counted; a changed letter inside of a row would not be seen.',
    next: 'To take it all the same, add --unverified and --confirm DOMAIN.',
  })
}

function otherwise(cause: string): RefusedError {
  return new RefusedError({
    code: 'restored-otherwise',
    message: 'What was restored is not what the dump holds.',
    cause,
  })
}
