import { RefusedError } from '../../errors.js'
import { runsDir } from '../../paths.js'
import { unfinishedRun } from '../../runbook/journal.js'
import { type RunReport, resumeRun, runRunbook } from '../../runbook/run.js'
import { secretsAmong, withoutSecrets } from '../../setup/answers.js'
import type { Answers } from '../../setup/questions.js'
import type { Toolbox } from '../../toolbox.js'
import type { SetupOptions, SetupResult } from './options.js'
import { setupRunbook } from './setup.js'

/**
 * Makes the instance of the answers, or goes on with a run of the same answers that was interrupted.
 *
 * @throws RefusedError when the interrupted run had other answers.
 */
export async function goOnOrSetUp(
  toolbox: Toolbox,
  { answers, replace }: SetupOptions,
): Promise<RunReport<SetupResult>> {
  const runbook = setupRunbook(secretsAmong(answers))
  const options = { answers: withoutSecrets(answers), replace }
  const record = await unfinishedRun(runsDir(toolbox.instance.name))
  if (record?.header.runbook !== runbook.name || toolbox.dryRun) return runRunbook(toolbox, runbook, options)
  const { runId, options: then } = record.header
  const other = differing(options.answers, (then as SetupOptions).answers)
  if (other.length > 0) throw otherAnswers(runId, other)
  toolbox.output.info(`Going on with run ${runId}, which was interrupted.`)
  return resumeRun(toolbox, runbook, runId)
}

function differing(now: Answers, then: Answers): string[] {
  return Object.keys({ ...now, ...then }).filter(id => now[id] !== then[id])
}

function otherAnswers(runId: string, ids: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'setup-with-other-answers',
    message: `Run ${runId} of setup was interrupted, and had other answers.`,
    cause: `These differ: ${ids.join(', ')}.`,
    next: 'Give the former answers to go on with it, or take it back: mstdn-ops resume --undo',
  })
}
