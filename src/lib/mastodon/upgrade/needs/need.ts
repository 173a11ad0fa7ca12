import type { MastodonVersion } from '../../version.js'
import type { UpgradeSurroundings } from '../surroundings.js'

/** Something that a release on the way asks of the instance. */
export interface Need {
  /** Like `postgres`, `encryption-keys`, `image web`. */
  id: string
  /** The release that asks for it. */
  release: string
  /**
   * `before` anything is changed; `made` by the upgrade itself where it is missing; at the `switch`, when the processes get
   * the new release.
   */
  when: 'before' | 'made' | 'switch'
  /** What is asked for, like `PostgreSQL 14 or newer`. */
  what: string
  met: true | false | 'unknown'
  /** What is there; null where nothing was seen. */
  found: string | null
  /** The lines that meet it, in order; empty where it is met. */
  commands: readonly string[]
  source: string
}

/** One release on the way, from the one before it. */
export interface Leap {
  from: MastodonVersion
  to: MastodonVersion
}

/** Returns what a leap asks for of one kind. */
export type NeedsOf = (leap: Leap, surroundings: UpgradeSurroundings) => readonly Need[]

/** Returns the need with its lines taken out where there is nothing to do. */
export function needOf(need: Need): Need {
  return need.met === true ? { ...need, commands: [] } : need
}
