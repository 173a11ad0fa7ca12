import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type ClearResult, clearJobs } from '../../lib/runbooks/jobs/jobs.js'
import { plural } from '../../lib/text.js'

export default class JobsClear extends ChangeCommand<ClearResult> {
  static override summary = 'Throw away all jobs of a queue.'
  static override description = 'Says first how many there are and what is lost with them. Jobs that run already go on.'
  static override examples = ['<%= config.bin %> <%= command.id %> mailers --yes']
  static override args = {
    queue: Args.string({ required: true, description: 'the name of the queue, as `jobs` shows it' }),
  }

  protected override async execute() {
    const { args } = await this.parse(JobsClear)
    return this.change(clearJobs, { queue: args.queue })
  }

  protected override achieved({ queue, dropped }: ClearResult): string {
    return `${plural(dropped, 'job')} of the queue ${queue} thrown away.`
  }
}
