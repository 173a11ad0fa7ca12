import { Flags } from '@oclif/core'
import { confirmFlag, OpsCommand } from '../lib/base-command.js'
import { RefusedError } from '../lib/errors.js'
import { runsDir } from '../lib/paths.js'
import { renderReport } from '../lib/report.js'
import { showOnce } from '../lib/reveal.js'
import { agree } from '../lib/runbook/confirm.js'
import { type RunRecord, unfinishedRun } from '../lib/runbook/journal.js'
import { abandonRun, type RunReport, resumeRun } from '../lib/runbook/run.js'
import type { Runbook } from '../lib/runbook/step.js'
import { RUNBOOKS } from '../lib/runbooks/index.js'

interface Resumed {
  /** Null where nothing was unfinished. */
  runId: string | null
  runbook: string | null
  state: 'nothing unfinished' | 'would be resumed' | 'done' | 'undone' | 'abandoned'
  report: RunReport | null
}

export default class Resume extends OpsCommand<Resumed> {
  static override summary = 'Go on with a run that died, or was left half undone.'
  static override description =
    'It takes the steps that are missing. A run that died while it was being undone is undone to the end. --undo takes everything back instead; --abandon leaves things as they are and lets other commands run again.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --undo',
    '<%= config.bin %> <%= command.id %> --abandon --confirm example.social',
  ]
  static override flags = {
    ...confirmFlag,
    undo: Flags.boolean({ summary: 'Take back what was done.', exclusive: ['abandon'] }),
    abandon: Flags.boolean({ summary: 'Leave things as they are: nobody will finish or undo them.' }),
  }

  protected override async execute(): Promise<Resumed> {
    const { flags } = await this.parse(Resume)
    const toolbox = await this.toolbox()
    const record = await unfinishedRun(runsDir(toolbox.instance.name))
    if (record === undefined) return { runId: null, runbook: null, state: 'nothing unfinished', report: null }
    const { runId, runbook } = record.header
    if (toolbox.dryRun) return { runId, runbook, state: 'would be resumed', report: null }
    if (flags.abandon) return this.#abandon(record)
    const report = await resumeRun(toolbox, await runbookNamed(runbook), runId, { undo: flags.undo })
    for (const [name, value] of Object.entries(report.revealed)) if (!this.jsonEnabled()) showOnce(`${name}: ${value}`)
    return { runId, runbook, state: report.undone ? 'undone' : 'done', report }
  }

  async #abandon({ header, steps }: RunRecord): Promise<Resumed> {
    const toolbox = await this.toolbox()
    const taken = [...steps].map(([step, state]) => `${step}: ${state}`).join(', ') || 'no step was begun'
    const loses = `Run ${header.runId} (${header.runbook}) stays as it is for good (${taken}).`
    await agree(toolbox, { kind: 'domain', loses }, this.said)
    await abandonRun(toolbox, header.runId)
    return { runId: header.runId, runbook: header.runbook, state: 'abandoned', report: null }
  }

  protected override render({ runId, runbook, state, report }: Resumed): string {
    const run = `Run ${runId} (${runbook})`
    const heads = {
      'nothing unfinished': 'No run is unfinished: there is nothing to resume.',
      'would be resumed': `Dry run: ${run} is unfinished and would be resumed. mstdn-ops runs:show ${runId} tells how far it came.`,
      done: `${run} is done.`,
      undone: `${run} is undone: things are as they were before.`,
      abandoned: `${run} is abandoned: things stay as they are. mstdn-ops runs:show ${runId} tells how far it came.`,
    }
    if (report === null) return heads[state]
    return renderReport({ ...report, result: report.result ?? {} }, () => heads[state])
  }
}

async function runbookNamed(name: string): Promise<Runbook<object, object>> {
  const load = RUNBOOKS[name]
  if (load !== undefined) return (await load()) as unknown as Runbook<object, object>
  throw new RefusedError({
    code: 'unknown-runbook',
    message: `This version of mstdn-ops has no runbook "${name}".`,
    next: 'Resume with the version that began the run, or leave things as they are: mstdn-ops resume --abandon',
  })
}
