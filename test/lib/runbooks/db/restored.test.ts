import { expect, test } from 'vitest'
import type { RestoreResult } from '../../../../src/lib/runbooks/db/restore.js'
import { restoredText } from '../../../../src/lib/runbooks/db/restored.js'

const RESULT: RestoreResult = {
  ...{ backup: 'b', stateOf: '2026-11-22T03:15:00.000Z', rows: 12, kept: 'kept', keptAs: 'database', keptUntil: null },
  ...{ stoppedFor: 1_500, jobsAside: null, jobsReplayed: false, feedsBuilt: true, searchStale: null },
}
const jobsAside = { file: '/runs/1.jobs', total: 3 } as never

test('jobs that were set aside are in a file; of those that were put back no file is spoken of', () => {
  expect(restoredText({ ...RESULT, jobsAside })).toContain(
    '3 pending jobs of the replaced state: set aside, in /runs/1.jobs.',
  )
  const replayed = restoredText({ ...RESULT, jobsAside, jobsReplayed: true })
  expect(replayed).toContain('3 pending jobs of the replaced state: put back')
  expect(replayed).not.toContain('/runs/1.jobs')
})
