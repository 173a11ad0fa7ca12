import type { Writable } from 'node:stream'
import type { PostgresConnector } from './backend.js'

/** A backup or a restore that the platform carries out by itself, also when nobody waits for it. */
export interface Transfer {
  /** Names it for good: what a journal notes. */
  uuid: string
  /** What people call it, like `b012` for a backup and `r013` for a restore. */
  id: string
  kind: 'backup' | 'restore' | 'copy'
  /** `planned` in a dry run: nothing was started. */
  state: 'planned' | 'running' | 'succeeded' | 'failed' | 'canceled'
  startedAt: Date | undefined
  finishedAt: Date | undefined
  /** What was processed so far; of a finished backup the size of its dump as the platform counts it. */
  bytes: number
  warnings: number
  /** Begun by the platform's schedule, not by anybody. */
  scheduled: boolean
}

/** How a backup or a restore is begun, so that a run that was killed finds again what it had begun. */
export interface TransferWatch {
  /** What {@link Captures.mark} said before: one of the kind begun since then is taken up, and none begun beside it. */
  mark?: string
  /** Called once, as soon as it is known by name. */
  onStarted?: (transfer: Transfer) => Promise<void> | void
  /** Called at each look with what was processed so far. */
  onProgress?: (transfer: Transfer) => void
}

/** Logical backups (`pg_dump -Fc`) that the platform makes of the instance's database, and keeps. */
export interface Captures {
  /** Refuses with a reason when the instance's database is none that the platform backs up. */
  usable(): Promise<void>
  /** Returns every backup that is kept or under way, the newest first; those that failed too. */
  list(): Promise<Transfer[]>
  /** Returns what is noted before {@link capture} and {@link restore}: it tells what was begun since. */
  mark(): Promise<string>
  /**
   * Makes a backup and waits for its end.
   *
   * @throws RefusedError with the last lines of its log when it failed or was cancelled; OutcomeUnknownError when its
   * end was not seen: it goes on by itself.
   */
  capture(watch?: TransferWatch): Promise<Transfer>
  /**
   * Puts a backup back, into the instance's database or into the add-on named, and waits for its end. What the backup
   * has is dropped there first; what it has not stays.
   *
   * @throws RefusedError when nothing was begun; NotUndoneError with the last lines of its log when it failed or was
   * cancelled: the database may be half restored; OutcomeUnknownError when its end was not seen.
   */
  restore(id: string, watch?: TransferWatch & { into?: string }): Promise<Transfer>
  /** Waits for the end of what was begun before, by its uuid. @throws as what began it does. */
  follow(uuid: string, onProgress?: TransferWatch['onProgress']): Promise<Transfer>
  /** Ends what is under way; returns once it is over, and at once where it is so already. */
  cancel(uuid: string): Promise<void>
  /**
   * Writes the dump to the stream and returns its size in bytes. Nothing is written before its first bytes were seen to
   * be pg_dump's; a whole dump is proven by decoding it alone.
   *
   * @throws RefusedError when what comes is no dump, or ends too early; the stream is destroyed then.
   */
  download(id: string, to: Writable): Promise<number>
  /**
   * Empties the instance's database, for which the platform ends all its sessions. The platform's word alone is not
   * believed: `isEmpty` looks into the database, over a connection of its own.
   *
   * @throws RefusedError when nothing was done; OutcomeUnknownError when that cannot be told.
   */
  reset(isEmpty: () => Promise<boolean>): Promise<void>
  /** Deletes one backup; does nothing where it is gone already. */
  deleteOne(id: string): Promise<void>
}

/** What something costs for each `unit`, which is `month` as a rule. */
export interface Price {
  cents: number
  unit: string
}

export interface DatabasePlan {
  /** Like `heroku-postgresql:essential-0`. */
  plan: string
  price: Price | undefined
}

/** A database that the platform runs for the app. */
export interface DatabaseAddon extends DatabasePlan {
  /** Unique on the platform. */
  name: string
  state: 'planned' | 'provisioning' | 'provisioned' | 'deprovisioned'
  /** The names under which the app sees it: `DATABASE` gives `DATABASE_URL`. */
  attachments: string[]
  /** Whether `DATABASE_URL` leads to it. */
  isCurrent: boolean
}

/** The databases of the app that the platform runs, of which it can be given another one. */
export interface DatabaseAddons {
  list(): Promise<DatabaseAddon[]>
  /** Returns what can be had, with its price, the cheapest first. */
  plans(): Promise<DatabasePlan[]>
  /**
   * Orders a database and waits until it answers. `known` are the add-ons that there were before: one of the plan that is
   * not among them is taken up, so that a resumed run orders none twice.
   *
   * @throws RefusedError when it was not made; OutcomeUnknownError when that cannot be told.
   */
  create(plan: string, known?: readonly string[]): Promise<DatabaseAddon>
  /**
   * Makes DATABASE_URL lead to this add-on; the one before keeps a name of its own. Does nothing where it is so already.
   * The platform starts all processes anew.
   *
   * @throws RefusedError when nothing was done; NotUndoneError when the release that makes it so has failed.
   */
  promote(addon: string): Promise<void>
  /** Destroys a database with all that is in it. Refuses the one behind DATABASE_URL; does nothing where it is gone. */
  destroy(addon: string): Promise<void>
  /** Returns the way into one of them. */
  connector(addon: string): Promise<PostgresConnector>
}
