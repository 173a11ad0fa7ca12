import { lacks } from '../open-toolbox.js'
import { type Database, openDatabase } from '../postgres/access.js'
import { openPipeline, type Stage } from '../postgres/pipeline.js'
import { type Shape, shapeDifferences, shapeOf } from '../postgres/shape.js'
import { countRows } from '../postgres/snapshot.js'
import type { Toolbox } from '../toolbox.js'
import { dumpTools } from './database.js'
import type { TableCount } from './manifest.js'
import { type DumpSource, differingCount, feed } from './verify.js'

/** Restores a dump into an empty database of the instance's server. @throws RefusedError at the first error. */
export async function restoreInto(
  toolbox: Toolbox,
  source: DumpSource,
  database: string,
  onProgress?: (bytes: number) => void,
): Promise<void> {
  const { tools } = await dumpTools(toolbox)
  const stages: Stage[] = [
    ...(source.zstd ? [{ name: 'zstd', words: ['zstd', '-dc', '-q'] }] : []),
    {
      name: 'pg_restore',
      words: ['pg_restore', '--no-owner', '--no-acl', '--exit-on-error', '--no-password', '-d', database],
    },
  ]
  const pipeline = await openPipeline(tools, stages, { what: 'pg_restore', effect: 'write', fed: true, database })
  await feed(source, pipeline, onProgress)
}

/** Returns in words what a restored database lacks or has differently; nothing where it is the same. */
export async function differencesIn(
  toolbox: Toolbox,
  name: string,
  expected: { tables: readonly TableCount[]; shape?: Shape },
): Promise<string[]> {
  const database = await openOther(toolbox, name, 'compare')
  try {
    return await database.snapshot(async () => {
      const count = differingCount(expected.tables, await countRows(database))
      const shape = expected.shape ? shapeDifferences(expected.shape, await shapeOf(database)) : []
      return [...(count === undefined ? [] : [count]), ...shape]
    })
  } finally {
    await database.close()
  }
}

/** Opens a session in another database of the instance's server. */
export function openOther({ backend, ledger, dryRun }: Toolbox, database: string, purpose: string): Promise<Database> {
  if (backend.postgres === undefined) throw lacks(backend, 'postgres', 'PostgreSQL')
  return openDatabase(backend.postgres, { ledger, dryRun, database, purpose })
}
