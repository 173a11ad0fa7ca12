import { chown } from 'node:fs/promises'
import { copiedPrograms, embeddedPrograms, type Programs } from './programs.js'

/** A way to run PostgreSQL, which refuses to run as root. */
export interface Account {
  /** For people, when it did not work. */
  readonly title: string
  /** Words before the program's own. */
  readonly prefix: readonly string[]
  /** Who must own the files; whoever runs this where absent. */
  readonly owner?: number
  programs(dir: string): Promise<Programs>
}

const nobody = 65_534

const asSelf: Account = { title: 'as yourself', prefix: [], programs: embeddedPrograms }

/** Makes no user, and the files stay root's; containers often forbid it. */
const inUserNamespace: Account = {
  title: 'in a user namespace (unshare)',
  prefix: ['unshare', '--user', '--map-user=1000', '--map-group=1000'],
  programs: embeddedPrograms,
}

const setpriv = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups']

const asNobody: Account = {
  title: `as user ${nobody} (setpriv)`,
  prefix: setpriv,
  owner: nobody,
  programs: embeddedPrograms,
}

/** For a package below a folder that only root may enter. */
const asNobodyWithCopies: Account = {
  title: `as user ${nobody} (setpriv) with its programs copied into the sandbox`,
  prefix: setpriv,
  owner: nobody,
  programs: copiedPrograms,
}

/** Returns the ways to try, the least intrusive first. */
export function accounts(uid = process.getuid?.() ?? 1000): readonly Account[] {
  return uid === 0 ? [inUserNamespace, asNobody, asNobodyWithCopies] : [asSelf]
}

/** Gives the files to the account. */
export async function own(account: Pick<Account, 'owner'>, ...paths: string[]): Promise<void> {
  if (account.owner === undefined) return
  for (const path of paths) await chown(path, account.owner, account.owner)
}
