import { flags, OK, operation, rake, tootctl } from './rows.js'

export interface AccountParams {
  /** The local name, without `@` and domain. */
  username: string
}

export interface MailParams extends AccountParams {
  /** The address as stored: up to 2.5.2 it is matched exactly. */
  email: string
}

export interface RoleParams extends AccountParams {
  /**
   * The role's name as it stands in `user_roles`, from 4.0.0 on; the match is case-sensitive, and the
   * server's admin may have renamed it. Without it the name that a new server has is taken.
   */
  roleName?: string
}

export interface CreateParams extends MailParams {
  role?: 'admin' | 'moderator'
  /** See RoleParams. Without `role` it has no effect. */
  roleName?: string
  /** Gives the name of an account whose user was deleted to the new user. */
  reattach?: boolean
  /** With `reattach`: takes the name from a user who is still there, and deletes that user. */
  force?: boolean
}

const RAKE = 'lib/tasks/mastodon.rake'
const CLI = 'lib/mastodon/accounts_cli.rb'
const NEW_CLI = 'lib/mastodon/cli/accounts.rb'
const RAKE_NOT_FOUND = /User could not be found/
/** On stdout before 4.3.0, on stderr since. */
const CLI_FAILURE = /No user with such username|No account with such username|Failure\/Error/
/** Up to 3.4.x everything but these words demotes, prints OK and exits 0. */
const OLD_ROLE = { admin: 'admin', moderator: 'moderator' } as const
/** The names that a new server of 4.0.0 or later gives its roles. */
const SEEDED_ROLE = { admin: 'Owner', moderator: 'Moderator' } as const
const USERNAME_ENV = ({ username }: AccountParams) => ({ USERNAME: username })
const READ_BACK = 'Read the role back: a wrong role name demotes in silence up to 3.4.x.'

const modify = (username: string, ...words: string[]) => tootctl('accounts', 'modify', username, ...words)
const roleFlag = (role: string) => flags({ role }, { role: '--role' })

const cliRow = { success: OK, failure: CLI_FAILURE, boots: true } as const

function createFlags(params: CreateParams, role: string | undefined, approve: boolean): readonly string[] {
  const shown = { ...params, role, confirmed: true, approve }
  return flags(shown, {
    email: '--email',
    role: '--role',
    confirmed: '--confirmed',
    approve: '--approve',
    reattach: '--reattach',
    force: '--force',
  })
}

const create = (params: CreateParams, role: string | undefined, approve: boolean) =>
  tootctl('accounts', 'create', params.username, ...createFlags(params, role, approve))

const oldRole = ({ role }: CreateParams) => role && OLD_ROLE[role]
const newRole = ({ role, roleName }: CreateParams) => role && (roleName ?? SEEDED_ROLE[role])

const createRow = {
  success: /New password: [0-9a-f]{32}/,
  failure: /Failure\/Error|Cannot find user role with that name/,
  exitMayLie: true,
  boots: true,
  printsSecret: true,
} as const

export const accountOperations = {
  'accounts.makeAdmin': operation<RoleParams>('make somebody an administrator', [
    {
      since: '1.3.0',
      before: '1.4.1',
      argv: () => rake('mastodon:make_admin'),
      env: USERNAME_ENV,
      success: /is now an admin/,
      boots: true,
      note: 'An unknown name ends in NoMethodError, exit code 1.',
      source: `${RAKE} @v1.3.0`,
    },
    {
      since: '1.4.1',
      before: '2.6.0',
      argv: () => rake('mastodon:make_admin'),
      env: USERNAME_ENV,
      success: /is now an admin/,
      failure: RAKE_NOT_FOUND,
      exitMayLie: true,
      boots: true,
      note: 'An unknown name is only printed, exit code 0.',
      source: `${RAKE} @v1.4.1, @v2.5.2`,
    },
    {
      ...cliRow,
      since: '2.6.0',
      before: '3.5.0',
      argv: ({ username }) => modify(username, '--role', OLD_ROLE.admin),
      exitMayLie: true,
      note: READ_BACK,
      source: `${CLI} @v2.6.0, @v3.4.0`,
    },
    {
      ...cliRow,
      since: '3.5.0',
      before: '4.0.0',
      argv: ({ username }) => modify(username, '--role', OLD_ROLE.admin),
      note: 'The role is an enumeration: user, moderator, admin.',
      source: `${CLI} @v3.5.0`,
    },
    {
      ...cliRow,
      since: '4.0.0',
      argv: ({ username, roleName }) => modify(username, ...roleFlag(roleName ?? SEEDED_ROLE.admin)),
      failure: /Cannot find user role with that name|No user with such username|Failure\/Error/,
      note: 'The name is case-sensitive and may have been changed: look it up in user_roles.',
      source: `${CLI} @v4.0.0, ${NEW_CLI} @v4.2.0`,
    },
  ]),

  'accounts.moderator': operation<RoleParams>('make somebody a moderator', [
    {
      since: '1.3.0',
      before: '2.1.0',
      lacking: 'the moderator role came with 2.1.0',
      instead: 'Upgrade to 2.1.0, or make the account an administrator.',
      source: `${RAKE} @v2.1.0`,
    },
    {
      since: '2.1.0',
      before: '2.6.0',
      argv: () => rake('mastodon:make_mod'),
      env: USERNAME_ENV,
      failure: RAKE_NOT_FOUND,
      exitMayLie: true,
      boots: true,
      source: `${RAKE} @v2.1.0, @v2.5.2`,
    },
    {
      ...cliRow,
      since: '2.6.0',
      before: '3.5.0',
      argv: ({ username }) => modify(username, '--role', OLD_ROLE.moderator),
      exitMayLie: true,
      note: `${READ_BACK} It takes the admin role away from an admin.`,
      source: `${CLI} @v2.6.0, @v3.4.0`,
    },
    {
      ...cliRow,
      since: '3.5.0',
      before: '4.0.0',
      argv: ({ username }) => modify(username, '--role', OLD_ROLE.moderator),
      source: `${CLI} @v3.5.0`,
    },
    {
      ...cliRow,
      since: '4.0.0',
      argv: ({ username, roleName }) => modify(username, ...roleFlag(roleName ?? SEEDED_ROLE.moderator)),
      failure: /Cannot find user role with that name|No user with such username|Failure\/Error/,
      source: `${CLI} @v4.0.0, ${NEW_CLI} @v4.2.0`,
    },
  ]),

  'accounts.demote': operation<AccountParams>('take the role of an administrator or moderator away', [
    {
      since: '1.3.0',
      before: '2.1.0',
      lacking: 'the task came with 2.1.0',
      instead: 'In the database: UPDATE users SET admin = false WHERE id = … .',
      source: `${RAKE} @v2.1.0`,
    },
    {
      since: '2.1.0',
      before: '2.6.0',
      argv: () => rake('mastodon:revoke_staff'),
      env: USERNAME_ENV,
      failure: RAKE_NOT_FOUND,
      exitMayLie: true,
      boots: true,
      source: `${RAKE} @v2.1.0, @v2.5.2`,
    },
    {
      ...cliRow,
      since: '2.6.0',
      before: '4.0.0',
      argv: ({ username }) => modify(username, '--role', 'user'),
      source: `${CLI} @v2.6.0, @v3.5.0`,
    },
    {
      ...cliRow,
      since: '4.0.0',
      argv: ({ username }) => modify(username, '--remove-role'),
      source: `${CLI} @v4.0.0, ${NEW_CLI} @v4.2.0`,
    },
  ]),

  'accounts.confirm': operation<MailParams>("confirm somebody's e-mail address", [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:confirm_email'),
      env: ({ email }) => ({ USER_EMAIL: email }),
      success: / confirmed$/m,
      failure: / not found$/m,
      boots: true,
      note: 'The address is matched exactly.',
      source: `${RAKE} @v1.3.0, @v2.5.2`,
    },
    { ...cliRow, since: '2.6.0', argv: ({ username }) => modify(username, '--confirm'), source: `${CLI} @v2.6.0` },
  ]),

  'accounts.approve': operation<AccountParams>('approve a sign-up', [
    {
      since: '1.3.0',
      before: '2.8.0',
      lacking: 'sign-ups need no approval before 2.8.0',
      instead: 'Nothing is to be done: an account can be used once its e-mail address is confirmed.',
      source: `${CLI} @v2.8.0`,
    },
    {
      ...cliRow,
      since: '2.8.0',
      argv: ({ username }) => tootctl('accounts', 'approve', username),
      note: 'Unlike `modify --approve` it also sets up what a new account follows.',
      source: `${CLI} @v2.8.0, ${NEW_CLI} @v4.2.0`,
    },
  ]),

  'accounts.resetPassword': operation<AccountParams>("reset somebody's password", [
    {
      since: '1.3.0',
      before: '3.1.2',
      lacking: 'the command came with 3.1.2',
      instead: 'Use "Forgot your password?" on the sign-in page, or set a password in the Rails console.',
      source: `${CLI} @v3.1.2`,
    },
    {
      ...cliRow,
      since: '3.1.2',
      before: '4.5.0',
      argv: ({ username }) => modify(username, '--reset-password'),
      success: /New password: [0-9a-f]{32}/,
      printsSecret: true,
      partial: 'sessions and tokens that are open stay open before 4.3.14 and 4.4.6',
      source: `${CLI} @v3.1.2; GHSA-f3q3-rmf7-9655`,
    },
    {
      ...cliRow,
      since: '4.5.0',
      argv: ({ username }) => modify(username, '--reset-password'),
      success: /New password: [0-9a-f]{32}/,
      printsSecret: true,
      source: `${NEW_CLI} @v4.5.0; GHSA-f3q3-rmf7-9655`,
    },
  ]),

  'accounts.disable2fa': operation<AccountParams>('turn off two-factor authentication for somebody', [
    {
      since: '1.3.0',
      before: '2.6.0',
      lacking: 'the command came with 2.6.0',
      instead: 'Clear the two-factor columns of the user in the database.',
      source: `${CLI} @v2.6.0`,
    },
    {
      ...cliRow,
      since: '2.6.0',
      before: '3.3.0',
      argv: ({ username }) => modify(username, '--disable-2fa'),
      partial: 'the secret and the backup codes stay in the database',
      source: `${CLI} @v2.6.0`,
    },
    {
      ...cliRow,
      since: '3.3.0',
      before: '4.4.0',
      argv: ({ username }) => modify(username, '--disable-2fa'),
      partial: 'the secret and the backup codes stay, and who has a security key is still asked for it',
      source: `${CLI} @v3.3.0, ${NEW_CLI} @v4.3.23`,
    },
    {
      ...cliRow,
      since: '4.4.0',
      argv: ({ username }) => modify(username, '--disable-2fa'),
      source: `${NEW_CLI} @v4.4.0 (35683ac154)`,
    },
  ]),

  'accounts.create': operation<CreateParams>('create an account', [
    {
      since: '1.3.0',
      before: '1.5.0',
      lacking: 'the task came with 1.5.0',
      instead: 'Sign up in the browser, then confirm the e-mail address.',
      source: `${RAKE} @v1.5.0`,
    },
    {
      since: '1.5.0',
      before: '2.6.0',
      argv: () => rake('mastodon:add_user'),
      boots: true,
      interactive: true,
      printsSecret: true,
      note: 'It asks for name, address and role on the terminal and reads none of them from the command line.',
      source: `${RAKE} @v1.5.0, @v2.5.2`,
    },
    {
      ...createRow,
      since: '2.6.0',
      before: '4.0.0',
      argv: params => create(params, oldRole(params), false),
      note: 'With --reattach and without --force a name in use is only printed, exit code 0. 2.8.0 leaves the account unapproved in approval mode.',
      source: `${CLI} @v2.6.0, @v3.5.0`,
    },
    {
      ...createRow,
      since: '4.0.0',
      before: '4.2.0',
      argv: params => create(params, newRole(params), false),
      source: `${CLI} @v4.0.0, @v4.1.0`,
    },
    {
      ...createRow,
      since: '4.2.0',
      argv: params => create(params, newRole(params), true),
      note: 'Without --approve the account waits for approval unless registrations are open; they are closed by default from 4.2.8 and 4.3.0 on.',
      source: `${NEW_CLI} @v4.2.0; config/settings.yml @v4.3.0`,
    },
  ]),

  'accounts.lock': operation<AccountParams>('keep somebody from signing in', [
    {
      since: '1.3.0',
      before: '2.6.0',
      lacking: 'the command came with 2.6.0',
      instead: 'Use the administration pages of the web interface.',
      source: `${CLI} @v2.6.0`,
    },
    { ...cliRow, since: '2.6.0', argv: ({ username }) => modify(username, '--disable'), source: `${CLI} @v2.6.0` },
  ]),

  'accounts.unlock': operation<AccountParams>('let somebody sign in again', [
    {
      since: '1.3.0',
      before: '2.6.0',
      lacking: 'the command came with 2.6.0',
      instead: 'Use the administration pages of the web interface.',
      source: `${CLI} @v2.6.0`,
    },
    { ...cliRow, since: '2.6.0', argv: ({ username }) => modify(username, '--enable'), source: `${CLI} @v2.6.0` },
  ]),

  'accounts.cull': operation<{ dryRun?: boolean; concurrency?: number }>('remove remote accounts that are gone', [
    {
      since: '1.3.0',
      before: '2.2.0',
      lacking: 'the task came with 2.2.0',
      instead: 'Upgrade, or leave the accounts.',
      source: `${RAKE} @v2.2.0`,
    },
    {
      since: '2.2.0',
      before: '2.6.0',
      argv: () => rake('mastodon:maintenance:purge_removed_accounts'),
      accepts: [],
      boots: true,
      interactive: true,
      destructive: true,
      source: `${RAKE} @v2.2.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      before: '3.0.0',
      argv: params => tootctl('accounts', 'cull', ...flags(params, { dryRun: '--dry-run' })),
      accepts: ['dryRun'],
      success: /Visited [\d,.]+ accounts, removed [\d,.]+/,
      boots: true,
      destructive: true,
      source: `${CLI} @v2.6.0`,
    },
    {
      since: '3.0.0',
      argv: params =>
        tootctl('accounts', 'cull', ...flags(params, { concurrency: '--concurrency', dryRun: '--dry-run' })),
      success: /Visited [\d,.]+ accounts, removed [\d,.]+/,
      boots: true,
      destructive: true,
      note: 'Asks every remote server: slow, and a server that is down for a while looks gone.',
      source: `${CLI} @v3.0.0`,
    },
  ]),

  'accounts.prune': operation<{ dryRun?: boolean; concurrency?: number }>('remove remote accounts nobody here met', [
    {
      since: '1.3.0',
      before: '4.1.0',
      lacking: 'the command came with 4.1.0 (the documentation says 2.8.0)',
      instead: 'Upgrade, or remove single domains with `tootctl domains purge` (2.6.0).',
      source: `${CLI} @v4.1.0`,
    },
    {
      since: '4.1.0',
      argv: params =>
        tootctl('accounts', 'prune', ...flags(params, { concurrency: '--concurrency', dryRun: '--dry-run' })),
      success: /^OK, pruned [\d,.]+ accounts/m,
      boots: true,
      destructive: true,
      source: `${CLI} @v4.1.0`,
    },
  ]),

  'accounts.listAdmins': operation<Record<never, never>>('list the administrators', [
    {
      since: '1.3.0',
      before: '2.6.0',
      argv: () => rake('mastodon:users:admins'),
      success: /^Admin user emails:/m,
      boots: true,
      source: `${RAKE} @v1.3.0, @v2.5.2`,
    },
    {
      since: '2.6.0',
      lacking: 'the task was removed in 2.6.0 and nothing replaced it',
      instead: 'Read them from the database: users.admin up to 3.5, user_roles from 4.0.0 on.',
      source: `${RAKE} @v2.6.0`,
    },
  ]),
}
