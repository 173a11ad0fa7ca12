import { printableLine } from './text.js'

/** A column of a table: its title and what stands in it for a row. */
export interface Column<Row> {
  title: string
  value: (row: Row) => string
  /** Numbers stand right. */
  align?: 'left' | 'right'
}

/** Lays rows out under titles, without borders or colours, in at most `width` columns: longer cells end in `…`. */
export type TableLayout = <Row>(columns: readonly Column<Row>[], rows: readonly Row[], width?: number) => string

const GAP = 2
/** Below this a shortened cell tells nothing any more. */
const NARROWEST = 8

/** Returns the layout of tables; its package is loaded now, so that commands without a table do not wait for it. */
export async function tableLayout(): Promise<TableLayout> {
  const { default: Table } = await import('cli-table3')
  return (columns, rows, width = 80) => {
    const titles = columns.map(column => column.title)
    const lines = rows.map(row => columns.map(column => printableLine(column.value(row))))
    const table = new Table({
      head: titles,
      colWidths: widthsOf([titles, ...lines], width),
      colAligns: columns.map(column => column.align ?? 'left'),
      chars: BORDERLESS,
      style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    })
    table.push(...lines)
    return withoutTrailingSpaces(table.toString())
  }
}

const NO_BORDER = ['top', 'bottom', 'left', 'right', 'mid', 'left-mid', 'mid-mid', 'right-mid']
const CORNERS = ['top-mid', 'top-left', 'top-right', 'bottom-mid', 'bottom-left', 'bottom-right']
const BORDERLESS = {
  ...Object.fromEntries([...NO_BORDER, ...CORNERS].map(name => [name, ''])),
  middle: ' '.repeat(GAP),
}

/** The widest columns give way first, until all fit. */
function widthsOf(lines: readonly (readonly string[])[], width: number): number[] {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(1, ...lines.map(line => [...(line[at] ?? '')].length)))
  const room = width - GAP * (widths.length - 1)
  for (;;) {
    const widest = Math.max(...widths)
    const tooWide = widths.reduce((sum, each) => sum + each, 0) - room
    if (tooWide <= 0 || widest <= NARROWEST) return widths
    widths[widths.indexOf(widest)] = widest - 1
  }
}

function withoutTrailingSpaces(text: string): string {
  return text.replaceAll(/ +$/gm, '')
}
