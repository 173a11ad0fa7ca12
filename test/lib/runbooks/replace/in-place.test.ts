import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Captures } from '../../../../src/lib/backends/managed-database.js'
import type { Database } from '../../../../src/lib/postgres/access.js'
import { writeRecord } from '../../../../src/lib/postgres/record.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { BROKEN } from '../../../../src/lib/runbooks/replace/close.js'
import { resetStep } from '../../../../src/lib/runbooks/replace/in-place.js'
import { safetyCaptureStep } from '../../../../src/lib/runbooks/replace/safety-capture.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const OURS = { runId: 'run-1', by: 'root@here', since: '2026-11-22T03:15:00Z' }
let server: TestPostgres
let live: Database
let runs = 0
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.stop())

let context: StepContext
let notes: Record<string, string>
beforeEach(async () => {
  runs += 1
  const name = await server.createDatabase(`live${runs}`)
  live = await server.open(name)
  await live.write('CREATE TABLE accounts (id bigint)')
  notes = {}
  const reset = async () => void (await live.write('DROP TABLE accounts'))
  const captures = { reset, mark: async () => '7' } as Partial<Captures>
  const toolbox = toolboxOf({ database: live })
  const backend = { ...toolbox.backend, captures: captures as Captures, postgres: server.connector({ database: name }) }
  context = stepContext({ ...toolbox, backend }, { notes })
})

async function holdsAccounts(): Promise<boolean | undefined> {
  const [row] = await live.query<{ there: boolean }>("SELECT to_regclass('accounts') IS NOT NULL AS there")
  return row?.there
}

async function fill(): Promise<void> {
  await live.write('CREATE TABLE accounts (id bigint)')
}

test('a run that goes on after an undo that failed does not empty what somebody else has put there', async () => {
  await resetStep().run(context)
  expect([notes[BROKEN], await holdsAccounts()]).toEqual(['yes', false])
  await writeRecord(live, undefined)
  await fill()
  await expect(resetStep().run(context)).rejects.toMatchObject({ code: 'database-filled-since' })
  expect(await holdsAccounts()).toBe(true)
  await writeRecord(live, OURS)
  await resetStep().run(context)
  expect(await holdsAccounts()).toBe(false)
})

test('a database that is emptied once more gets its safety backup back by a transfer of its own', async () => {
  await resetStep().run(context)
  await fill()
  notes['back-mark'] = '5'
  await resetStep().run(context)
  expect(notes['back-mark']).toBe('')
})

test('a run that is taken back begins with another mark and another safety backup when it goes on', async () => {
  Object.assign(notes, { 'safety-mark': '5', 'safety-proven': 'yes' })
  await resetStep().run(context)
  await safetyCaptureStep('before-reset').undo?.(context)
  expect(notes['safety-mark']).toBe('5')
  await fill()
  notes.mark = await markOfLive()
  await resetStep().undo?.(context)
  expect([notes[BROKEN], notes.mark]).toEqual(['no', ''])
  expect(await safetyCaptureStep('before-reset').done?.(context)).toBe(true)
  await safetyCaptureStep('before-reset').undo?.(context)
  expect(await safetyCaptureStep('before-reset').done?.(context)).toBe(false)
  expect(notes['safety-mark']).toBe('')
  await resetStep().run(context)
  expect(notes.mark).not.toBe('')
})

/** What a reset that has not struck leaves: the mark that is noted. */
async function markOfLive(): Promise<string> {
  const marking = { ...notes, [BROKEN]: 'no', mark: '' }
  const captures = { reset: async () => Promise.reject(new Error('not sent')) } as unknown as Captures
  const backend = { ...context.toolbox.backend, captures }
  const elsewhere = stepContext({ ...context.toolbox, backend }, { notes: marking })
  await resetStep()
    .run(elsewhere)
    .catch(() => undefined)
  return marking.mark
}
