import { OpsCommand } from '../../lib/base-command.js'
import { checkKeys, type KeysCheck } from '../../lib/keys/check.js'
import type { KeyFinding } from '../../lib/keys/finding.js'
import { plural } from '../../lib/text.js'

const MARKS = { ok: '✔ ok     ', warn: '! warn   ', bad: '✘ BAD    ', unknown: '? unknown' } as const

export default class KeysCheckCommand extends OpsCommand<KeysCheck> {
  static override summary = 'Look whether the secrets of the instance are the right ones.'
  static override description =
    `Each is looked at: set, of the right form, no sample value, in force. The VAPID keys must belong together. Stored
two-factor secrets, and private keys of accounts, are opened with the encryption keys (in this process: nothing of them is
shown). The newest backup must have been made with the same values. Changes nothing, and shows no secret. Ends with 7 when
something is bad; warnings end with 0.`
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --quiet']

  protected override async execute(): Promise<KeysCheck> {
    await this.parse(KeysCheckCommand)
    const check = await checkKeys(await this.toolbox())
    if (check.state === 'bad') this.badAnswer()
    return check
  }

  protected override render({ version, findings }: KeysCheck): string {
    const count = (state: KeyFinding['state']) => findings.filter(finding => finding.state === state).length
    const head = `The secrets of Mastodon ${version}: ${plural(count('bad'), 'problem')}, ${plural(count('warn'), 'warning')}, ${count('ok')} ok, ${count('unknown')} unknown.`
    return [head, '', ...findings.flatMap(linesOf)].join('\n')
  }
}

function linesOf({ state, message, fix }: KeyFinding): string[] {
  return [`${MARKS[state]}  ${message}`, ...(fix === undefined ? [] : [`             Fix: ${fix}`])]
}
