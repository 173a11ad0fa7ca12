import { runsDir } from '../paths.js'
import { unfinishedRun } from '../runbook/journal.js'
import { bad, type Check, ok } from './check.js'

export const unfinished: Check = {
  id: 'unfinished-run',
  title: 'No run is unfinished',
  for: ['upgrade', 'restore', 'reset'],
  run: async toolbox => {
    const record = await unfinishedRun(runsDir(toolbox.instance.name))
    if (record === undefined) return ok('Every run has ended.')
    const { runId, runbook, at } = record.header
    return bad(`Run ${runId} (${runbook}, begun ${at}) has not ended.`, 'mstdn-ops resume, or mstdn-ops resume --undo')
  },
}
