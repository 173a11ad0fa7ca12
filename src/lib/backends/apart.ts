import type { AppOutcome, DiskSpace, PostgresConnector } from './backend.js'

/** Which database server is in a place: the instance's, or one of the place's own that goes with it. */
export type ApartServer = 'live' | 'own'

/**
 * A place for processes of another release that reach nothing of the instance: a network of its own without a way out, an
 * empty Redis, and a database server. A place that a killed process left is found again by the instance that it is of.
 */
export interface Apart {
  /** @throws RefusedError with the reason where no place can be made. */
  usable(): Promise<void>
  /**
   * Makes the place of this key. What serves is not touched.
   *
   * @param settings of PostgreSQL, for a server of its own
   */
  open(key: string, how: { server: ApartServer; settings?: Readonly<Record<string, string>> }): Promise<void>
  /** Returns the room that a server of its own would find; none where it cannot be told. */
  room(): Promise<DiskSpace[]>
  /** Returns the server of the open place's own, as its superuser. */
  own(key: string): OwnServer
  /**
   * Runs a process there to its end: with the variables of the app, but for those that lead to a server. When this process
   * dies, so does that one.
   *
   * @throws RefusedError when it could not be started; the reason of `stop`.
   */
  run(command: ApartCommand): Promise<AppOutcome>
  /** Removes every place of the instance, with all that runs there; safe to repeat. Returns how many there were. */
  close(): Promise<number>
}

export interface OwnServer {
  postgres: PostgresConnector
  disk(): Promise<DiskSpace[]>
}

export interface ApartCommand {
  key: string
  /** The version of a release that was fetched. */
  release: string
  argv: readonly string[]
  /** Variables over the app's own. They may be seen by other users of the host: never secrets. */
  env: Readonly<Record<string, string>>
  /** More of them, which nobody else may see. */
  secrets: Readonly<Record<string, string>>
  /** The only database that it is to work in, and as whom. */
  database: { server: ApartServer; name: string; user: string; password: string }
  onLine: (line: string) => void
  /** Ends the process when it is aborted. */
  stop: AbortSignal
}
