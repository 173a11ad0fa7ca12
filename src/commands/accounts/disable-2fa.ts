import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type Disable2faResult, disable2fa } from '../../lib/runbooks/accounts/disable-2fa.js'

export default class Disable2fa extends ChangeCommand<Disable2faResult> {
  static override summary = 'Turn off two-factor authentication of a user who lost it, wholly.'
  static override description =
    'Clears the secret, the backup codes and the security keys in one transaction, and reads the result back.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> alice',
    '<%= config.bin %> <%= command.id %> alice@example.com',
  ]
  static override args = {
    user: Args.string({ required: true, description: 'the local name or the e-mail address' }),
  }

  protected override async execute() {
    const { args } = await this.parse(Disable2fa)
    return this.change(disable2fa, { user: args.user })
  }

  protected override achieved({ username, changed, forcedByRole }: Disable2faResult): string {
    const head = changed
      ? `Two-factor authentication of ${username} is off.`
      : `Two-factor authentication of ${username} was off already.`
    return forcedByRole
      ? `${head}\nThe role of ${username} asks for a second factor: it is set up anew at the next sign-in.`
      : head
  }
}
