import { humanBytes, humanDuration } from '../../../text.js'
import { MADE, type RehearsalResult } from './options.js'

/** How many lines of each kind are shown; `--json` has all. */
const MOST = 10

/** Returns what the rehearsal told, for people: the forecast, and what it is made of. */
export function rehearsedText(result: RehearsalResult): string {
  return [
    verdictOf(result),
    '',
    ...sourceLines(result),
    ...migrationLines(result),
    ...lockLines(result),
    ...rewriteLines(result),
    '',
    ...forecastLines(result),
    `The ${MADE[result.in]}, the network and the Redis of the rehearsal are removed.`,
  ].join('\n')
}

function verdictOf({ from, to, ok, why, failed }: RehearsalResult): string {
  if (ok) return `The upgrade from ${from} to ${to} was rehearsed well: the real one may go ahead.`
  const lines = [`The upgrade from ${from} to ${to} would not end well: ${why}`]
  if (failed === null) return lines[0] ?? ''
  if (failed.id !== null) lines.push(`  Migration: ${failed.id}${failed.name === null ? '' : ` ${failed.name}`}`)
  lines.push(`  ${failed.reason}`)
  if (failed.explanation !== null) lines.push(...failed.explanation.split('\n').map(line => `  ${line}`))
  return lines.join('\n')
}

function sourceLines({ source, mayConnectTo, in: where }: RehearsalResult): string[] {
  const what = source.backup === null ? 'a dump made for it' : `the backup ${source.backup}`
  const line = `Rehearsed with ${what}, of ${source.at} (${humanBytes(source.bytes)})`
  if (where !== 'server') return [`${line}, in a PostgreSQL of its own.`]
  const reach = mayConnectTo.length === 0 ? 'no other database' : mayConnectTo.join(', ')
  return [
    `${line}, on the live server.`,
    `Its role owned the scratch database, and could connect to: ${reach}${mayConnectTo.length === 0 ? '' : ' (as everybody may; it had no right on a table of the instance)'}.`,
  ]
}

function migrationLines({ migrations }: RehearsalResult): string[] {
  const slowest = migrations.toSorted((a, b) => b.seconds - a.seconds).slice(0, MOST)
  const more = migrations.length > MOST ? `, the ${MOST} slowest of ${migrations.length}` : ''
  return list(
    `Seconds of each migration${more}:`,
    slowest.map(({ name, seconds, phase }) => `${seconds.toFixed(1).padStart(9)}  ${name} (${phase})`),
  )
}

function lockLines({ locks, unseen }: RehearsalResult): string[] {
  const rows = locks.slice(0, MOST)
  const text = rows.map(
    ({ seconds, mode, table, migration }) =>
      `${seconds.toFixed(1).padStart(9)}  ${mode} on ${table}${migration === null ? '' : `: ${migration}`}`,
  )
  const told = list('Seconds for which tables were locked (others wait for them as long):', text)
  return unseen === null ? told : [...told, '', `Locks were not seen all the time: ${unseen}`]
}

function rewriteLines({ rewrites }: RehearsalResult): string[] {
  return list(
    'Tables that were written anew as a whole:',
    rewrites.map(({ table, bytes, migration }) => {
      return `  ${table} (${humanBytes(bytes)})${migration === null ? '' : `: ${migration}`}`
    }),
  )
}

const WOULD_END = {
  pre: 'the old release would serve on',
  post: 'past the point of no return, with the new release serving',
  all: 'past the point of no return, with nothing serving',
} as const

function forecastLines({ failed, phases, disk, forecast }: RehearsalResult): string[] {
  if (failed !== null)
    return [`Forecast: it would fail there, ${WOULD_END[failed.phase]}. Mend the cause, and rehearse again.`]
  const { migrationSeconds, backupSeconds, stoppedSeconds, diskBytes } = forecast
  // Of the phases that were run: a line of a migration may have gone unread.
  if (migrationSeconds === 0) return ['Forecast: nothing is to be migrated, a restart is all.']
  const took = (seconds: number) => (seconds < 60 ? `${seconds.toFixed(1)} s` : humanDuration(seconds))
  const backup = backupSeconds === null ? 'a backup' : `${took(backupSeconds)} for a backup`
  const stop = phases === 'two' ? 'a restart' : `a restart, and ${took(stoppedSeconds)} while it migrates`
  return [
    'Forecast:',
    `  In all: ${took(migrationSeconds)} for the migrations, ${backup}, and a restart.`,
    `  Downtime: ${stop}.`,
    `  Disk: ${humanBytes(diskBytes)} more on the database’s disk (database ${humanBytes(disk.before)} before, ${humanBytes(disk.after)} after; log ${disk.log === null ? 'not known' : humanBytes(disk.log)}).`,
  ]
}

function list(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines]
}
