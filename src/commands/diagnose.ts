import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { type Diagnosis, diagnosisOf, diagnosisText } from '../lib/diagnosis/diagnosis.js'
import type { Looked } from '../lib/diagnosis/instance.js'
import { readLog } from '../lib/diagnosis/log-file.js'
import { Tally } from '../lib/diagnosis/tally.js'
import type { MastodonVersion } from '../lib/mastodon/version.js'

export default class Diagnose extends OpsCommand<Diagnosis> {
  static override summary = 'Recognise known problems in the instance or in a log, and say what helps.'
  static override description =
    'Looks at the instance: its recent logs, the checks of `doctor` that find known problems, and the last run where ' +
    'it failed. With --log only the log is read, which needs no instance: of Docker, compose, Heroku or a plain file, ' +
    'of any size. Changes nothing. Ends with 7 when a problem was recognised.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --log migrate.log',
    'git push heroku main 2>&1 | <%= config.bin %> <%= command.id %> --log -',
  ]
  static override flags = {
    log: Flags.string({ helpValue: 'FILE', summary: 'Read this log; - is standard input.' }),
    both: Flags.boolean({ dependsOn: ['log'], summary: 'Look at the instance as well as at the log.' }),
    lines: Flags.integer({
      char: 'n',
      min: 1,
      max: 100_000,
      default: 2_000,
      summary: 'How many of the last lines of each process.',
    }),
  }

  protected override async execute(): Promise<Diagnosis> {
    const { flags } = await this.parse(Diagnose)
    const tally = new Tally()
    const looked: Looked = { at: [], without: [] }
    if (flags.log !== undefined) looked.at.push(await readLog(flags.log, tally))
    const instance = flags.log === undefined || flags.both
    const version = instance ? await this.#lookAtInstance(flags.lines, tally, looked) : undefined
    if (tally.found.length > 0) this.badAnswer()
    return diagnosisOf(tally.found, looked, version)
  }

  /** Returns the version, where it can be found: it chooses among the steps. */
  async #lookAtInstance(lines: number, tally: Tally, looked: Looked): Promise<MastodonVersion | undefined> {
    const { lookAtInstance } = await import('../lib/diagnosis/instance.js')
    const toolbox = await this.toolbox()
    const { at, without } = await lookAtInstance(toolbox, lines, tally)
    looked.at.push(...at)
    looked.without.push(...without)
    return toolbox.app.version().catch(() => undefined)
  }

  protected override render(diagnosis: Diagnosis): string {
    return diagnosisText(diagnosis)
  }
}
