import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type MakeAdminResult, makeAdmin } from '../../lib/runbooks/accounts/make-admin.js'

export default class MakeAdmin extends ChangeCommand<MakeAdminResult> {
  static override summary = 'Make a user an administrator.'
  static override description =
    "Uses the command and the role's real name of this Mastodon version, and looks whether the change took place."
  static override examples = ['<%= config.bin %> <%= command.id %> alice']
  static override args = {
    user: Args.string({ required: true, description: 'the local name or the e-mail address' }),
  }

  protected override async execute() {
    const { args } = await this.parse(MakeAdmin)
    return this.change(makeAdmin, { user: args.user })
  }

  protected override achieved({ username, role }: MakeAdminResult): string {
    return `${username} is an administrator (role ${role}).`
  }
}
