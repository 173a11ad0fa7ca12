import { describe, expect, it } from 'vitest'
import { type TableLayout, tableLayout } from '../../src/lib/tables.js'

interface Row {
  name: string
  count: number
}

const COLUMNS = [
  { title: 'NAME', value: (row: Row) => row.name },
  { title: 'COUNT', value: (row: Row) => String(row.count), align: 'right' as const },
]

async function lines(rows: Row[], width?: number): Promise<string[]> {
  const layOut: TableLayout = await tableLayout()
  return layOut(COLUMNS, rows, width).split('\n')
}

describe('a table', () => {
  it('stands under its titles, numbers right, without borders, colours or spaces at the end', async () => {
    expect(
      await lines([
        { name: 'statuses', count: 12 },
        { name: 'a', count: 3456 },
      ]),
    ).toEqual(['NAME      COUNT', 'statuses     12', 'a          3456'])
  })

  it('shortens the widest cells until all fit', async () => {
    const found = await lines([{ name: 'x'.repeat(300), count: 1 }], 40)
    expect(found.map(line => line.length)).toEqual([40, 40])
    expect(found[1]).toBe(`${'x'.repeat(32)}…      1`)
  })

  it('shows hostile names as marks, on one line', async () => {
    const [, row] = await lines([{ name: 'a\u001b[31m\nb\u202e', count: 1 }])
    expect(row).toBe('a\\u{1b}[31m\\nb\\u{202e}      1')
  })

  it('keeps columns in line beside wide characters', async () => {
    const found = await lines([
      { name: '象の鳴き声', count: 7 },
      { name: 'ab', count: 8 },
    ])
    expect(found).toHaveLength(3)
  })

  it('is only its titles where there are no rows', async () => {
    expect(await lines([])).toEqual(['NAME  COUNT'])
  })
})
