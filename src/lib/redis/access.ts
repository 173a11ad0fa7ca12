import type { Redis } from 'ioredis'
import type { RedisConnector } from '../backends/backend.js'
import type { Ledger } from '../ledger.js'
import { shellLine } from '../text.js'
import { connectClient } from './connect.js'
import { commandProblem, connectProblem } from './problems.js'

export type RedisArgument = string | number
/** With bytes that are no text, perhaps. */
export type RedisBytes = RedisArgument | Buffer

/** How a change is told where the command itself would say little to people. */
export interface WriteWords {
  /** In place of the command, like one with its thousand arguments left out. */
  exact?: string
  byHand?: string
  /** A further part of a change that the ledger has already. */
  told?: boolean
}

/** One connection to the instance's Redis. Keys are passed whole: see {@link RedisDatabase.key}. */
export interface RedisDatabase {
  /** Where the server is, for people. */
  readonly where: string
  readonly dryRun: boolean
  /** What stands before every key of this instance, with its colon; empty where there is no namespace. */
  readonly prefix: string
  /** Returns the name with the prefix before it. */
  key(name: string): string
  /** Returns the server's reply. @throws RefusedError when the server refuses or is lost. */
  read(command: string, ...args: RedisArgument[]): Promise<unknown>
  /** Like {@link RedisDatabase.read}, with buffers in the place of texts: what is no UTF-8 stays whole. */
  readBytes(command: string, ...args: RedisBytes[]): Promise<unknown>
  /**
   * Returns the server's reply; the command is recorded in the ledger. In a dry run it is recorded, not sent, and the
   * reply is null.
   *
   * @throws OutcomeUnknownError when the connection is lost.
   */
  write(command: string, ...args: RedisArgument[]): Promise<unknown>
  /** Like {@link RedisDatabase.write}, told in other words. */
  writeAs(words: WriteWords, command: string, ...args: RedisBytes[]): Promise<unknown>
  /** Returns the line with which an operator would send this command. */
  byHand(command: readonly string[]): string
  close(): Promise<void>
}

export interface RedisOptions {
  ledger: Ledger
  dryRun: boolean
  /** Ends connecting. */
  signal?: AbortSignal
}

/**
 * Connects to the instance's Redis.
 *
 * @throws RefusedError with the cause: host unknown, wrong password, still loading, not a Redis server.
 */
export async function openRedis(connector: RedisConnector, options: RedisOptions): Promise<RedisDatabase> {
  const target = await connector.target()
  try {
    const client = await connectClient(connector, target, options.signal)
    return new ClientRedis(connector, client, target.prefix, options)
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason
    throw connectProblem(error, connector.where)
  }
}

class ClientRedis implements RedisDatabase {
  readonly where: string
  readonly dryRun: boolean
  readonly prefix: string
  readonly #connector: RedisConnector
  readonly #client: Redis
  readonly #ledger: Ledger

  constructor(connector: RedisConnector, client: Redis, prefix: string, options: RedisOptions) {
    this.where = connector.where
    this.dryRun = options.dryRun
    this.prefix = prefix
    this.#connector = connector
    this.#client = client
    this.#ledger = options.ledger
  }

  key(name: string): string {
    return this.prefix + name
  }

  read(command: string, ...args: RedisArgument[]): Promise<unknown> {
    return this.#send('read', command, args)
  }

  write(command: string, ...args: RedisArgument[]): Promise<unknown> {
    return this.writeAs({}, command, ...args)
  }

  readBytes(command: string, ...args: RedisBytes[]): Promise<unknown> {
    return this.#send('read', command, args, 'bytes')
  }

  async writeAs(words: WriteWords, command: string, ...args: RedisBytes[]): Promise<unknown> {
    if (!words.told) this.#record(words, [command, ...args.map(String)])
    return this.dryRun ? null : this.#send('write', command, args)
  }

  byHand(command: readonly string[]): string {
    return this.#connector.byHand(command)
  }

  async close(): Promise<void> {
    if (this.#client.status === 'ready') await this.#client.quit().catch(() => {})
    this.#client.disconnect()
  }

  #record({ exact, byHand }: WriteWords, line: readonly string[]): void {
    this.#ledger.record({ kind: 'redis', exact: exact ?? shellLine(line), byHand: byHand ?? this.byHand(line) })
  }

  async #send(effect: 'read' | 'write', command: string, args: readonly RedisBytes[], as?: 'bytes') {
    try {
      return await (as === 'bytes' ? this.#client.callBuffer(command, ...args) : this.#client.call(command, ...args))
    } catch (error) {
      throw commandProblem(error, this.where, command, effect)
    }
  }
}
