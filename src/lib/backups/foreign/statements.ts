/** What becomes of a statement: it passes, is left out (and counted under a name), or stops the restore. */
export type Verdict = 'pass' | 'refuse' | { leftOut: LeftOut }

/** Why a statement is left out: all of it is the server's own, or the new database has it already. */
export type LeftOut = 'ownership' | 'privileges' | 'server objects' | 'drops' | 'settings' | 'comments'

const OBJECTS =
  '(?:AGGREGATE|CAST|COLLATION|CONVERSION|DOMAIN|EXTENSION|FUNCTION|INDEX|MATERIALIZED VIEW|OPERATOR|POLICY|PROCEDURE|RULE|SCHEMA|SEQUENCE|STATISTICS|TABLE|TEXT SEARCH|TRIGGER|TYPE|VIEW)'
const SERVER_OBJECTS =
  '(?:ACCESS METHOD|DATABASE|EVENT TRIGGER|FOREIGN|GROUP|(?:OR REPLACE )?(?:TRUSTED )?(?:PROCEDURAL )?LANGUAGE|PUBLICATION|ROLE|SERVER|SUBSCRIPTION|TABLESPACE|TRANSFORM|USER)'
const NAME = '(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
const TABLE = `${NAME}(?:\\.${NAME})?`

/** The settings that pg_dump makes for its own session. `transaction_timeout` came with PostgreSQL 17: others refuse it. */
const SETTINGS =
  '(?:check_function_bodies|client_min_messages|default_table_access_method|default_with_oids|escape_string_warning|idle_in_transaction_session_timeout|lock_timeout|row_security|search_path|statement_timeout|xmloption)'

const leftOut = (name: LeftOut): Verdict => ({ leftOut: name })

/**
 * The first row that fits counts; what fits none is refused. Literals stand as the lexer writes them (`E'…'`).
 *
 * Source: what pg_dump and pg_dumpall 9.6 to 18 write, with and without --clean, --create and --inserts.
 */
const RULES: readonly [RegExp, Verdict][] = [
  [/^SET standard_conforming_strings = on;$/, 'pass'],
  [/^SET client_encoding = E'(?:UTF8|UNICODE)';$/, 'pass'],
  [/^SET (?:standard_conforming_strings|client_encoding)\b/, 'refuse'],
  [/^SET default_tablespace = E'';$/, 'pass'],
  [new RegExp(`^SET ${SETTINGS} = [^;]*;$`), 'pass'],
  [/^SET (?:SESSION AUTHORIZATION|ROLE)\b/, leftOut('ownership')],
  [/^SET [a-z_]+ = /, leftOut('settings')],
  [/^SELECT pg_catalog\.set_config\(E'search_path', E'', false\);$/, 'pass'],
  [/^SELECT pg_catalog\.setval\(E'(?:[^'\\]|'')*', \d+, (?:true|false)\);$/, 'pass'],
  [new RegExp(`^INSERT INTO ${TABLE} (?:\\([^()]*\\) )?(?:OVERRIDING SYSTEM VALUE )?(?:DEFAULT )?VALUES\\b`), 'pass'],
  [/^(?:DROP|ALTER TABLE [^;']* (?:DROP CONSTRAINT|ALTER COLUMN \S+ DROP DEFAULT)) ?/, leftOut('drops')],
  [new RegExp(`^(?:CREATE|ALTER|COMMENT ON) ${SERVER_OBJECTS}\\b`), leftOut('server objects')],
  [/^(?:ALTER DEFAULT PRIVILEGES|GRANT|REVOKE)\b/, leftOut('privileges')],
  [/^SECURITY LABEL\b/, leftOut('server objects')],
  [new RegExp(`^ALTER [A-Z]+[^;']* OWNER TO ${NAME};$`), leftOut('ownership')],
  [/^COMMENT ON (?:EXTENSION|SCHEMA public)\b/, leftOut('comments')],
  [/^CREATE SCHEMA public;$/, leftOut('drops')],
  [new RegExp(`^CREATE (?:OR REPLACE )?(?:UNLOGGED |UNIQUE |CONSTRAINT |RECURSIVE )*${OBJECTS}\\b`), 'pass'],
  [new RegExp(`^(?:ALTER|COMMENT ON) (?:COLUMN|CONSTRAINT|${OBJECTS})\\b`), 'pass'],
  [/^REFRESH MATERIALIZED VIEW\b/, 'pass'],
]

/** Returns what becomes of a statement that is no COPY. */
export function verdictOf(statement: string): Verdict {
  return RULES.find(([pattern]) => pattern.test(statement))?.[1] ?? 'refuse'
}

/** The table of a statement that brings rows. */
export interface RowsOf {
  schema: string
  table: string
  /** How many the statement names. */
  columns: number
}

const COPY = new RegExp(`^COPY (${TABLE}) (?:\\((${NAME}(?:, ${NAME})*)\\))? ?FROM stdin;$`)
const INSERT = new RegExp(`^INSERT INTO (${TABLE}) `)

/** Returns what a COPY fills, or undefined where it is not written as pg_dump does. */
export function copyOf(statement: string): RowsOf | undefined {
  const [, table, columns] = COPY.exec(statement) ?? []
  if (table === undefined) return undefined
  return { ...nameOf(table), columns: columns?.match(new RegExp(NAME, 'g'))?.length ?? 0 }
}

/** Returns the table that an INSERT fills. */
export function insertOf(statement: string): { schema: string; table: string } | undefined {
  const [, table] = INSERT.exec(statement) ?? []
  return table === undefined ? undefined : nameOf(table)
}

const MADE = new RegExp(`^CREATE (?:UNLOGGED )?TABLE (${TABLE}) `)

/** Returns the table that a statement makes; undefined for one that holds no rows of its own (a partitioned one). */
export function tableOf(statement: string): { schema: string; table: string } | undefined {
  const [, table] = MADE.exec(statement) ?? []
  return table === undefined || /\)\nPARTITION BY /.test(statement) ? undefined : nameOf(table)
}

/** Up to PostgreSQL 10.2 a table of `public` is named without its schema. */
function nameOf(qualified: string): { schema: string; table: string } {
  const parts = qualified.match(new RegExp(NAME, 'g')) ?? []
  const [first = '', second] = parts.map(part => part.replace(/^"(.*)"$/, '$1').replaceAll('""', '"'))
  return second === undefined ? { schema: 'public', table: first } : { schema: first, table: second }
}

/** Returns the first words of a statement, to name it by: never a value. */
export function titleOf(statement: string): string {
  return /^[A-Za-z]+(?: [A-Z]+){0,2}/.exec(statement)?.[0] ?? 'a statement'
}
