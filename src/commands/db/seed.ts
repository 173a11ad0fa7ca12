import { ChangeCommand } from '../../lib/base-command.js'
import { type SeedResult, seed } from '../../lib/runbooks/db/seed.js'

export default class Seed extends ChangeCommand<SeedResult> {
  static override summary = 'Make the first rows of the database: the web application, the default roles.'
  static override description =
    'Looks first what is missing. Mastodon before 4.0 would make some rows twice: there a second time is refused.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(Seed)
    return this.change(seed, {})
  }

  protected override achieved({ made }: SeedResult): string {
    return made.length === 0 ? 'Nothing was missing.' : `Made: ${made.join(', ')}.`
  }
}
