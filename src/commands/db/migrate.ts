import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type MigrateResult, migrate } from '../../lib/runbooks/db/migrate.js'
import { plural } from '../../lib/text.js'

export default class Migrate extends ChangeCommand<MigrateResult> {
  static override summary = 'Migrate the database, and look whether all migrations were applied.'
  static override description =
    'The migrations run in a process of their own, which goes on when this one is killed: `resume` finds it again.\n' +
    'With two phases a server upgrades without standing still: pre, then restart with the new release, then post.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --phase pre',
    '<%= config.bin %> <%= command.id %> --dry-run',
  ]
  static override flags = {
    phase: Flags.option({
      options: ['pre', 'post', 'all'] as const,
      default: 'all' as const,
      summary: 'Which migrations: pre (the old release still serves), post (once only the new one does), or all.',
    })(),
  }

  protected override async execute() {
    const { flags } = await this.parse(Migrate)
    return this.change(migrate, { phase: flags.phase })
  }

  protected override achieved({ applied, phase, waiting }: MigrateResult): string {
    const head = applied.length === 0 ? NOTHING[phase] : `${plural(applied.length, 'migration')} applied.`
    if (waiting === 0) return head
    return `${head}\n${plural(waiting, 'post-deployment migration waits', 'post-deployment migrations wait')}: once only the new release runs, mstdn-ops db:migrate --phase post`
  }
}

const NOTHING = {
  pre: 'Nothing was pending before the post-deployment migrations.',
  post: 'No post-deployment migration was pending.',
  all: 'Nothing was pending: the database is up to date.',
} as const
