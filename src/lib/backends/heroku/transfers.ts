import { readText, records, toRecord } from '../json.js'
import type { Transfer } from '../managed-database.js'

/** A transfer with what the data API needs to be asked about it. */
export interface HerokuTransfer extends Transfer {
  /** Counts all transfers of the app, backups and restores alike. */
  num: number
  /** Where a backup lies on the platform; opens with a signature alone. */
  url: string
  /** The last lines of its log, where they were asked for. */
  log: string[]
}

const LOG_LINES = 5
const MOST_OF_LINE = 200

/** Returns a transfer as the data API tells of it (heroku 11.10.0, lib/pg/types.d.ts and lib/pg/backups.js). */
export function transferFrom(answer: unknown): HerokuTransfer {
  const raw = toRecord(answer)
  return {
    uuid: readText(raw.uuid),
    id: idOf(raw),
    kind: kindOf(raw),
    state: stateOf(raw),
    startedAt: dateOf(raw.started_at),
    finishedAt: dateOf(raw.finished_at),
    bytes: numberOf(raw.processed_bytes),
    warnings: numberOf(raw.warnings),
    scheduled: raw.schedule !== undefined && raw.schedule !== null,
    num: numberOf(raw.num),
    url: readText(raw.to_url),
    log: logOf(raw),
  }
}

/** Returns what a dry run would have begun. */
export function plannedTransfer(kind: Transfer['kind']): HerokuTransfer {
  const unknown = { uuid: '', id: 'none', startedAt: undefined, finishedAt: undefined, num: 0, url: '', log: [] }
  return { ...unknown, kind, state: 'planned', bytes: 0, warnings: 0, scheduled: false }
}

/** Returns what operators see of it. */
export function shownTransfer({ num: _num, url: _url, log: _log, ...transfer }: HerokuTransfer): Transfer {
  return transfer
}

function kindOf({ from_type, to_type }: Record<string, unknown>): Transfer['kind'] {
  if (to_type !== 'pg_restore') return 'backup'
  return from_type === 'pg_dump' ? 'copy' : 'restore'
}

/** As the CLI names it: `a` is one that was scheduled, `o` one of the time before 2014. */
function idOf(raw: Record<string, unknown>): string {
  const old = readText(toRecord(raw.options).pgbackups_name)
  if (old !== '') return `o${old}`
  const ofBackup = raw.schedule && raw.from_type === 'pg_dump' ? 'a' : 'b'
  const prefix = { backup: ofBackup, restore: 'r', copy: 'c' }[kindOf(raw) as 'backup' | 'restore' | 'copy']
  return `${prefix}${String(numberOf(raw.num)).padStart(3, '0')}`
}

/** One that was cancelled has an end too, and did not succeed. */
function stateOf(raw: Record<string, unknown>): Transfer['state'] {
  if (raw.canceled_at) return 'canceled'
  if (raw.finished_at) return raw.succeeded === true ? 'succeeded' : 'failed'
  return raw.succeeded === false ? 'failed' : 'running'
}

function logOf(raw: Record<string, unknown>): string[] {
  const lines = records(raw.logs).map(({ message }) => readText(message).trim().slice(0, MOST_OF_LINE))
  return lines.filter(Boolean).slice(-LOG_LINES)
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function dateOf(value: unknown): Date | undefined {
  const date = new Date(readText(value))
  return Number.isNaN(date.getTime()) ? undefined : date
}
