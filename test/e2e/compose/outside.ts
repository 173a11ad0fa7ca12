import { createVerify } from 'node:crypto'
import type { Stack } from './bed/bed.js'

export interface Actor {
  id: string
  publicKey: { id: string; publicKeyPem: string }
}

/** What other servers see of an account: where it is, and by which key they know its signatures. */
export interface Seen {
  actor: Actor
  signed: { keyId: string; text: string; signature: string }
}

/** One server's web process, as another server asks it. */
export class Outside {
  readonly #stack: Stack

  constructor(stack: Stack) {
    this.#stack = stack
  }

  async json<T>(path: string, headers: readonly string[] = []): Promise<T> {
    const all = [`Host: ${this.#stack.domain}`, 'X-Forwarded-Proto: https', ...headers].flatMap(line => ['-H', line])
    const { stdout } = await this.#stack.exec('web', ['curl', '-s', ...all, `localhost:3000${path}`])
    return JSON.parse(stdout) as T
  }

  async seen(name: string): Promise<Seen> {
    return { actor: await this.json(`/users/${name}`), signed: await this.json(`/standin/sign/${name}`) }
  }
}

/** Whether a server that knows the account by this document takes the signature for the account's own. */
export function accepts({ publicKey }: Actor, { text, signature }: Seen['signed']): boolean {
  return createVerify('sha256').update(text).verify(publicKey.publicKeyPem, Buffer.from(signature, 'base64'))
}

/** Returns a number for each table of a database that gives ids to its rows, by an expression in SQL. */
async function ids(stack: Stack, database: string, expression: (table: string, given: string) => string) {
  const tables = await stack.psql(`SELECT c.relname, pg_get_expr(d.adbin, d.adrelid) FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1`)
  const each = tables.split('\n').map(line => {
    const [table = '', given = ''] = line.split('|')
    return `SELECT '${table}', (${expression(table, given)})::text`
  })
  const rows = (await stack.psql(each.join(' UNION ALL '), database)).split('\n')
  return new Map(rows.map(row => row.split('|') as [string, string]))
}

/** The id that each table gives to its next row. It is given out by that. */
export function nextIds(stack: Stack): Promise<Map<string, string>> {
  return ids(stack, stack.database, (_table, given) => given)
}

/** The greatest id in each table of a database. */
export function greatestIds(stack: Stack, database: string): Promise<Map<string, string>> {
  return ids(stack, database, table => `SELECT coalesce(max(id), 0) FROM ${table}`)
}
