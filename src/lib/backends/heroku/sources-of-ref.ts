import type { Sources } from '../release-build.js'
import type { Git } from './git.js'
import { lackingIn, named, ownCommits } from './own-commits.js'
import { commitOf, contains, type Known, made } from './sources-known.js'
import { refLacks, refMigrations } from './sources-refusals.js'

const MIGRATIONS = ['db/migrate/', 'db/post_migrate/']

/**
 * What a name of git leads to in the operator's checkout, as it is; a commit more with the same files where the app's
 * repository holds what it has not.
 *
 * @throws RefusedError where its migrations are not those of the release that it calls itself, or it lacks commits that
 * the app runs, which nobody wants to discard
 */
export async function sourcesOfRef(known: Known, { name }: { name: string }): Promise<Sources> {
  const { git, base, deployed, head, branch, wanted } = known
  await refuseMigrations(known, name)
  const running = (await commitOf(git, deployed)) ?? head
  const lost = running === undefined ? [] : await lackingIn(git, base, running)
  if (lost.length > 0 && !wanted.discard) throw refLacks(known, name, lost)
  const follows = head === undefined || (await contains(git, base, head))
  const commit = follows ? base : await made(known, `${base}^{tree}`, [head, base], ` (${name})`)
  const own = named(lost.length > 0 ? lost : await ownCommits(git, base))
  return { commit, head: head ?? null, branch, own, discards: lost.length > 0, forced: false, ref: name }
}

/** By their files: what others do to the database is not known here. */
async function refuseMigrations(known: Known, name: string): Promise<void> {
  const { git, base, target } = known
  const [here, there] = await Promise.all([migrationsAt(git, base), migrationsAt(git, target)])
  const more = here.filter(file => !there.includes(file))
  const less = there.filter(file => !here.includes(file))
  if (more.length + less.length > 0) throw refMigrations(known, name, { more, less })
}

async function migrationsAt(git: Git, commit: string): Promise<string[]> {
  return (await git.must(['ls-tree', '--name-only', commit, ...MIGRATIONS])).split('\n').filter(Boolean)
}
