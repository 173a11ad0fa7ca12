import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryResult, QueryResultRow } from 'pg'
import type { PostgresConnector } from '../backends/backend.js'
import { RefusedError } from '../errors.js'
import type { Ledger } from '../ledger.js'
import { connectProblem, statementProblem } from './problems.js'
import { encodeParam, withLiterals } from './quote.js'
import { cancelStatement, closeSession, openSession, type Session } from './session.js'

/** Reads are given up after this time, so that a check never hangs; writes take as long as they take. */
const READ_LIMIT = '2min'
/** No statement waits longer than this for a lock: whoever waits makes all later ones wait too. */
const LOCK_LIMIT = '10s'
/** Milliseconds that the end of a snapshot may take. */
const ROLLBACK_MS = 3_000

export interface WriteOptions {
  /** Positions, from 1, of parameters that no ledger, plan or error may show. */
  secretParams?: readonly number[]
  /** Stands in the ledger instead of the statement; an empty text where an earlier entry says it already. */
  recordAs?: string
}

/**
 * One session with one database. Statements that are asked for at the same time run one after another.
 *
 * int8 is a number where that is exact and a string beyond; a timestamp without time zone is read as UTC.
 */
export interface Database {
  readonly name: string
  /** Where the server is, for people. */
  readonly where: string
  readonly dryRun: boolean
  /** True when a pooler stands between us and the server. */
  readonly pooled: boolean
  /**
   * Returns the rows.
   *
   * @throws OperatorError with the SQLSTATE in it (see `sqlState`); RefusedError when the connection is lost.
   */
  query<T extends object>(sql: string, params?: readonly unknown[]): Promise<T[]>
  /**
   * Carries the statement out and returns the number of rows; it is recorded in the ledger with its parameters
   * written in. In a dry run it is recorded, not sent, and the number is 0.
   *
   * @throws OutcomeUnknownError when the connection is lost outside of a transaction.
   */
  write(sql: string, params?: readonly unknown[], options?: WriteOptions): Promise<number>
  /** All writes of `work` or none. Nothing enters the ledger when it is rolled back. */
  transaction<T>(work: () => Promise<T>): Promise<T>
  /** Reads one state of the whole database, however long it takes; writes are refused by the server. */
  snapshot<T>(work: () => Promise<T>): Promise<T>
  /** Like 150018 for 15.18. */
  serverVersionNum(): Promise<number>
  close(): Promise<void>
}

export interface DatabaseOptions {
  ledger: Ledger
  dryRun: boolean
  /** Another database of the same server. */
  database?: string
  /** What the session is for, as pg_stat_activity shows it. */
  purpose?: string
  /** Ends connecting and reading; a write that has begun is never interrupted. */
  signal?: AbortSignal
}

/** Connects to the instance's PostgreSQL, or to another database of its server. */
export async function openDatabase(connector: PostgresConnector, options: DatabaseOptions): Promise<Database> {
  const applicationName = ['mstdn-ops', options.purpose].filter(Boolean).join(' ')
  const session = await openSession(connector, { ...options, applicationName })
  const database = new SessionDatabase(connector, session, options)
  try {
    await database.prepare()
  } catch (error) {
    await database.close()
    throw connectProblem(error, connector.where, { user: (await connector.target()).user, database: session.database })
  }
  return database
}

/** `control` begins and ends transactions: it must get through whatever state the session is in. */
type Effect = 'read' | 'write' | 'control'

class SessionDatabase implements Database {
  readonly name: string
  readonly where: string
  readonly dryRun: boolean
  readonly pooled: boolean
  readonly #connector: PostgresConnector
  readonly #session: Session
  readonly #ledger: Ledger
  readonly #signal: AbortSignal | undefined
  /** What the transaction has written so far; undefined outside of one. */
  #written: string[] | undefined
  /** For which effect the session's time limit is set. */
  #limited: Effect | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(connector: PostgresConnector, session: Session, options: DatabaseOptions) {
    this.name = session.database
    this.where = connector.where
    this.dryRun = options.dryRun
    this.pooled = session.pooled
    this.#connector = connector
    this.#session = session
    this.#ledger = options.ledger
    this.#signal = options.signal
  }

  /** Sets the session up; not behind a pooler, where the settings would reach the app's own statements. */
  async prepare(): Promise<void> {
    if (this.pooled) return
    const settings: Array<[string, string]> = [['lock_timeout', LOCK_LIMIT]]
    // The server itself refuses what a dry run must not do.
    if (this.dryRun) settings.push(['default_transaction_read_only', 'on'])
    await this.#set(settings)
    if (this.#session.version >= 140_000) await this.#noticeLostClients()
  }

  async query<T extends object>(sql: string, params: readonly unknown[] = []): Promise<T[]> {
    const result = await this.#run<T & QueryResultRow>('read', sql, params)
    return result.rows
  }

  async write(sql: string, params: readonly unknown[] = [], options: WriteOptions = {}): Promise<number> {
    if (options.recordAs !== '') this.#record(options.recordAs ?? withLiterals(sql, params, options))
    if (this.dryRun) return 0
    const secrets = (options.secretParams ?? []).map(position => encodeParam(params[position - 1]) ?? '')
    const result = await this.#run('write', sql, params, secrets)
    return result.rowCount ?? 0
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    this.#mustBeOutside()
    this.#written = []
    try {
      if (!this.dryRun) await this.#run('control', 'BEGIN')
      const result = await work()
      await this.#commit()
      return result
    } catch (error) {
      if (!this.dryRun) await this.#rollBack()
      throw error
    } finally {
      this.#written = undefined
    }
  }

  async snapshot<T>(work: () => Promise<T>): Promise<T> {
    this.#mustBeOutside()
    await this.#run('control', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    try {
      await this.#run('read', 'SET LOCAL statement_timeout = 0')
      return await work()
    } finally {
      // There is nothing to take back. A server that stands still would be waited for without end.
      await Promise.race([this.#rollBack(), sleep(ROLLBACK_MS, undefined, { ref: false })])
    }
  }

  async serverVersionNum(): Promise<number> {
    return this.#session.version
  }

  async close(): Promise<void> {
    await closeSession(this.#session)
  }

  #mustBeOutside(): void {
    if (this.#written !== undefined) throw new Error('a transaction is under way on this session')
  }

  /** One after another: the client would otherwise queue them itself and warn. */
  #run<T extends QueryResultRow>(effect: Effect, sql: string, params: readonly unknown[] = [], secrets: string[] = []) {
    const turn = this.#last.then(() => this.#send<T>(effect, sql, params, secrets))
    this.#last = turn.catch(() => {})
    return turn
  }

  async #send<T extends QueryResultRow>(effect: Effect, sql: string, params: readonly unknown[], secrets: string[]) {
    const cancel = () => void cancelStatement(this.#connector, this.#session)
    try {
      await this.#limit(effect)
      if (effect === 'read') this.#signal?.addEventListener('abort', cancel)
      return (await this.#session.client.query<T>(sql, params.map(encodeParam))) as QueryResult<T>
    } catch (error) {
      throw statementProblem(error, this.#context(effect, sql, secrets))
    } finally {
      this.#signal?.removeEventListener('abort', cancel)
    }
  }

  #context(effect: Effect, sql: string, secrets: string[]) {
    const rollsBack = this.#written !== undefined && sql !== 'COMMIT'
    const changes = effect === 'write' || sql === 'COMMIT'
    return { where: this.where, effect: changes ? 'write' : 'read', rollsBack, secrets, signal: this.#signal } as const
  }

  /** A changed limit is undone by a rollback, so {@link #rollBack} forgets what is set. */
  async #limit(effect: Effect): Promise<void> {
    if (this.pooled || effect === 'control' || this.#limited === effect) return
    await this.#session.client.query(`SET statement_timeout = '${effect === 'read' ? READ_LIMIT : '0'}'`)
    this.#limited = effect
  }

  async #commit(): Promise<void> {
    this.#recordTransaction()
    if (this.dryRun) return
    const result = await this.#run('control', 'COMMIT')
    // The server answers so when a statement failed and the error was swallowed.
    if (result.command === 'ROLLBACK') throw this.#rolledBack()
  }

  async #rollBack(): Promise<void> {
    await this.#run('control', 'ROLLBACK').catch(() => {})
    this.#limited = undefined
  }

  #rolledBack() {
    const cause = 'a statement in it had failed'
    return new RefusedError({ code: 'rolled-back', message: `PostgreSQL (${this.where}) rolled back`, cause })
  }

  #record(statement: string): void {
    if (this.#written !== undefined) this.#written.push(statement)
    else this.#enter(statement, statement)
  }

  /** By hand it is one psql call: each call is a session of its own. */
  #recordTransaction(): void {
    const written = this.#written ?? []
    if (written.length === 0) return
    const statements = ['BEGIN', ...written, 'COMMIT']
    for (const statement of statements) this.#enter(statement, statements.join('; '))
  }

  #enter(statement: string, byHand: string): void {
    this.#ledger.record({ kind: 'sql', exact: statement, byHand: this.#connector.byHand(this.name, byHand) })
  }

  async #set(settings: ReadonlyArray<readonly [string, string]>): Promise<void> {
    const calls = settings.map(([name, value]) => `set_config('${name}', '${value}', false)`)
    await this.#session.client.query(`SELECT ${calls.join(', ')}`)
  }

  /** So that a statement does not go on for hours after this process was killed. Some systems cannot do it (22023). */
  async #noticeLostClients(): Promise<void> {
    await this.#set([['client_connection_check_interval', '1s']]).catch(error => {
      if ((error as { code?: string }).code !== '22023') throw error
    })
  }
}
