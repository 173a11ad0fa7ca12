import { ChangeCommand } from '../../lib/base-command.js'
import { type SingleUserResult, singleUser, singleUserText } from '../../lib/runbooks/single-user/single-user.js'

export default class SingleUserOff extends ChangeCommand<SingleUserResult> {
  static override summary = 'Show the front page again, so that people can sign up where registrations are open.'
  static override description = 'Sets SINGLE_USER_MODE, restarts the web processes, and looks whether they have it.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(SingleUserOff)
    return this.change(singleUser(false), {})
  }

  protected override achieved(result: SingleUserResult): string {
    return singleUserText(result)
  }
}
