import type { AppOutcome } from '../../backends/backend.js'
import { NotUndoneError, type OperatorError, RefusedError } from '../../errors.js'
import { UnsupportedVersionError } from '../../mastodon/catalogue.js'
import { findTaken, knowsBots, makeBot, type TakenRow, type UserRow } from '../../mastodon/users.js'
import type { Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { staffOf } from './make-admin.js'
import { saying } from './outcome.js'
import { NEW_PASSWORD, notShown, PRINTED } from './reset-password.js'
import { type ChosenRole, chosenRole } from './role.js'
import { assertEmail, assertNewName, theUser } from './user.js'

export interface CreateOptions {
  /** The local name, without `@` and domain. */
  username: string
  email: string
  /** The name of a role; none where absent. */
  role?: string
  /** Whether the account says that a program posts by it. */
  bot: boolean
}

export interface CreateResult {
  username: string
  email: string
  /** False where the account was there already. */
  created: boolean
  confirmed: boolean
  approved: boolean
  role: string | null
  bot: boolean
}

/**
 * Makes an account that can sign in at once: confirmed and approved, whether or not the server sends mail and whoever
 * may sign up. `seen` is told the password as soon as it is known, for a step after it may fail.
 */
export function createAccount(
  seen: (password: string) => void = () => undefined,
): Runbook<CreateOptions, CreateResult> {
  return {
    name: 'accounts:create',
    check: refuse,
    steps: async (_toolbox, options) => [createStep(options, seen), ...(options.bot ? [botStep(options)] : [])],
    result: describe,
  }
}

async function refuse(toolbox: Toolbox, options: CreateOptions): Promise<void> {
  const { username, email, role, bot } = options
  assertNewName(username)
  assertEmail(email)
  const version = await toolbox.app.version()
  const { row } = await toolbox.app.command('accounts.create', { username, email })
  if (row.interactive) throw asksItself(String(version))
  if (bot && !knowsBots(version)) throw noBots(String(version))
  toolbox.app.oneOff()
  const wanted = role === undefined ? undefined : await chosenRole(toolbox, role)
  const taken = await takenBy(toolbox, options)
  if (taken !== undefined) await refuseAnother(toolbox, options, taken, wanted)
}

/** Returns what has the name, or else what has the address. */
async function takenBy(toolbox: Toolbox, { username, email }: CreateOptions): Promise<TakenRow | undefined> {
  const { sql, params } = findTaken(await toolbox.app.version(), username, email)
  const rows = await (await toolbox.database()).query<TakenRow>(sql, params)
  return rows.find(row => sameText(row.username, username)) ?? rows[0]
}

/** An account that is there is left as it is: only one that is what was asked for counts as made. */
async function refuseAnother(toolbox: Toolbox, options: CreateOptions, taken: TakenRow, wanted?: ChosenRole) {
  const { username, email } = options
  if (!sameText(taken.username, username)) throw addressTaken(email, taken.username)
  if (taken.user_id === null) throw nameKept(username)
  if (!sameText(taken.email ?? '', email)) throw nameTaken(taken.username)
  const lacks = await lacking(toolbox, taken.username, wanted)
  if (lacks !== undefined) throw existsOtherwise(taken.username, lacks)
}

interface Lack {
  what: string
  next: string
}

async function lacking(toolbox: Toolbox, username: string, wanted?: ChosenRole): Promise<Lack | undefined> {
  const { id, confirmed, approved } = await theUser(toolbox, username)
  if (!confirmed) return { what: 'not confirmed', next: `mstdn-ops accounts:confirm ${username}` }
  if (!approved) return { what: 'not approved', next: `mstdn-ops accounts:approve ${username}` }
  if (wanted === undefined || wanted.name === (await roleOf(toolbox, id))) return undefined
  return {
    what: `without the role ${wanted.name}`,
    next: `mstdn-ops accounts:make-admin ${username}, or the pages of Mastodon`,
  }
}

async function roleOf(toolbox: Toolbox, id: string): Promise<string | null> {
  const { administrator, moderator, role } = await staffOf(toolbox, id)
  if (role !== null) return role
  if (administrator) return 'admin'
  return moderator ? 'moderator' : null
}

function createStep(options: CreateOptions, seen: (password: string) => void): Step {
  const { username, role } = options
  return {
    id: 'create',
    title: `Create the account ${username}${role === undefined ? '' : ` with the role ${role}`}, confirmed and approved`,
    effect: 'write',
    atomic: true,
    repeatable: true,
    irreversible: 'a deleted account keeps its name for ever, so it is not taken away again',
    needed: async ({ toolbox }) => ((await takenBy(toolbox, options)) === undefined ? true : 'it exists already'),
    run: context => create(context, options, seen),
    settle: context => settle(context, options),
  }
}

async function create(context: StepContext, options: CreateOptions, seen: (password: string) => void): Promise<void> {
  const { toolbox } = context
  const { username, email } = options
  // On resume: the process that was killed had made it, and its password died with that.
  if ((await takenBy(toolbox, options)) !== undefined) throw notShown(username)
  const role = options.role === undefined ? undefined : await chosenRole(toolbox, options.role)
  const params = { username, email, ...role?.params }
  const outcome = await toolbox.app.run('accounts.create', params, { effect: 'write', once: true })
  if (context.dryRun) return
  const password = PRINTED.exec(outcome.stdout)?.[1]
  toolbox.output.redactor.add('new password', password)
  if ((await takenBy(toolbox, options)) === undefined) throw notCreated(username, outcome)
  await context.note('created', 'yes')
  if (password === undefined) throw notShown(username)
  context.reveal(NEW_PASSWORD, password)
  seen(password)
  await approveWhereNeeded(context, username)
  await readBack(toolbox, options, role)
}

/** 2.8.0 leaves a new account waiting where sign-ups ask for approval (lib/mastodon/accounts_cli.rb). */
async function approveWhereNeeded({ toolbox }: StepContext, username: string): Promise<void> {
  if ((await theUser(toolbox, username)).approved) return
  await toolbox.app.run('accounts.approve', { username }, { effect: 'write' })
}

async function readBack(toolbox: Toolbox, { username }: CreateOptions, role: ChosenRole | undefined): Promise<void> {
  const lacks = await lacking(toolbox, username, role)
  if (lacks !== undefined) throw madeOtherwise(username, lacks)
}

/** The account of a process that was lost may be there, with a password that nobody saw. */
async function settle({ toolbox }: StepContext, options: CreateOptions): Promise<Settled> {
  if ((await takenBy(toolbox, options)) === undefined) return 'not done'
  throw notShown(options.username)
}

/** The app has no command for it. The account is new, so that nobody need be told. */
function botStep(options: CreateOptions): Step {
  const { username } = options
  return {
    id: 'bot',
    title: `Say in the profile of ${username} that a program posts by it`,
    effect: 'write',
    atomic: true,
    repeatable: true,
    irreversible: 'it is ended in the settings of the profile, by who signs in as it',
    needed: async ({ toolbox }) => ((await takenBy(toolbox, options))?.bot ? 'it says so already' : true),
    done: async ({ toolbox }) => (await takenBy(toolbox, options))?.bot ?? false,
    run: async context => {
      const { toolbox } = context
      const { sql, params } = makeBot(username)
      await (await toolbox.database()).write(sql, params)
      if (!context.dryRun && !(await takenBy(toolbox, options))?.bot) throw noBotMade(username)
    },
  }
}

async function describe(
  toolbox: Toolbox,
  options: CreateOptions,
  noted: (key: string) => string | undefined,
): Promise<CreateResult> {
  const { id, username, email, confirmed, approved }: UserRow = await theUser(toolbox, options.username)
  const bot = (await takenBy(toolbox, options))?.bot ?? false
  const role = await roleOf(toolbox, id)
  return { username, email, created: noted('created') === 'yes', confirmed, approved, role, bot }
}

function sameText(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

function asksItself(version: string): UnsupportedVersionError {
  return new UnsupportedVersionError({
    message: `Mastodon ${version} can create an account only by questions on a terminal`,
    cause: 'its task reads neither name nor address from the command line. It needs Mastodon 2.6.0.',
    next: 'mstdn-ops shell, and there: bundle exec rake mastodon:add_user. Or sign up in the browser, then mstdn-ops accounts:confirm NAME.',
    needs: '2.6.0',
  })
}

function noBots(version: string): UnsupportedVersionError {
  return new UnsupportedVersionError({
    message: `Mastodon ${version} knows no accounts of programs`,
    cause: 'accounts say it since 2.4.0.',
    next: 'Leave --bot out.',
    needs: '2.4.0',
  })
}

function addressTaken(email: string, username: string): RefusedError {
  return new RefusedError({
    code: 'address-taken',
    message: `The address ${email} is the one of ${username}.`,
    cause: 'An address belongs to one account. Nothing was changed.',
    next: 'Give another address.',
  })
}

function nameKept(username: string): RefusedError {
  return new RefusedError({
    code: 'name-kept',
    message: `There was an account ${username}, which was deleted.`,
    cause: 'Its name is kept, for other servers know it by that name.',
    next: `Choose another name, or give it to a new user: mstdn-ops run -- bin/tootctl accounts create ${username} --email … --confirmed --reattach`,
  })
}

function nameTaken(username: string): RefusedError {
  return new RefusedError({
    code: 'name-taken',
    message: `${username} exists already, with another address.`,
    cause: 'Nothing was changed: neither its address nor its password.',
    next: `Choose another name, or give it a new password: mstdn-ops accounts:reset-password ${username}`,
  })
}

function existsOtherwise(username: string, { what, next }: Lack): RefusedError {
  return new RefusedError({
    code: 'exists-otherwise',
    message: `${username} exists already, and is ${what}.`,
    cause: 'Nothing was changed: an account that is there is not made again.',
    next,
  })
}

function notCreated(username: string, outcome: AppOutcome): OperatorError {
  const said = saying(outcome)
  return new RefusedError({
    code: 'not-created',
    message: `The account ${username} was not created.`,
    cause: said,
    next: /email/i.test(said)
      ? 'Mastodon looks up the domain of the address: give one whose domain has a mail server or an address in DNS, and that is not blocked.'
      : 'See what Mastodon said. It refuses some names, like admin and support, to everybody.',
  })
}

function madeOtherwise(username: string, { what, next }: Lack): NotUndoneError {
  return new NotUndoneError({
    code: 'made-otherwise',
    message: `${username} was created, and is ${what}.`,
    cause: 'Mastodon said that all went well; reading it back shows another state.',
    next,
  })
}

function noBotMade(username: string): RefusedError {
  return new RefusedError({
    code: 'no-bot',
    message: `The profile of ${username} does not say that a program posts by it.`,
    cause: 'It was written, and reading it back shows another state.',
    next: 'Sign in as it and choose it in the settings of the profile.',
  })
}

/** Returns what is to be said of the account: what it is now, and of one that was there, what it kept. */
export function createdText({ username, created, role, bot }: CreateResult): string {
  const kind = [role === null ? [] : [`the role ${role}`], bot ? ['the mark of a bot'] : []].flat().join(' and ')
  const rights = kind === '' ? '' : `, with ${kind}`
  if (created) return `${username} is created${rights}: confirmed and approved, it can sign in now.`
  return `${username} exists already${rights}. Its password stays as it is; to give it another: mstdn-ops accounts:reset-password ${username}`
}
