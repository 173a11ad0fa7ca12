import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrationsUpTo } from '../../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../../src/lib/backends/direct/sandbox/seed.js'
import { type DumpOptions, dumpDatabase, dumpTools } from '../../../../src/lib/backups/database.js'
import type { DumpSource } from '../../../../src/lib/backups/verify.js'
import { openToolbox } from '../../../../src/lib/open-toolbox.js'
import { Output } from '../../../../src/lib/output.js'
import { textOf } from '../../../../src/lib/postgres/pipeline.js'
import { quoteIdent } from '../../../../src/lib/postgres/quote.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { startPostgres, type TestPostgres } from '../../../support/postgres.js'

/** Databases of several releases on one server. */
export interface Lives {
  /** Holds the dumps. */
  dir: string
  /** Makes a database with small demo data; an empty one where no release is named. */
  live(release?: string): Promise<Live>
  stop(): Promise<void>
}

/** A live database. Its toolbox believes that it is the beginning of 2030. */
export interface Live {
  toolbox: Toolbox
  /** Runs statements in the order given. */
  sql(...statements: string[]): Promise<void>
  /** Returns a dump of it as it is now. */
  dump(seal?: DumpOptions['seal']): Promise<DumpSource>
  /** Returns the path of a dump in plain SQL. */
  plainDump(options?: string): Promise<string>
}

const SIZE = { statuses: 120, remoteAccounts: 20 }

export async function startLives(): Promise<Lives> {
  const postgres = await startPostgres()
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-diff-'))
  process.env.XDG_CONFIG_HOME = dir
  delete process.env.MSTDN_TEST_FULL
  const opened: Live[] = []
  const templates = new Map<string, Promise<string>>()
  const live = async (release?: string) => {
    const template = release === undefined ? undefined : (templates.get(release) ?? templateOf(postgres, release))
    if (release !== undefined && template) templates.set(release, template)
    const made = liveOf(await toolboxOf(postgres, await copyOf(postgres, `live_${opened.length}`, await template)), dir)
    opened.push(made)
    return made
  }
  const stop = async () => {
    for (const { toolbox } of opened) await toolbox.close()
    await postgres.stop()
    rmSync(dir, { recursive: true, force: true })
  }
  return { dir, live, stop }
}

/** Makes the database that others of the release are copies of: its migrations take seconds. */
async function templateOf(postgres: TestPostgres, release: string): Promise<string> {
  const database = await postgres.open(await postgres.createDatabase(`template_${release}`))
  const made = [...migrationsUpTo(release).map(({ sql }) => sql), ...demoData(release, SIZE)]
  await database.write(made.join(';\n'))
  await database.close()
  return database.name
}

async function copyOf(postgres: TestPostgres, name: string, template = 'template0'): Promise<string> {
  const database = await postgres.open()
  await database.write(`CREATE DATABASE ${quoteIdent(name)} TEMPLATE ${quoteIdent(template)}`)
  await database.close()
  return name
}

function liveOf(toolbox: Toolbox, dir: string): Live {
  return {
    toolbox,
    sql: async (...statements) => {
      const database = await toolbox.database()
      for (const statement of statements) await database.write(statement)
    },
    dump: async seal => {
      const folder = mkdtempSync(join(dir, 'dump-'))
      const { file } = await dumpDatabase(toolbox, { dir: folder, ...(seal && { seal }) })
      return { path: join(folder, file.name), zstd: file.compression === 'zstd' }
    },
    plainDump: async (options = '') => {
      const path = join(mkdtempSync(join(dir, 'plain-')), 'dump.sql')
      const { tools } = await dumpTools(toolbox)
      const script = `pg_dump --no-password ${options} -f "$1"`
      await textOf(await tools.open({ what: 'pg_dump', script, args: [path], effect: 'read' }))
      return path
    },
  }
}

async function toolboxOf({ port, user, password }: TestPostgres, database: string): Promise<Toolbox> {
  const authority = `${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`
  process.env.MSTDN_OPS_DATABASE_URL = `postgresql://${authority}/${database}`
  const clock = { now: () => new Date('2030-01-01T00:00:00Z') }
  return openToolbox({ backend: 'direct' }, { output: new Output({ quiet: true }), dryRun: false, clock })
}
