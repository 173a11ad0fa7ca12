import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { chosenInstance, type RunLine, runLines } from '../lib/runs/story.js'
import { tableLayout } from '../lib/tables.js'
import { plural } from '../lib/text.js'

interface RunList {
  /** Null where the instance could not be told, and all are listed. */
  instance: string | null
  runs: RunLine[]
}

export default class Runs extends OpsCommand<RunList> {
  static override summary = 'List the runs of commands that changed something, and how they ended.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --lines 100']
  static override flags = {
    lines: Flags.integer({ char: 'n', min: 1, default: 20, summary: 'How many are shown, the newest first.' }),
    all: Flags.boolean({ summary: 'Of every instance.' }),
  }

  #most = 0

  protected override async execute(): Promise<RunList> {
    const { flags } = await this.parse(Runs)
    const instance = flags.all ? undefined : await chosenInstance(() => this.toolbox(), this.output)
    this.#most = flags.lines
    return { instance: instance ?? null, runs: await runLines(instance) }
  }

  protected override async render({ runs, instance }: RunList): Promise<string> {
    if (runs.length === 0) return 'Nothing has been changed with mstdn-ops from this machine yet.'
    const columns = [
      { title: 'RUN', value: (run: RunLine) => run.id },
      { title: 'COMMAND', value: (run: RunLine) => run.runbook },
      ...(instance === null ? [{ title: 'INSTANCE', value: (run: RunLine) => run.instance }] : []),
      { title: 'STARTED', value: (run: RunLine) => run.at.slice(0, 19).replace('T', ' ') },
      { title: 'ENDED', value: (run: RunLine) => run.ended },
    ]
    const shown = runs.slice(0, this.#most)
    const left = runs.length - shown.length
    const more = left > 0 ? [`… and ${plural(left, 'older run')} (--lines ${runs.length}).`] : []
    const unfinished = runs.find(run => run.ended === 'unfinished')
    const next = unfinished ? [`Run ${unfinished.id} is unfinished: mstdn-ops resume`] : []
    const layOut = await tableLayout()
    return [layOut(columns, shown, this.output.columns), ...more, ...next].join('\n')
  }
}
