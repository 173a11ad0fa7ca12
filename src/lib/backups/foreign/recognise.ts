import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Runner } from '../../runner.js'
import { ARCHIVE_MAGIC, type ArchiveHeader, archiveHeader, HeaderProblem } from './archive-header.js'
import { refuseOther } from './other-files.js'
import { cut, damaged, throughTerminal, unfit } from './problems.js'
import { type DumpSource, headOf } from './source.js'
import { wentThroughTerminal } from './terminal.js'
import { type Packing, unpacked } from './unpack.js'

/** What a dump is, told by its content and never by its name. */
export type DumpKind = CustomDump | SqlDump

/** The custom format of pg_dump (-Fc): what pg_restore reads. */
export interface CustomDump {
  format: 'custom'
  packing: Packing
  header: ArchiveHeader
}

/** Text for psql. */
export interface SqlDump {
  format: 'sql'
  packing: Packing
  /** All databases of a server, by pg_dumpall. */
  cluster: boolean
  /** A terminal put a carriage return before every line feed; {@link sqlOf} takes them away. */
  terminal: boolean
  /** The server's version as it names itself; null where the file does not tell. */
  server: string | null
  /** The version of pg_dump. */
  dumpedBy: string | null
}

const HEAD = 128 * 1024
const GZIP = Buffer.from([0x1f, 0x8b, 0x08])
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf'
const HEADER = /^--\n-- PostgreSQL database (cluster )?dump\n--\n/

/**
 * Tells what a dump is.
 *
 * @throws RefusedError for what is no dump or cannot be restored as it is, by its name: an empty file, an error page, a
 * dump in directory or tar format, one that a terminal destroyed, one that is encrypted and has got no key.
 */
export async function recognise(source: DumpSource, runner: Runner): Promise<DumpKind> {
  await refuseNoFile(source.path)
  const head = await headOf(source, HEAD)
  if (head.length === 0) throw unfit(source.path, { code: 'dump-empty', is: 'is empty' })
  const packing = packingOf(head)
  if (packing === 'none') return kindOf(source, head, packing)
  if (await wentThroughTerminal(source)) throw throughTerminal(source.path)
  const content = unpacked(source, packing, runner)
  const inner = await headOf(content, HEAD)
  if (inner.length === 0) throw unfit(source.path, { code: 'dump-empty', is: 'holds nothing, packed' })
  return kindOf(content, inner, packing)
}

function packingOf(head: Buffer): Packing {
  if (head.subarray(0, GZIP.length).equals(GZIP)) return 'gzip'
  return head.subarray(0, ZSTD.length).equals(ZSTD) ? 'zstd' : 'none'
}

async function kindOf(source: DumpSource, head: Buffer, packing: Packing): Promise<DumpKind> {
  const text = head.toString('latin1')
  if (text.startsWith(ARCHIVE_MAGIC)) return customOf(source, head, packing)
  return sqlDump(text.replace(BYTE_ORDER_MARK, ''), packing) ?? refuseOther(source.path, head)
}

async function customOf(source: DumpSource, head: Buffer, packing: Packing): Promise<CustomDump> {
  if (await wentThroughTerminal(source)) throw throughTerminal(source.path)
  try {
    return { format: 'custom', packing, header: archiveHeader(head) }
  } catch (error) {
    throw error instanceof HeaderProblem ? refusalOf(source.path, error) : error
  }
}

function refusalOf(path: string, { kind, message }: HeaderProblem): Error {
  if (kind === 'cut') return cut(path, message)
  if (kind === 'damaged') return damaged(path, message)
  const code = `dump-${kind}`
  if (kind === 'too-old') return unfit(path, { code, is: 'is too old', cause: message })
  const next = 'Make it plain with the pg_restore that belongs to it: pg_restore -f dump.sql FILE'
  if (kind === 'too-new') return unfit(path, { code, is: 'is of a newer PostgreSQL', cause: message, next })
  return unfit(path, {
    ...{ code, is: 'is a part of a dump', cause: message },
    next: 'Make it one file from the whole: pg_restore -f dump.sql FOLDER_OR_TAR',
  })
}

function sqlDump(text: string, packing: Packing): SqlDump | undefined {
  const unix = text.replaceAll('\r\n', '\n')
  const found = HEADER.exec(unix)
  if (!found) return undefined
  return {
    ...{ format: 'sql', packing, cluster: found[1] !== undefined, terminal: text.startsWith('--\r\n') },
    server: /^-- Dumped from database version (.+)$/m.exec(unix)?.[1] ?? null,
    dumpedBy: /^-- Dumped by pg_dump version (.+)$/m.exec(unix)?.[1] ?? null,
  }
}

async function refuseNoFile(path: string): Promise<void> {
  const found = await stat(path).catch(error => {
    throw unfit(path, { code: 'dump-unreadable', is: 'cannot be read', cause: error.message, next: 'Check the path.' })
  })
  if (found.isFile()) return
  if (await isFile(join(path, 'toc.dat')))
    throw unfit(path, {
      ...{ code: 'dump-directory', is: 'is a dump in directory format' },
      next: `Make it one file, and restore that: pg_restore -f dump.sql ${path}`,
    })
  throw unfit(path, {
    code: 'dump-no-file',
    is: 'is no file',
    next: 'Name the file of a dump, or a backup of db:backups.',
  })
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isFile(),
    () => false,
  )
}

/**
 * Returns a version of PostgreSQL as `server_version_num` has it: 150018 for `15.18 (Debian …)`, 90624 for `9.6.24`.
 * @returns undefined for what names none
 */
export function versionNumber(text: string): number | undefined {
  const [, first, second, third] = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text) ?? []
  if (first === undefined) return undefined
  const major = Number(first)
  if (major >= 10) return major * 10_000 + Number(second ?? 0)
  return major * 10_000 + Number(second ?? 0) * 100 + Number(third ?? 0)
}
