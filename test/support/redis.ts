import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RedisConnector, RedisTarget } from '../../src/lib/backends/backend.js'
import { Ledger } from '../../src/lib/ledger.js'
import { openRedis, type RedisDatabase, type RedisOptions } from '../../src/lib/redis/access.js'
import { shellLine } from '../../src/lib/text.js'
import { freePort } from './postgres.js'

/** A real Redis of this test suite, on a free port, keeping nothing. */
export interface TestRedis {
  readonly host: string
  readonly port: number
  readonly server: ChildProcess
  connector(changes?: Partial<RedisTarget>): RedisConnector
  /** Opens it as commands do. */
  open(changes?: Partial<RedisTarget>, options?: Partial<RedisOptions>): Promise<RedisDatabase>
  stop(): Promise<void>
}

export interface TestRedisOptions {
  password?: string
  /** Lines for redis.conf. */
  settings?: readonly string[]
}

/** Starts a server; it is yours to stop. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-redis-'))
  const port = await freePort()
  const server = spawn(findRedis(), ['-'], { stdio: ['pipe', 'pipe', 'inherit'] })
  server.stdin?.end(configuration(dir, port, options))
  await ready(server)
  const target = { host: '127.0.0.1', port, password: options.password, database: 0, prefix: '' }
  const connector = (changes: Partial<RedisTarget> = {}) => redisConnectorTo({ ...target, ...changes })
  return {
    ...{ host: target.host, port, server, connector },
    open: (changes, more) => openRedis(connector(changes), { ledger: new Ledger(), dryRun: false, ...more }),
    async stop() {
      await end(server)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Returns a connector to this target; `byHand` shows what it was given. */
export function redisConnectorTo(target: RedisTarget, openStream?: RedisConnector['openStream']): RedisConnector {
  return {
    where: 'the test server',
    target: async () => target,
    openStream,
    cli: async () => ({ file: 'redis-cli', args: [], effect: 'read' }),
    byHand: args => `redis-cli ${shellLine(args)}`,
  }
}

function findRedis(): string {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return 'redis-server'
  } catch {
    throw new Error('this test needs redis-server: run `apt-get install redis-server` as root')
  }
}

function configuration(dir: string, port: number, options: TestRedisOptions): string {
  const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""', 'appendonly no']
  if (options.password !== undefined) lines.push(`requirepass "${options.password}"`)
  return [...lines, ...(options.settings ?? []), ''].join('\n')
}

async function ready(server: ChildProcess): Promise<void> {
  let said = ''
  const closed = once(server, 'exit').then(() => {
    throw new Error(`Redis did not start: ${said}`)
  })
  const open = new Promise<void>(resolve => {
    server.stdout?.on('data', chunk => {
      said += chunk
      if (said.includes('Ready to accept connections')) resolve()
    })
  })
  closed.catch(() => {})
  await Promise.race([open, closed])
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, 'exit')
  server.kill('SIGKILL')
  await ended
}
