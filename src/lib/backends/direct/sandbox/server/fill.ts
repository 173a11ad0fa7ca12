import { Ledger } from '../../../../ledger.js'
import { type Database, openDatabase } from '../../../../postgres/access.js'
import { DirectPostgres } from '../../postgres.js'
import { type Migration, migrationsUpTo } from '../migrations.js'
import { demoData, type Size } from '../seed.js'
import { owner } from './postgres.js'

/** Named as Mastodon's setup names it outside of Docker. */
export const databaseName = 'mastodon_production'

/** Takes the place of the database's name until it is complete, so that a killed start leaves no half of one. */
const draftName = 'mastodon_draft'

export interface Address {
  port: number
  password: string
}

/** Makes the database of the release with its demo data; does nothing where it exists. */
export async function fillDatabase(address: Address, release: string, size?: Partial<Size>): Promise<void> {
  const server = await open(address, 'postgres')
  try {
    if (await exists(server, databaseName)) return
    await server.write(`DROP DATABASE IF EXISTS ${draftName}`)
    await server.write(`CREATE DATABASE ${draftName} TEMPLATE template0 OWNER ${owner}`)
    await fillDraft(address, release, size)
    await server.write(`ALTER DATABASE ${draftName} RENAME TO ${databaseName}`)
  } finally {
    await server.close()
  }
}

async function fillDraft(address: Address, release: string, size?: Partial<Size>): Promise<void> {
  const draft = await open(address, draftName)
  try {
    await draft.write(migrationsUpTo(release).map(inTransaction).join('\n'))
    for (const statement of demoData(release, size)) await draft.write(statement)
  } finally {
    await draft.close()
  }
}

function inTransaction({ id, sql }: Migration): string {
  return `BEGIN;\n${sql};\nINSERT INTO schema_migrations (version) VALUES ('${id}');\nCOMMIT;`
}

async function exists(server: Database, name: string): Promise<boolean> {
  return (await server.query('SELECT FROM pg_database WHERE datname = $1', [name])).length > 0
}

/** The ledger is thrown away: the sandbox is this tool's own, and its making is no change of an instance. */
function open(address: Address, database: string): Promise<Database> {
  const target = { host: '127.0.0.1', port: address.port, user: owner, password: address.password, database }
  const connector = new DirectPostgres({ ...target, tls: 'none', sslmode: 'disable' })
  return openDatabase(connector, { ledger: new Ledger(), dryRun: false, purpose: 'sandbox' })
}
