import type { Toolbox } from '../toolbox.js'

/** What a check found. `not-applicable`: there is nothing here that it could look at, or this version does not need it. */
export interface Finding {
  state: 'ok' | 'warn' | 'bad' | 'not-applicable'
  message: string
  /** What to do about it: a command, where one does it. */
  fix?: string
}

/** When a check runs besides in `doctor`: before what it would be in the way of. */
export type Occasion = 'upgrade' | 'restore' | 'reset'

/** One thing to look at. It reads only. */
export interface Check {
  /** Stable, for `--only`. */
  readonly id: string
  readonly title: string
  readonly for: readonly Occasion[]
  /** May throw an OperatorError when it cannot look. */
  run(toolbox: Toolbox): Promise<Finding>
}

export function ok(message: string): Finding {
  return { state: 'ok', message }
}

export function warn(message: string, fix: string): Finding {
  return { state: 'warn', message, fix }
}

export function bad(message: string, fix: string): Finding {
  return { state: 'bad', message, fix }
}

export function notApplicable(message: string): Finding {
  return { state: 'not-applicable', message }
}

/** For a capability that this backend has not got. */
export function notHere(toolbox: Toolbox, what: string): Finding {
  return notApplicable(`The ${toolbox.backend.kind} backend has no ${what} to look at.`)
}
