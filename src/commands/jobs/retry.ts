import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type RetryResult, retryJobs } from '../../lib/runbooks/jobs/jobs.js'
import { plural } from '../../lib/text.js'

export default class JobsRetry extends ChangeCommand<RetryResult> {
  static override summary = 'Retry failed jobs now rather than when their turn comes.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --limit 10']
  static override flags = {
    limit: Flags.integer({ min: 1, summary: 'At most so many, the one that is due first first.' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(JobsRetry)
    return this.change(retryJobs, flags.limit === undefined ? {} : { limit: flags.limit })
  }

  protected override achieved({ moved, unreadable }: RetryResult): string {
    const head =
      moved === 0
        ? 'No job waits for another attempt.'
        : `${plural(moved, 'job')} moved to ${moved === 1 ? 'its queue' : 'their queues'}.`
    return unreadable === 0
      ? head
      : `${head}\n${plural(unreadable, 'entry is', 'entries are')} no job and stay where they are.`
  }
}
