import type { AppProcess, DiskSpace, Volume } from '../backends/backend.js'
import type { JobsOverview, QueueState } from '../runbooks/jobs/overview.js'
import type { TableLayout } from '../tables.js'
import { grouped, humanBytes, humanDuration, plural } from '../text.js'
import type { Part, ReleaseStatus, RowsStatus, Status } from './status.js'

/** How tables are laid out, and how wide the terminal is. */
export interface Page {
  layOut: TableLayout
  columns: number
  now: Date
}

/** Returns the status for people: all that matters in the first line, then the details. */
export function statusText(status: Status, page: Page): string {
  return [
    headline(status),
    '',
    `Instance   ${status.title}`,
    line('Domain', status.domain, domain => domain),
    line('Release', status.release, releaseText),
    'Backup     none is recorded',
    line('Rows', status.rows, rowsText),
    line('Jobs', status.jobs, jobsText),
    line('Disk', status.disk, disks => disks.map(diskText).join('; ') || 'none is mounted'),
    ...(status.maintenance.value ? ['Visitors   see the maintenance page: mstdn-ops maintenance:off'] : []),
    ...unfinishedLines(status.unfinishedRun),
    ...table('Processes', status.processes, page, processTable),
    ...table('Queues', status.jobs, page, queueTable),
    ...table('Volumes', status.volumes, page, volumeTable),
  ].join('\n')
}

/** Returns the one line for a tired reader; what is not known is left out of it. */
export function headline({ release, jobs, rows, disk, maintenance, unfinishedRun }: Status): string {
  const parts = [
    release.value ? `Mastodon ${release.value.installed}${updateText(release.value)}` : 'Mastodon of unknown version',
    'no backup recorded',
    jobs.value && behindText(jobs.value),
    rows.value && (rows.value.budget?.text ?? `${grouped(rows.value.rows)} rows`),
    disk.value && fullestText(disk.value),
    maintenance.value && 'MAINTENANCE MODE',
    unfinishedRun.value && `run ${unfinishedRun.value} UNFINISHED`,
  ]
  return parts.filter(part => part !== null && part !== false && part !== '').join(' · ')
}

function updateText({ updateAvailable, newestOfSeries }: ReleaseStatus): string {
  return updateAvailable ? ` (${newestOfSeries} is out)` : ''
}

function behindText({ queues, processes }: JobsOverview): string {
  if (processes.length === 0) return 'no Sidekiq process'
  const waits = queues.map(queue => queue.latency ?? 0)
  return `jobs wait ${humanDuration(Math.max(0, ...waits))}`
}

function fullestText(disks: readonly DiskSpace[]): string {
  const shares = disks.map(({ totalBytes, freeBytes }) => 1 - freeBytes / totalBytes)
  return shares.length === 0 ? '' : `disk ${Math.round(Math.max(...shares) * 100)} % full`
}

function line<T>(title: string, part: Part<T>, text: (value: T) => string): string {
  return `${title.padEnd(10)} ${part.problem === null ? text(part.value) : `not known: ${part.problem}`}`
}

function releaseText(release: ReleaseStatus): string {
  const { installed, newestOfSeries, newest, updateAvailable, supportEnds } = release
  const update = updateAvailable ? `${newestOfSeries} is the newest of its series` : 'the newest of its series'
  const support = supportEnds === null ? '' : `; support ends ${supportEnds}`
  return `${installed}, ${update}, ${newest} of all${support} (table built into this mstdn-ops)`
}

function rowsText({ rows, bytes, tables, budget }: RowsStatus): string {
  const total = `about ${plural(rows, 'row')} in ${plural(tables, 'table')}, ${humanBytes(bytes)}`
  return budget === null ? total : `${budget.text}; ${total}`
}

function jobsText({ stats, problems, processes }: JobsOverview): string {
  const counts = `${grouped(stats.enqueued)} wait, ${grouped(stats.retry)} to be retried, ${grouped(stats.dead)} dead`
  // Where no process runs, that is all there is to say of the queues.
  const told = processes.length === 0 ? problems.slice(0, 1) : problems
  return [counts, ...told.map(problem => `           ! ${problem}`)].join('\n')
}

function diskText({ place, freeBytes, totalBytes }: DiskSpace): string {
  return `${place}: ${humanBytes(freeBytes)} of ${humanBytes(totalBytes)} free`
}

function unfinishedLines({ value, problem }: Part<string | null>): string[] {
  if (problem !== null) return [`Runs       not known: ${problem}`]
  return value === null ? [] : [`Runs       ${value} is unfinished: mstdn-ops resume`]
}

/** What cannot be had as a table has its line of reason above, or gets it here. */
function table<T>(title: string, part: Part<T>, page: Page, text: (value: T, page: Page) => string): string[] {
  if (part.problem !== null) return title === 'Queues' ? [] : [`${title.padEnd(10)} not known: ${part.problem}`]
  return ['', `${title}:`, text(part.value, page)]
}

function processTable(processes: readonly AppProcess[], { layOut, columns, now }: Page): string {
  const since = ({ startedAt, state }: AppProcess) =>
    startedAt && state === 'running' ? humanDuration((now.getTime() - startedAt.getTime()) / 1000) : ''
  const checked = processes.some(({ health }) => health !== 'none')
  const shown = [
    { title: 'ROLE', value: (process: AppProcess) => process.role },
    { title: 'NAME', value: nameOf },
    { title: 'STATE', value: (process: AppProcess) => process.state },
    ...(checked ? [{ title: 'HEALTH', value: (process: AppProcess) => process.health }] : []),
    { title: 'RUNS FOR', value: since },
    ...(processes.some(({ image }) => image !== undefined) ? [{ title: 'IMAGE', value: imageOf }] : []),
  ]
  return processes.length === 0 ? 'none' : layOut(shown, processes, columns)
}

/** A platform's own name of one process, like `web.1`, tells more than its type; a container's id tells nothing. */
function nameOf({ name, id }: AppProcess): string {
  return id.startsWith(`${name}.`) || id.startsWith(`${name}-`) ? id : name
}

function imageOf({ image }: AppProcess): string {
  return image?.split('/').at(-1) ?? ''
}

function queueTable({ queues }: JobsOverview, { layOut, columns }: Page): string {
  const oldest = ({ size, latency }: QueueState) =>
    size === 0 ? '' : latency === null ? 'unknown' : humanDuration(latency)
  const shown = [
    { title: 'QUEUE', value: (queue: QueueState) => queue.name },
    { title: 'JOBS', value: (queue: QueueState) => grouped(queue.size), align: 'right' as const },
    { title: 'OLDEST', value: oldest, align: 'right' as const },
    { title: 'PROCESSES', value: (queue: QueueState) => (queue.listeners === 0 ? 'NONE' : String(queue.listeners)) },
  ]
  return layOut(shown, queues, columns)
}

function volumeTable(volumes: readonly Volume[], { layOut, columns }: Page): string {
  const shown = [
    { title: 'DATA OF', value: (volume: Volume) => volume.place },
    { title: 'KIND', value: (volume: Volume) => volume.kind },
    { title: 'WHERE', value: (volume: Volume) => volume.source ?? volume.name },
    { title: 'IN THE CONTAINER', value: (volume: Volume) => volume.path },
  ]
  return volumes.length === 0 ? 'none' : layOut(shown, volumes, columns)
}
