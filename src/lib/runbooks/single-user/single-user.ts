import { RefusedError } from '../../errors.js'
import { countPeople, type PeopleRow } from '../../mastodon/people.js'
import type { Runbook, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from '../config/change.js'

const KEY = 'SINGLE_USER_MODE'

export interface SingleUserResult {
  on: boolean
  changed: boolean
  /** Whether the running process sees it. */
  inForce: boolean
  /** Whose profile visitors are shown in place of a front page; null while it is off. */
  shows: string | null
  /** How many people have an account here. */
  people: number
}

/** Whether visitors are led to the first account's profile and nobody can sign up: only the exact word `true` does it. */
export async function isSingleUser(toolbox: Toolbox): Promise<boolean> {
  return (await toolbox.app.config()).get(KEY) === 'true'
}

/** Turns single-user mode on or off: the variable, and a restart of the web processes, the only ones that read it. */
export function singleUser(on: boolean): Runbook<Record<never, never>, SingleUserResult> {
  return {
    name: on ? 'single-user:on' : 'single-user:off',
    check: async toolbox => {
      await configOf(toolbox).writable()
      if (on && (await people(toolbox)).first === null) throw nobodyHere()
    },
    steps: async toolbox => configSteps(toolbox, changeTo(on)),
    result: (toolbox, _options, noted) => describe(toolbox, noted),
  }
}

function changeTo(on: boolean): ConfigChange {
  return {
    keys: [KEY],
    title: where => `Turn single-user mode ${on ? 'on' : 'off'} in ${where}`,
    values: async () => ({ [KEY]: String(on) }),
    unneeded: async ({ toolbox }: StepContext) => {
      const stored = (await configOf(toolbox).stored()).get(KEY)
      return (stored === 'true') === on ? `it is ${on ? 'on' : 'off'} already` : undefined
    },
    roles: ['web'],
    restart: true,
  }
}

async function people(toolbox: Toolbox): Promise<PeopleRow> {
  const { sql, params } = countPeople(await toolbox.app.version())
  const [row] = await (await toolbox.database()).query<PeopleRow>(sql, params)
  return row ?? { people: 0, first: null }
}

async function describe(toolbox: Toolbox, noted: (key: string) => string | undefined): Promise<SingleUserResult> {
  const config = configOf(toolbox)
  const on = (await config.stored()).get(KEY) === 'true'
  const { people: count, first } = await people(toolbox)
  const inForce = ((await config.running()).get(KEY) === 'true') === on
  const changed = noted('written') !== undefined
  await settleCopy(toolbox, noted)
  return { on, changed, inForce, shows: on ? first : null, people: count }
}

function nobodyHere(): RefusedError {
  return new RefusedError({
    code: 'nobody-here',
    message: 'Nobody has an account here: single-user mode would have nobody to show.',
    cause: 'It leads visitors to the profile of the first account, and keeps everybody from signing up.',
    next: 'mstdn-ops accounts:create NAME --email ADDRESS --role owner, then mstdn-ops single-user:on',
  })
}

/** Returns what holds now, and what visitors see. */
export function singleUserText({ on, changed, inForce, shows, people: count }: SingleUserResult): string {
  const head = `Single-user mode is ${on ? 'on' : 'off'}${changed ? '' : ' already'}${inForce ? '.' : ', and not in force yet: mstdn-ops restart --role web'}`
  if (!on)
    return `${head}\nWho may sign up is a setting of its own: mstdn-ops registrations:open, registrations:approved or registrations:close`
  const others =
    count > 1
      ? ` ${count - 1} more ${count === 2 ? 'person has' : 'people have'} an account here and can sign in as before.`
      : ''
  return `${head}\nVisitors see the profile of ${shows ?? 'nobody'}, and nobody can sign up.${others}`
}
