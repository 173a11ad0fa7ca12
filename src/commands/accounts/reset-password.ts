import { Args } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { showOnce } from '../../lib/reveal.js'
import type { RunReport } from '../../lib/runbook/run.js'
import { NEW_PASSWORD, type ResetPasswordResult, resetPassword } from '../../lib/runbooks/accounts/reset-password.js'
import { plural } from '../../lib/text.js'

export default class ResetPassword extends ChangeCommand<ResetPasswordResult> {
  static override summary = 'Give a user a new password, shown to you once.'
  static override description =
    'Mastodon chooses the password (3.1.2 and later). It is written nowhere: not into the log, nor the journal of the run.'
  static override examples = ['<%= config.bin %> <%= command.id %> alice']
  static override args = {
    user: Args.string({ required: true, description: 'the local name or the e-mail address' }),
  }

  protected override async execute(): Promise<RunReport<ResetPasswordResult>> {
    const { args } = await this.parse(ResetPassword)
    const report = await this.change(resetPassword, { user: args.user })
    const password = report.revealed[NEW_PASSWORD]
    // Also under --quiet: it is shown now or never.
    if (password !== undefined && !this.jsonEnabled()) showOnce(`New password: ${password}`)
    return report
  }

  protected override achieved({ username, openSessions, openTokens }: ResetPasswordResult): string {
    const head = `${username} has a new password.`
    if (openSessions + openTokens === 0) return `${head} No session or app of theirs is open.`
    const open = [plural(openSessions, 'browser session'), plural(openTokens, 'app')].join(' and ')
    return `${head}\nStill signed in without it: ${open}. This version does not end them; ${username} can, in the account settings of Mastodon.`
  }
}
