import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { findRedis } from '../../src/lib/backends/direct/sandbox/server/redis.js'
import { startSandbox } from '../../src/lib/backends/direct/sandbox/server.js'
import { Ledger } from '../../src/lib/ledger.js'
import { Output } from '../../src/lib/output.js'
import { Runner } from '../../src/lib/runner.js'
import { contract, type Subject } from './suite.js'

const redis = (await findRedis()) !== undefined

async function startDirect(): Promise<Subject> {
  const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-contract-'))
  const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
  const { databaseUrl, redisUrl, stop } = await startSandbox({ dir, runner, size: { statuses: 20, remoteAccounts: 5 } })
  return {
    flags: { backend: 'direct' },
    env: { MSTDN_OPS_DATABASE_URL: databaseUrl, ...(redisUrl === undefined ? {} : { MSTDN_OPS_REDIS_URL: redisUrl }) },
    sql: text => oneValue(databaseUrl, text),
    stop: async () => {
      await stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function oneValue(connectionString: string, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const { rows } = await client.query({ text: sql, rowMode: 'array' })
  await client.end()
  return rows.map(row => row.join('|')).join('\n')
}

contract('direct, on the embedded server', redis ? ['postgres', 'redis'] : ['postgres'], startDirect)
