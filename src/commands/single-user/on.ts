import { ChangeCommand } from '../../lib/base-command.js'
import { type SingleUserResult, singleUser, singleUserText } from '../../lib/runbooks/single-user/single-user.js'

export default class SingleUserOn extends ChangeCommand<SingleUserResult> {
  static override summary = "Show one person's profile in place of a front page, and let nobody sign up."
  static override description =
    'Sets SINGLE_USER_MODE, restarts the web processes, and looks whether they have it. Accounts that are there stay.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(SingleUserOn)
    return this.change(singleUser(true), {})
  }

  protected override achieved(result: SingleUserResult): string {
    return singleUserText(result)
  }
}
