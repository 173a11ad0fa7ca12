import { ChangeCommand } from '../../lib/base-command.js'
import {
  type RegistrationResult,
  registrations,
  registrationsText,
} from '../../lib/runbooks/registrations/registrations.js'

export default class RegistrationsClose extends ChangeCommand<RegistrationResult> {
  static override summary = 'Let nobody sign up.'
  static override description = 'Accounts that are there stay. New ones can still be made with accounts:create.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(RegistrationsClose)
    return this.change(registrations('closed'), {})
  }

  protected override achieved(result: RegistrationResult): string {
    return registrationsText(result)
  }
}
