import type { AppProcess, DiskSpace, Volume } from '../backends/backend.js'
import { messageOf, OperatorError } from '../errors.js'
import { newestRelease, supportEnds } from '../mastodon/releases.js'
import type { MastodonVersion } from '../mastodon/version.js'
import { runsDir } from '../paths.js'
import { type BudgetLine, type HerokuPlan, judgeBudget } from '../postgres/budget.js'
import { rowCounts } from '../postgres/rows.js'
import { unfinishedRun } from '../runbook/journal.js'
import { type JobsOverview, readJobs } from '../runbooks/jobs/overview.js'
import type { Toolbox } from '../toolbox.js'

/** A part of the status: what was read, or why it could not be. */
export type Part<T> = { value: T; problem: null } | { value: null; problem: string }

export interface ReleaseStatus {
  installed: string
  /** The newest release of the installed series in the table that this version of mstdn-ops has. */
  newestOfSeries: string | null
  /** The newest of all in that table. */
  newest: string | null
  /** A newer release of the installed series is known. */
  updateAvailable: boolean
  /** YYYY-MM-DD; null where it is not known. */
  supportEnds: string | null
}

export interface RowsStatus {
  rows: number
  bytes: number
  tables: number
  /** Against the configured budget; null where none is. */
  budget: BudgetLine | null
}

export interface Status {
  instance: string
  title: string
  domain: Part<string>
  release: Part<ReleaseStatus>
  /** When the newest backup was taken; no backup is recorded by this version. */
  backup: { takenAt: string | null }
  jobs: Part<JobsOverview>
  rows: Part<RowsStatus>
  disk: Part<DiskSpace[]>
  processes: Part<AppProcess[]>
  /** Whether visitors see the maintenance page instead of Mastodon. */
  maintenance: Part<boolean>
  volumes: Part<Volume[]>
  /** The id of a run that waits to be resumed. */
  unfinishedRun: Part<string | null>
}

/** Returns what is known of the instance now. A part that cannot be read says why and keeps none of the others away. */
export async function readStatus(toolbox: Toolbox): Promise<Status> {
  const { backend, instance } = toolbox
  const [domain, release, jobs, rows, disk, processes, maintenance, volumes, unfinished] = await Promise.all([
    part(() => toolbox.app.domain()),
    part(async () => releaseStatus(await toolbox.app.version())),
    backend.redis ? part(() => readJobs(toolbox)) : absent(toolbox, 'Redis'),
    backend.postgres ? part(() => rowsStatus(toolbox)) : absent(toolbox, 'PostgreSQL'),
    backend.storage ? part(() => disksOf(toolbox)) : absent(toolbox, 'disks to look at'),
    backend.processes
      ? part(async () => (await backend.processes?.list()) ?? [])
      : absent(toolbox, 'processes to list'),
    backend.maintenance
      ? part(async () => (await backend.maintenance?.isOn()) ?? false)
      : absent(toolbox, 'maintenance mode'),
    backend.storage ? part(async () => (await backend.storage?.volumes()) ?? []) : absent(toolbox, 'volumes to list'),
    part(async () => (await unfinishedRun(runsDir(instance.name)))?.header.runId ?? null),
  ])
  const backup = { takenAt: null }
  return {
    ...{ instance: instance.name, title: backend.title, domain, release, backup },
    ...{ jobs, rows, disk, processes, maintenance, volumes, unfinishedRun: unfinished },
  }
}

async function part<T>(read: () => Promise<T>): Promise<Part<T>> {
  try {
    return { value: await read(), problem: null }
  } catch (error) {
    const why = error instanceof OperatorError && error.why ? `: ${error.why.split('\n')[0]}` : ''
    return { value: null, problem: `${messageOf(error)}${why}` }
  }
}

function absent(toolbox: Toolbox, what: string): { value: null; problem: string } {
  return { value: null, problem: `the ${toolbox.backend.kind} backend has no ${what}` }
}

/** Returns how the installed release stands against the table that is built in. */
export function releaseStatus(installed: MastodonVersion): ReleaseStatus {
  const newestOfSeries = newestRelease(installed.series)
  return {
    installed: installed.toString(),
    newestOfSeries: newestOfSeries?.toString() ?? null,
    newest: newestRelease()?.toString() ?? null,
    updateAvailable: newestOfSeries?.isNewerThan(installed) ?? false,
    supportEnds: supportEnds(installed) ?? null,
  }
}

async function rowsStatus(toolbox: Toolbox): Promise<RowsStatus> {
  const { rows, bytes, tables } = await rowCounts(await toolbox.database(), { exact: false })
  const { warnAt = 80, herokuPlan, ...budget } = toolbox.instance.budget
  const plan = herokuPlan as HerokuPlan | undefined
  const { headline } = judgeBudget({ rows, bytes }, { ...budget, herokuPlan: plan, warnAt: warnAt / 100 })
  return { rows, bytes, tables: tables.length, budget: headline ?? null }
}

async function disksOf(toolbox: Toolbox): Promise<DiskSpace[]> {
  return (await toolbox.backend.storage?.disk()) ?? []
}
