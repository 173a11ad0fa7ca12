import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { UsageError } from '../../lib/errors.js'
import { lacks } from '../../lib/open-toolbox.js'
import { renderReport } from '../../lib/report.js'
import type { RunReport } from '../../lib/runbook/run.js'
import { readRows, sqlStatement } from '../../lib/runbooks/db/psql.js'
import type { SentResult } from '../../lib/runbooks/db/sent-once.js'
import { type TableLayout, tableLayout } from '../../lib/tables.js'
import { plural } from '../../lib/text.js'

type Psql = { rows: object[] } | RunReport<SentResult> | { closed: number }

export default class DbPsql extends OpsCommand<Psql> {
  static override summary = "Open psql on the instance's database, or carry out one statement."
  static override description =
    'Without -c the terminal is psql. With -c a statement that reads is sent in a transaction that the server itself ' +
    'keeps from writing; one that writes needs --write, and is recorded among the runs.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> -c "SELECT count(*) FROM users"',
    '<%= config.bin %> <%= command.id %> --write -c "ANALYZE statuses" --dry-run',
  ]
  static override flags = {
    command: Flags.string({ char: 'c', helpValue: 'SQL', summary: 'One statement.' }),
    write: Flags.boolean({ dependsOn: ['command'], summary: 'The statement may write.' }),
  }

  protected override async execute(): Promise<Psql> {
    const { flags } = await this.parse(DbPsql)
    if (flags.command === undefined) return this.#open()
    if (flags.write) return this.change(sqlStatement, { sql: flags.command })
    return { rows: await readRows(await this.toolbox(), flags.command) }
  }

  async #open(): Promise<Psql> {
    if (!this.said.interactive) throw noTerminal()
    const toolbox = await this.toolbox()
    const { postgres } = toolbox.backend
    if (postgres === undefined) throw lacks(toolbox.backend, 'postgres', 'PostgreSQL')
    const { database } = await postgres.target()
    const closed = await toolbox.runner.interactive(await postgres.psql(database, []))
    this.passThrough(closed)
    return { closed }
  }

  protected override async render(result: Psql): Promise<string> {
    if ('rows' in result) return rowsText(result.rows, await tableLayout(), this.output.columns)
    return 'closed' in result ? '' : renderReport(result, ({ reply }) => `Done: ${reply}.`)
  }
}

function rowsText(rows: readonly object[], layOut: TableLayout, width: number): string {
  const titles = Object.keys(rows[0] ?? {})
  const columns = titles.map(title => ({ title, value: (row: object) => cell(row[title as keyof object]) }))
  const count = `(${plural(rows.length, 'row')})`
  return titles.length === 0 ? count : `${layOut(columns, rows, width)}\n${count}`
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function noTerminal(): UsageError {
  return new UsageError({
    code: 'no-terminal',
    message: 'psql needs a terminal, and no --json.',
    next: 'Give one statement: mstdn-ops db:psql -c "SELECT …"',
  })
}
