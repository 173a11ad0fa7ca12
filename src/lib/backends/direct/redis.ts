import type { Invocation } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { RedisConnector, RedisTarget } from '../backend.js'

/** A Redis server that this machine reaches by itself. */
export class DirectRedis implements RedisConnector {
  readonly where: string
  readonly #target: RedisTarget

  constructor(target: RedisTarget, where = `Redis at ${shownHost(target)}`) {
    this.#target = target
    this.where = where
  }

  async target(): Promise<RedisTarget> {
    return this.#target
  }

  /** The password travels by the environment: arguments are seen by every user of the machine. */
  async cli(args: readonly string[]): Promise<Invocation> {
    const { password } = this.#target
    return {
      file: 'redis-cli',
      args: [...this.#flags(), ...args],
      ...(password === undefined ? {} : { env: { REDISCLI_AUTH: password } }),
      effect: 'write',
      byHand: this.byHand(args),
    }
  }

  byHand(args: readonly string[]): string {
    return shellLine(['redis-cli', ...this.#flags(), ...args])
  }

  #flags(): string[] {
    const { host = 'localhost', port = 6379, username, database, tls } = this.#target
    const place = host.startsWith('/') ? ['-s', host] : ['-h', host, '-p', String(port)]
    const user = username === undefined ? [] : ['--user', username]
    return [
      ...place,
      ...user,
      ...(database === 0 ? [] : ['-n', String(database)]),
      ...(tls === 'verify' ? ['--tls'] : []),
      ...(tls === 'accept-any' ? ['--tls', '--insecure'] : []),
    ]
  }
}

function shownHost({ host, port }: RedisTarget): string {
  return host?.startsWith('/') ? host : `${host}:${port}`
}
