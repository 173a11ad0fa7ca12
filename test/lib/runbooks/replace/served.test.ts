import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DatabaseAddons } from '../../../../src/lib/backends/managed-database.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { openStep } from '../../../../src/lib/runbooks/replace/close.js'
import { orderStep, raiseNewStep } from '../../../../src/lib/runbooks/replace/new-database.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'
import { stepContext } from '../../../support/step-context.js'
import { type Made, toolboxOf } from '../../../support/toolbox-of.js'

const PLAN = { plan: 'heroku-postgresql:essential-1', price: undefined }
const NOTES = { 'new-addon': 'fresh', 'old-addon': 'former' }
const SERVED = { ...NOTES, 'served-from': '2026-11-22T03:15:00Z' }
let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server?.stop())

function contextWith(notes: Record<string, string>, made: Made, databases?: Partial<DatabaseAddons>): StepContext {
  const toolbox = toolboxOf(made)
  return stepContext(
    { ...toolbox, backend: { ...toolbox.backend, ...(databases && { databases: databases as DatabaseAddons }) } },
    { notes },
  )
}

test('once visitors are let in, a run is in use, also when they are kept out again', async () => {
  let isOn = true
  const set = async (on: boolean) => {
    isOn = on
  }
  const context = contextWith({ 'was-closed': 'no' }, { maintenance: { isOn: async () => isOn, set } })
  expect(await openStep().inUse?.(context)).toBeUndefined()
  await openStep().run(context)
  expect(isOn).toBe(false)
  isOn = true
  expect(await openStep().inUse?.(context)).toContain('people write into it')
})

test.each([
  [NOTES, ['fresh']],
  [SERVED, []],
])('an ordered database is destroyed on the way back unless it may have served (%j)', async (notes, expected) => {
  const destroyed: string[] = []
  const warned: string[] = []
  const context = contextWith({ ...notes }, {}, { destroy: async name => void destroyed.push(name) })
  context.toolbox.output.copyTo(line => warned.push(line))
  await orderStep(PLAN, {}).undo?.(context)
  expect(destroyed).toEqual(expected)
  expect(warned.join().includes('kept as the add-on fresh')).toBe(expected.length === 0)
})

test('what an ordered database has given out since the start does not come again after the way back', async () => {
  for (const [name, id] of [
    ['former', 5],
    ['fresh', 700],
  ] as const) {
    const database = await server.open(await server.createDatabase(name))
    await database.write(`CREATE TABLE tags (id bigserial); SELECT setval('tags_id_seq', ${id})`)
    await database.close()
  }
  const connector = async (database: string) => server.connector({ database })
  const former = await server.open('former')
  const next = async () => Number((await former.query<{ id: string }>("SELECT nextval('tags_id_seq') AS id"))[0]?.id)
  await raiseNewStep().undo?.(contextWith({ ...NOTES }, {}, { connector }))
  expect(await next()).toBe(6)
  await raiseNewStep().undo?.(contextWith({ ...SERVED }, {}, { connector }))
  expect(await next()).toBeGreaterThan(700)
  await former.close()
})
