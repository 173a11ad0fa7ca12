import { RefusedError } from '../../errors.js'
import { sqlState } from '../../postgres/problems.js'
import { plural } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { sentOnce } from './sent-once.js'

/** Statements that read; the server itself refuses the writes that can hide in them. */
const READING = /^\s*(?:--[^\n]*\n\s*|\/\*[\s\S]*?\*\/\s*)*\(?\s*(select|with|values|table|show|explain)\b/i
/** The server's answer to a write in a transaction that only reads. */
const READ_ONLY = '25006'

/**
 * Returns the rows of one reading statement.
 *
 * @throws RefusedError for a statement that writes.
 */
export async function readRows(toolbox: Toolbox, sql: string): Promise<object[]> {
  if (!READING.test(sql)) throw writes()
  const database = await toolbox.database()
  try {
    return await database.snapshot(() => database.query(sql))
  } catch (error) {
    throw sqlState(error) === READ_ONLY ? writes() : error
  }
}

/** Carries out one writing statement of the operator's. */
export const sqlStatement = sentOnce<{ sql: string }>({
  name: 'db:psql',
  title: 'Send the statement to PostgreSQL',
  send: async (toolbox, { sql }) => plural(await (await toolbox.database()).write(sql), 'row'),
})

function writes(): RefusedError {
  return new RefusedError({
    code: 'statement-writes',
    message: 'The statement is none that only reads: it was not sent.',
    next: 'Add --write to carry it out; with --dry-run it is only shown.',
  })
}
