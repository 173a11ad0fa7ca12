import { expect, test } from 'vitest'
import type { RestoreResult } from '../../../../src/lib/runbooks/db/restore-result.js'
import { restoredText } from '../../../../src/lib/runbooks/db/restored.js'

const RESULT: RestoreResult = {
  ...{ backup: 'b', stateOf: '2026-11-22T03:15:00.000Z', rows: 12, kept: 'kept', keptAs: 'database', keptUntil: null },
  ...{
    stoppedFor: 1_500,
    jobsAside: null,
    jobsReplayed: false,
    duePosts: null,
    feedsBuilt: true,
    searchStale: null,
    goneMedia: null,
    roomUnseen: null,
  },
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

test('scheduled posts that were removed are told by their number', () => {
  expect(restoredText({ ...RESULT, duePosts: 2 })).toContain('2 scheduled posts were due since the backup was made')
  for (const duePosts of [0, null]) expect(restoredText({ ...RESULT, duePosts })).not.toContain('scheduled')
})

test('gone media are told with what was looked at, and fetched again server by server', () => {
  const gone = { looked: 2_000, whole: false, gone: 12, domains: ['a.example', "b'; rm -rf /"] }
  const text = restoredText({ ...RESULT, goneMedia: gone })
  expect(text).toContain('Of 2,000 cached files of other servers’ media (a sample) 12 are gone.')
  expect(text).toContain('  mstdn-ops media:refresh --domain a.example --force\n')
  expect(text).toContain(`--domain "b'; rm -rf /" --force`)
  expect(restoredText({ ...RESULT, goneMedia: { ...gone, whole: true, gone: 0, domains: [] } })).toContain(
    'none is gone',
  )
  expect(restoredText({ ...RESULT, goneMedia: { unknown: 'They are in the bucket b.' } })).toContain(
    'cannot be known: They are in the bucket b.',
  )
})

test('that nobody saw how much room was left is told', () => {
  expect(restoredText(RESULT)).not.toContain('room')
  expect(restoredText({ ...RESULT, roomUnseen: 'docker: no such container' })).toContain('docker: no such container')
})
