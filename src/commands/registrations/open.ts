import { ChangeCommand } from '../../lib/base-command.js'
import {
  type RegistrationResult,
  registrations,
  registrationsText,
} from '../../lib/runbooks/registrations/registrations.js'

export default class RegistrationsOpen extends ChangeCommand<RegistrationResult> {
  static override summary = 'Let everybody sign up.'
  static override description = 'Looks whether it took effect, and says when single-user mode stands in the way.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  protected override async execute() {
    await this.parse(RegistrationsOpen)
    return this.change(registrations('open'), {})
  }

  protected override achieved(result: RegistrationResult): string {
    return registrationsText(result)
  }
}
