import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import type { SidekiqProcess } from '../lib/redis/sidekiq.js'
import { type JobsOverview, type QueueState, readJobs } from '../lib/runbooks/jobs/overview.js'
import { type TableLayout, tableLayout } from '../lib/tables.js'
import { grouped, humanDuration } from '../lib/text.js'

export default class Jobs extends OpsCommand<JobsOverview> {
  static override summary = 'Show the queues of Sidekiq, its processes, and what waits for another attempt.'
  static override description =
    'A queue that no process takes jobs from is marked. With --check the exit code is 7 when something is wrong.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --check --quiet',
  ]
  static override flags = {
    check: Flags.boolean({ summary: 'Exit with code 7 when something is wrong.' }),
  }

  protected override async execute(): Promise<JobsOverview> {
    const { flags } = await this.parse(Jobs)
    const overview = await readJobs(await this.toolbox())
    if (flags.check && overview.problems.length > 0) this.badAnswer()
    return overview
  }

  protected override async render({ queues, processes, stats, problems }: JobsOverview): Promise<string> {
    const layOut = await tableLayout()
    const head = `${grouped(stats.enqueued)} jobs wait, ${grouped(stats.retry)} to be retried, ${grouped(stats.dead)} dead, ${grouped(stats.scheduled)} scheduled.`
    const parts = [
      head,
      ...problems.map(problem => `! ${problem}`),
      '',
      this.#queues(queues, layOut),
      '',
      this.#processes(processes, layOut),
    ]
    return parts.join('\n')
  }

  #queues(queues: readonly QueueState[], layOut: TableLayout): string {
    const columns = [
      { title: 'QUEUE', value: (queue: QueueState) => queue.name },
      { title: 'JOBS', align: 'right' as const, value: (queue: QueueState) => grouped(queue.size) },
      { title: 'OLDEST', align: 'right' as const, value: (queue: QueueState) => age(queue) },
      {
        title: 'PROCESSES',
        value: (queue: QueueState) => (queue.listeners === 0 ? '0 (nobody listens)' : String(queue.listeners)),
      },
    ]
    return layOut(columns, queues, this.output.columns)
  }

  #processes(processes: readonly SidekiqProcess[], layOut: TableLayout): string {
    if (processes.length === 0) return 'No Sidekiq process runs.'
    const columns = [
      { title: 'PROCESS', value: (process: SidekiqProcess) => process.identity.split(':').slice(0, 2).join(':') },
      { title: 'BUSY', align: 'right' as const, value: busy },
      { title: 'HEARTBEAT', align: 'right' as const, value: beat },
      {
        title: 'QUEUES',
        value: (process: SidekiqProcess) => `${process.queues.join(', ')}${process.quiet ? ' (quiet)' : ''}`,
      },
    ]
    return layOut(columns, processes, this.output.columns)
  }
}

function age({ size, latency }: QueueState): string {
  if (size === 0) return '-'
  return latency === null ? 'unknown' : humanDuration(latency)
}

function busy(process: SidekiqProcess): string {
  return `${process.busy}/${process.concurrency ?? '?'}`
}

function beat({ beatAge }: SidekiqProcess): string {
  return beatAge === undefined ? 'never' : `${humanDuration(beatAge)} ago`
}
