import { readdirSync } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { RefusedError } from '../../errors.js'
import type { Runner } from '../../runner.js'
import type { PostgresTools } from '../backend.js'
import { randomNonce } from '../nonce.js'
import { leashed, toolRun } from '../tool-run.js'

/** Where Debian and Red Hat keep the client programs of each major version. */
const HOMES: readonly (readonly [string, RegExp, (name: string) => string])[] = [
  ['/usr/lib/postgresql', /^\d+$/, name => `/usr/lib/postgresql/${name}/bin`],
  ['/usr', /^pgsql-\d+$/, name => `/usr/${name}/bin`],
]

/**
 * Returns the place of the newest client programs of this machine; the variables tell them where the server is.
 *
 * @throws RefusedError when there are none.
 */
export async function localTools(runner: Runner, variables: Readonly<Record<string, string>>): Promise<PostgresTools> {
  const home = await newestHome()
  if (home === undefined) throw noPrograms()
  const path = [home, process.env.PATH ?? ''].join(delimiter)
  return {
    where: 'this machine',
    open: async script => {
      const nonce = randomNonce()
      const [file = 'sh', ...args] = leashed(script, nonce)
      const env: Record<string, string> = { ...variables, PATH: path }
      if (script.database !== undefined) env.PGDATABASE = script.database
      return toolRun(await runner.open({ file, args, env, effect: script.effect }), nonce, script)
    },
  }
}

/** The newest, which reads dumps of all older ones; else whatever is on PATH. */
async function newestHome(): Promise<string | undefined> {
  const versioned = HOMES.flatMap(([folder, shape, home]) => namesIn(folder, shape).map(home))
  const onPath = (process.env.PATH ?? '').split(delimiter)
  for (const dir of [...versioned, ...onPath]) if (await isRunnable(join(dir, 'pg_dump'))) return dir
  return undefined
}

function namesIn(folder: string, shape: RegExp): string[] {
  try {
    const number = (name: string) => Number(/\d+/.exec(name)?.[0])
    return readdirSync(folder)
      .filter(name => shape.test(name))
      .sort((a, b) => number(b) - number(a))
  } catch {
    return []
  }
}

function isRunnable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function noPrograms(): RefusedError {
  return new RefusedError({
    code: 'no-postgres-programs',
    message: 'pg_dump and pg_restore were not found on this machine.',
    cause: 'They are neither on PATH nor in /usr/lib/postgresql.',
    next: 'Install PostgreSQL’s client programs, not older than the server (Debian: apt-get install postgresql-client).',
  })
}
