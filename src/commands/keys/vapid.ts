import { Flags } from '@oclif/core'
import { ChangeCommand, confirmFlag } from '../../lib/base-command.js'
import { type VapidResult, vapid } from '../../lib/runbooks/keys/vapid.js'
import { plural } from '../../lib/text.js'

export default class Vapid extends ChangeCommand<VapidResult> {
  static override summary = 'Make the keys of web push, and put them into force.'
  static override description =
    `The keys are made on this machine. Keys that are there are never overwritten without --replace and the
domain: browsers and apps that subscribed with them would get no notifications until they subscribe again.`
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --replace --confirm example.social',
  ]
  static override flags = {
    ...confirmFlag,
    replace: Flags.boolean({ summary: 'Replace the keys that are there.' }),
  }

  protected override async execute() {
    const { flags } = await this.parse(Vapid)
    return this.change(vapid, { replace: flags.replace })
  }

  protected override achieved(result: VapidResult): string {
    const { where, subscriptionsBroken: broken, keptAt } = result
    const force = result.inForce ? 'and in force' : 'and in force after the next start'
    const lines = [`New VAPID keys are in ${where}, ${force}.`, `Public key: ${result.publicKey}`]
    if (result.replaced)
      lines.push(
        `${plural(broken, 'push subscription')} made with the former keys no longer ${broken === 1 ? 'works' : 'work'}.`,
      )
    if (keptAt !== null) lines.push(`The former configuration, with the former keys, is kept in ${keptAt}.`)
    return lines.join('\n')
  }
}
