import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type OperationResult, withSaid } from '../../lib/runbooks/content/app-operation.js'
import { runJob } from '../../lib/runbooks/jobs/jobs.js'

export default class JobsRun extends ChangeCommand<OperationResult> {
  static override summary = 'Run a job of the scheduler now.'
  static override description =
    'In a process of its own, so that it works also while Sidekiq stands still. A name that this version does not know ' +
    'is answered with those that it has.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> vacuum',
    '<%= config.bin %> <%= command.id %> user-cleanup',
  ]
  static override args = {
    scheduler: Args.string({ required: true, description: 'the name of the job, like vacuum, or its Ruby class' }),
  }
  #name = ''

  protected override async execute() {
    const { args } = await this.parse(JobsRun)
    this.#name = args.scheduler
    return this.change(runJob, { name: args.scheduler })
  }

  protected override achieved({ said }: OperationResult): string {
    return withSaid(`The job ${this.#name} ran.`, said)
  }
}
