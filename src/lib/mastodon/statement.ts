/** One SQL statement. Values never stand in its text: they are its parameters, `$1` and so on. */
export interface Statement {
  sql: string
  params: readonly unknown[]
}
