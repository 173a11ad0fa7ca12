import type { AppOutcome } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import {
  closesByItself,
  READ_REASON,
  type RegistrationMode,
  readRegistrations,
  registrationMode,
  settingWord,
} from '../../mastodon/registrations.js'
import type { Statement } from '../../mastodon/statement.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { saying } from '../accounts/outcome.js'
import { isSingleUser } from '../single-user/single-user.js'

export interface RegistrationOptions {
  /** Whether who signs up has to give a reason; left as it is where absent. Only with approval. */
  requireReason?: boolean
}

export interface RegistrationResult {
  mode: RegistrationMode
  changed: boolean
  requireReason: boolean
  /** Single-user mode is on: nobody can sign up, whatever the mode. */
  singleUser: boolean
  /** This release asks for approval again by itself where no moderator signs in. */
  closesByItself: boolean
}

/** How things stand. */
interface Standing {
  mode: RegistrationMode
  requireReason: boolean
}

/** Sets who may sign up, by Mastodon's own command, and reads it back. */
export function registrations(mode: RegistrationMode): Runbook<RegistrationOptions, RegistrationResult> {
  return {
    name: commandOf(mode),
    check: async (toolbox, options) => {
      await commandFor(toolbox, mode, options)
      toolbox.app.oneOff()
    },
    steps: async (_toolbox, options) => [step(mode, options)],
    result: async (toolbox, _options, noted) => ({
      ...(await standing(toolbox)),
      changed: noted('former') !== undefined,
      singleUser: await isSingleUser(toolbox),
      closesByItself: closesByItself(await toolbox.app.version()),
    }),
  }
}

function commandOf(mode: RegistrationMode): string {
  return { open: 'registrations:open', approved: 'registrations:approved', closed: 'registrations:close' }[mode]
}

const TITLES: Readonly<Record<RegistrationMode, string>> = {
  open: 'Let everybody sign up',
  approved: 'Let everybody ask for an account',
  closed: 'Let nobody sign up',
}

function step(mode: RegistrationMode, options: RegistrationOptions): Step {
  const isSo = async ({ toolbox }: StepContext) => stands(await standing(toolbox), mode, options)
  return {
    id: 'registrations',
    title: `${TITLES[mode]}${options.requireReason ? ', with a reason' : ''}`,
    effect: 'write',
    needed: async context => ((await isSo(context)) ? 'it is so already' : true),
    done: isSo,
    run: context => change(context, mode, options),
    undo: putBack,
  }
}

function stands(now: Standing, mode: RegistrationMode, { requireReason }: RegistrationOptions): boolean {
  return now.mode === mode && (requireReason === undefined || now.requireReason === requireReason)
}

async function change(context: StepContext, mode: RegistrationMode, options: RegistrationOptions): Promise<void> {
  const { toolbox } = context
  await context.note('former', JSON.stringify(await standing(toolbox)))
  const outcome = await run(toolbox, mode, options)
  if (context.dryRun || stands(await standing(toolbox), mode, options)) return
  throw new RefusedError({
    code: 'registrations-not-changed',
    message: 'Who may sign up was not changed.',
    cause: saying(outcome),
    next: 'See what Mastodon said, then run the command again.',
  })
}

async function putBack(context: StepContext): Promise<void> {
  const former = context.noted('former')
  if (former === undefined) return
  const { toolbox } = context
  const { mode, requireReason } = JSON.parse(former) as Standing
  const now = await standing(toolbox)
  if (now.requireReason !== requireReason) await run(toolbox, 'approved', { requireReason })
  if ((await standing(toolbox)).mode !== mode) await run(toolbox, mode, {})
}

function commandFor(toolbox: Toolbox, mode: RegistrationMode, options: RegistrationOptions) {
  if (mode === 'approved') return toolbox.app.command('settings.approveRegistrations', options)
  return toolbox.app.command(mode === 'open' ? 'settings.openRegistrations' : 'settings.closeRegistrations', {})
}

function run({ app }: Toolbox, mode: RegistrationMode, options: RegistrationOptions): Promise<AppOutcome> {
  const how = { effect: 'write' } as const
  if (mode === 'approved') return app.run('settings.approveRegistrations', options, how)
  return app.run(mode === 'open' ? 'settings.openRegistrations' : 'settings.closeRegistrations', {}, how)
}

async function standing(toolbox: Toolbox): Promise<Standing> {
  const version = await toolbox.app.version()
  const mode = registrationMode(version, await settingOf(toolbox, readRegistrations(version)))
  const reason = await settingOf(toolbox, READ_REASON)
  return { mode, requireReason: reason !== undefined && settingWord(reason) === 'true' }
}

async function settingOf(toolbox: Toolbox, { sql, params }: Statement): Promise<string | undefined> {
  const [row] = await (await toolbox.database()).query<{ value: string | null }>(sql, params)
  return row?.value ?? undefined
}

const HEADS: Readonly<Record<RegistrationMode, string>> = {
  open: 'Everybody may sign up',
  approved: 'Everybody may ask for an account, and gets it when the staff approves',
  closed: 'Nobody may sign up',
}

/** Returns what holds now, and what the operator has to know of it. */
export function registrationsText(result: RegistrationResult): string {
  const { mode, changed, singleUser } = result
  const reason = mode === 'approved' && result.requireReason ? ' (a reason is asked for)' : ''
  const head = `${HEADS[mode]}${reason}${changed ? '.' : ': it was so already.'}`
  return [head, ...(singleUser && mode !== 'closed' ? [STILL_SINGLE] : []), ...adviceOf(result)].join('\n')
}

const STILL_SINGLE =
  'Single-user mode is on, so that nobody can sign up all the same. To end it: mstdn-ops single-user:off'

function adviceOf({ mode, closesByItself }: RegistrationResult): string[] {
  if (mode === 'approved')
    return ['To see who waits: mstdn-ops accounts:list --waiting. To approve one: mstdn-ops accounts:approve NAME']
  if (mode === 'open' && closesByItself)
    return ['Where no moderator signs in for a week, Mastodon asks for approval again by itself.']
  if (mode === 'closed') return ['Accounts can still be made here: mstdn-ops accounts:create NAME --email ADDRESS']
  return []
}
