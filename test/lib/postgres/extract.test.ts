import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  copiedValue,
  extractStages,
  type PickedRow,
  type Picking,
  readPicked,
} from '../../../src/lib/postgres/extract.js'
import { type Equipment, openPipeline } from '../../../src/lib/postgres/pipeline.js'
import { localPlace } from '../../support/local-place.js'

const PICKINGS: readonly Picking[] = [
  { id: 'ours', table: 'accounts', columns: ['id', 'username', 'gone'], empty: 'domain', remember: 'id' },
  { id: 'from', table: 'follows', columns: ['target'], of: 'source', dated: 'at' },
  { id: 'to', table: 'follows', columns: ['source'], of: 'target', notOf: 'source' },
]
const RUNS = process.env.MSTDN_TEST_FULL ? 20 : 2

/** Returns the rows that are picked out of the SQL, by the programs of this machine. */
async function picked(sql: string, pickings = PICKINGS) {
  const equipment: Equipment = { version: 150_000, programs: new Set(), ownZstd: false }
  const stages = extractStages('sql', pickings, { schema: 'public', equipment })
  const { run, ended } = await openPipeline(localPlace(), stages, { what: 'awk', effect: 'read', fed: true })
  const rows: Record<string, PickedRow[]> = {}
  const read = readPicked(run.stdout, (id, batch) => {
    rows[id] = [...(rows[id] ?? []), ...batch]
  })
  Readable.from([sql]).pipe(run.stdin)
  await ended
  const { present, ...rest } = await read
  return { rows, present: [...present], ...rest }
}

const copy = (table: string, columns: string, ...rows: string[]) =>
  `COPY ${table} (${columns}) FROM stdin;\n${rows.map(row => `${row}\n`).join('')}\\.\n`

describe('picking rows out of a dump', () => {
  const accounts = copy(
    'public.accounts',
    'domain, "id", username',
    '\\N\t1\tada',
    'example.com\t2\tbob',
    '\\N\t3\t\\N',
  )

  it('finds columns by their names, and leaves out those that are not there', async () => {
    const found = await picked(`SET x = 1;\n${accounts}SELECT 1;\n`)
    expect(found.rows).toEqual({
      ours: [
        { id: '1', username: 'ada' },
        { id: '3', username: null },
      ],
    })
    expect(found).toMatchObject({ end: 'whole', present: ['ours'], newest: null })
  })

  it('tells rows by values that stood in a table before, one table in two ways', async () => {
    const times = ['2026-01-02 00:00:00', '2026-01-10 00:00:00', '2026-01-11 00:00:00', '\\N']
    const rows = ['1\t2', '3\t1', '2\t3', '1\t4'].map((row, at) => `${row}\t${times[at]}`)
    const found = await picked(accounts + copy('public.follows', 'source, target, at', ...rows))
    expect(found.rows).toMatchObject({
      from: [{ target: '2' }, { target: '1' }, { target: '4' }],
      to: [{ source: '2' }],
    })
    expect(found.newest).toBe('2026-01-10 00:00:00')
  })

  it('reads names without a schema, as PostgreSQL 10.2 and older wrote them, and no table of another schema', async () => {
    const others = copy('other.accounts', 'id, domain', '7\t\\N') + copy('accounts_old', 'id, domain', '8\t\\N')
    const found = await picked(others + copy('accounts', 'id, domain', '9\t\\N'))
    expect(found.rows).toEqual({ ours: [{ id: '9' }] })
  })

  it.each([
    ['cut', 'COPY public.accounts (id, domain) FROM stdin;\n1\t\\N\n'],
    ['cut', 'COPY public.statuses (id) FROM stdin;\n1\n'],
    ['unready', copy('public.follows', 'source, target', '1\t2') + accounts],
    ['unready', accounts + copy('public.follows', 'source, other', '1\t2')],
  ])('says that it is %s', async (end, sql) => {
    expect(await picked(sql)).toMatchObject({ end })
  })

  it('brings every text as it was, whatever it holds', async () => {
    const text = fc.array(
      fc.constantFrom('\t', '\n', '\r', '\\', '\\.', '\\N', '\u001b', '"', 'COPY x', 'é', '漢', ' ', 'a'),
    )
    const texts = fc.array(
      text.map(parts => parts.join('')),
      { minLength: 1, maxLength: 300 },
    )
    await fc.assert(
      fc.asyncProperty(texts, async values => {
        const rows = values.map((value, at) => `\\N\t${at}\t${asCopyWrites(value)}`)
        const { rows: found, end } = await picked(copy('public.accounts', 'domain, id, username', ...rows))
        expect(end).toBe('whole')
        expect(found.ours?.map(({ username }) => username)).toEqual(values)
      }),
      { numRuns: RUNS },
    )
  })

  it('knows NULL from a text of the same letters', () => {
    expect(['\\N', '\\\\N', '', '\\b\\f\\v'].map(copiedValue)).toEqual([null, '\\N', '', '\b\f\v'])
  })
})

/** Source: PostgreSQL, src/backend/commands/copyto.c, CopyAttributeOutText. */
function asCopyWrites(text: string): string {
  const names: Record<string, string> = { '\t': 't', '\n': 'n', '\r': 'r', '\\': '\\' }
  return text.replaceAll(/[\t\n\r\\]/g, letter => `\\${names[letter]}`)
}
