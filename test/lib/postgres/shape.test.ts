import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Shape, shapeDifferences, shapeOf } from '../../../src/lib/postgres/shape.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

let server: TestPostgres
let shape: Shape
beforeAll(async () => {
  server = await startPostgres()
  const database = await server.open(await server.createDatabase('shaped'))
  await database.write("CREATE TABLE statuses (id bigint PRIMARY KEY, text text NOT NULL DEFAULT '')")
  await database.write('CREATE VIEW texts AS SELECT text FROM statuses')
  shape = await shapeOf(database)
  await database.close()
})
afterAll(() => server?.stop())

describe('the shape of a database', () => {
  test('is the same as itself, and tells what is missing, new or another', () => {
    expect(shapeDifferences(shape, { ...shape })).toEqual([])
    const { 'view public.texts': _view, ...less } = shape
    expect(shapeDifferences(shape, less)).toEqual(['view public.texts is missing'])
    expect(shapeDifferences(less, shape)).toEqual(['view public.texts is too many'])
    expect(shapeDifferences(shape, { ...shape, 'view public.texts': '0' })).toEqual(['view public.texts is another'])
  })

  test('has no index that is not valid: a dump leaves it out, and a copy would be taken for another', async () => {
    const database = await server.open('shaped')
    await database.write('CREATE INDEX texts_ccnew ON statuses (text)')
    expect(shapeDifferences(shape, await shapeOf(database))).toEqual(['index public.texts_ccnew is too many'])
    await database.write("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'texts_ccnew'::regclass")
    expect(shapeDifferences(shape, await shapeOf(database))).toEqual([])
    await database.close()
  })

  test('of another major version is written in other words, but for its columns', () => {
    const newer = { ...shape, server: '16', 'view public.texts': '0' }
    expect(shapeDifferences(shape, newer)).toEqual([])
    const otherColumn = { ...newer, 'column public.statuses.id': '0' }
    expect(shapeDifferences(shape, otherColumn)).toEqual(['column public.statuses.id is another'])
    const { 'view public.texts': _view, ...less } = newer
    expect(shapeDifferences(shape, less)).toEqual(['view public.texts is missing'])
  })
})
