import { UnforeseenError } from '../../errors.js'
import { disableTwoFactor, isTwoFactorOff, readTwoFactor, type TwoFactorRow } from '../../mastodon/two-factor.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { theUser } from './user.js'

export interface Disable2faOptions {
  /** The local name or the e-mail address. */
  user: string
}

export interface Disable2faResult {
  username: string
  /** The user's role makes them set up a second factor again at the next sign-in (Mastodon 4.6). */
  forcedByRole: boolean
  changed: boolean
}

/**
 * Turns two-factor authentication off wholly: secrets, backup codes and security keys. Mastodon's own command leaves
 * some of them up to 4.3 (lib/mastodon/accounts_cli.rb), so this is done in the database, in one transaction that is
 * committed only when reading back shows that nothing is left.
 */
export const disable2fa: Runbook<Disable2faOptions, Disable2faResult> = {
  name: 'accounts:disable-2fa',
  check: async (toolbox, { user }) => {
    await theUser(toolbox, user)
  },
  steps: async (_toolbox, { user }) => [disableStep(user)],
  result: async (toolbox, { user }, noted) => {
    const found = await theUser(toolbox, user)
    const row = await readBack(toolbox, found.id)
    return { username: found.username, forcedByRole: row.forced, changed: noted('changed') === 'yes' }
  },
}

function disableStep(user: string): Step {
  return {
    id: 'disable-2fa',
    title: `Turn off two-factor authentication for ${user}`,
    effect: 'write',
    atomic: true,
    irreversible: 'secrets, backup codes and security keys are deleted; the user sets them up anew',
    needed: async ({ toolbox }) => {
      const found = await theUser(toolbox, user)
      return isTwoFactorOff(await readBack(toolbox, found.id)) ? 'it is off already' : true
    },
    done: async ({ toolbox }) => isTwoFactorOff(await readBack(toolbox, (await theUser(toolbox, user)).id)),
    run: context => disable(context, user),
  }
}

async function disable(context: StepContext, user: string): Promise<void> {
  const { toolbox } = context
  const found = await theUser(toolbox, user)
  const database = await toolbox.database()
  const version = await toolbox.app.version()
  await context.note('changed', 'yes')
  await database.transaction(async () => {
    for (const { sql, params } of disableTwoFactor(version, found.id)) await database.write(sql, params)
    if (!context.dryRun && !isTwoFactorOff(await readBack(toolbox, found.id))) throw stillOn(found.username)
  })
}

async function readBack(toolbox: Toolbox, userId: string): Promise<TwoFactorRow> {
  const { sql, params } = readTwoFactor(await toolbox.app.version(), userId)
  const [row] = await (await toolbox.database()).query<TwoFactorRow>(sql, params)
  if (row) return row
  throw stillOn(`user ${userId}`)
}

function stillOn(name: string): UnforeseenError {
  return new UnforeseenError({
    code: 'two-factor-still-on',
    message: `Two-factor authentication of ${name} could not be turned off.`,
    cause: 'Reading it back showed that something is left; nothing was committed.',
  })
}
