import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import {
  type RegistrationResult,
  registrations,
  registrationsText,
} from '../../lib/runbooks/registrations/registrations.js'

export default class RegistrationsApproved extends ChangeCommand<RegistrationResult> {
  static override summary = 'Let everybody ask for an account, which the staff approves (Mastodon 2.8 and later).'
  static override description = 'Looks whether it took effect.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --require-reason',
  ]
  static override flags = {
    'require-reason': Flags.boolean({
      allowNo: true,
      summary: 'Ask for a reason (Mastodon 3.5.2 and later). Left out, that stays as it is.',
    }),
  }

  protected override async execute() {
    const { flags } = await this.parse(RegistrationsApproved)
    const requireReason = flags['require-reason']
    return this.change(registrations('approved'), requireReason === undefined ? {} : { requireReason })
  }

  protected override achieved(result: RegistrationResult): string {
    return registrationsText(result)
  }
}
