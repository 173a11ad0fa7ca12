import { access, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accounts } from '../../../src/lib/backends/direct/sandbox/server/account.js'
import { createCluster, startPostgres, stopPostgres } from '../../../src/lib/backends/direct/sandbox/server/postgres.js'
import { isAlive, poll } from '../../../src/lib/backends/direct/sandbox/server/process.js'
import { embeddedPrograms } from '../../../src/lib/backends/direct/sandbox/server/programs.js'
import { password, writeRecord } from '../../../src/lib/backends/direct/sandbox/server/record.js'
import { findRedis } from '../../../src/lib/backends/direct/sandbox/server/redis.js'
import { sandboxState, startSandbox, stopSandbox } from '../../../src/lib/backends/direct/sandbox/server.js'
import { runner, scratchFolder, withClient } from './scratch.js'

const size = { statuses: 20, remoteAccounts: 8 }

let folder: Awaited<ReturnType<typeof scratchFolder>>
let dir: string
beforeEach(async () => {
  folder = await scratchFolder()
  dir = folder.dir
})
afterEach(() => folder.remove())

/** An early release is made soonest; a sandbox that is there keeps its own. */
const start = async (release?: string) => {
  const found = await sandboxState({ dir })
  return startSandbox({ dir, runner, size, release: release ?? (found.state === 'absent' ? '1.5.1' : undefined) })
}

async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  expect(await poll(5000, async () => ((await isAlive(pid)) ? undefined : true))).toBe(true)
}

const postsIn = (url: string) =>
  withClient(url, async client => (await client.query('SELECT count(*)::int AS count FROM statuses')).rows[0].count)

describe('the sandbox', () => {
  it('starts, is found running, stops, and starts again with its data and its port', async () => {
    expect(await sandboxState({ dir })).toEqual({ state: 'absent' })
    const first = await start('4.2.9')
    expect(await postsIn(first.databaseUrl)).toBe(20)
    expect(await sandboxState({ dir })).toMatchObject({ state: 'running', release: '4.2.9', pid: first.pid })
    expect((await start()).pid).toBe(first.pid)

    expect(await stopSandbox({ dir })).toBe(true)
    expect(await sandboxState({ dir })).toEqual({ state: 'stopped', release: '4.2.9' })
    expect(await isAlive(first.pid)).toBe(false)
    expect(await stopSandbox({ dir })).toBe(false)

    const second = await start()
    expect(second).toMatchObject({ release: '4.2.9', databaseUrl: first.databaseUrl })
    expect(second.pid).not.toBe(first.pid)
    expect(await postsIn(second.databaseUrl)).toBe(20)
  })

  it('starts again after its server was killed, with what was committed', async () => {
    const first = await start()
    await withClient(first.databaseUrl, client => client.query("UPDATE users SET locale = 'eo'"))
    await killAndWait(first.pid)
    expect((await sandboxState({ dir })).state).toBe('stopped')
    const second = await start()
    const { rows } = await withClient(second.databaseUrl, client => client.query('SELECT DISTINCT locale FROM users'))
    expect(rows).toEqual([{ locale: 'eo' }])
  })

  it('is not misled by another process that got the id of its dead server', async () => {
    const first = await start()
    await killAndWait(first.pid)
    const pidFile = join(dir, 'postgres/postmaster.pid')
    const lines = (await readFile(pidFile, 'utf8')).split('\n')
    await writeFile(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'))
    const record = JSON.parse(await readFile(join(dir, 'sandbox.json'), 'utf8'))
    await writeRecord(dir, { ...record, postgres: { ...record.postgres, pid: process.pid } })
    expect((await sandboxState({ dir })).state).toBe('stopped')
    expect(await postsIn((await start()).databaseUrl)).toBe(20)
  })

  it('starts once when many ask at the same time', async () => {
    const sandboxes = await Promise.all(Array.from({ length: 6 }, () => start()))
    expect(new Set(sandboxes.map(sandbox => sandbox.pid)).size).toBe(1)
    expect(await postsIn(sandboxes[0]?.databaseUrl ?? '')).toBe(20)
  })

  it('goes on where an earlier first start was killed', async () => {
    await start()
    await stopSandbox({ dir })
    const record = JSON.parse(await readFile(join(dir, 'sandbox.json'), 'utf8'))
    await writeRecord(dir, { release: record.release, createdAt: record.createdAt })
    await rm(join(dir, 'postgres/PG_VERSION'))
    expect(await postsIn((await start()).databaseUrl)).toBe(20)
  })

  it('takes another port when its own is in use', async () => {
    const first = await start()
    const other = await scratchFolder()
    try {
      const port = Number(new URL(first.databaseUrl).port)
      const second = await startSandbox({ dir: other.dir, runner, size, port, release: '1.5.1' })
      expect(Number(new URL(second.databaseUrl).port)).not.toBe(port)
      expect(await postsIn(second.databaseUrl)).toBe(20)
    } finally {
      await other.remove()
    }
  })

  it('refuses a folder that holds other things, and leaves them', async () => {
    await writeFile(join(dir, 'docker-compose.yml'), 'services: {}\n')
    await expect(start()).rejects.toMatchObject({ code: 'sandbox-folder-not-empty', exitCode: 3 })
    expect(await readdir(dir)).toEqual(['docker-compose.yml'])
  })

  it('refuses to become another release', async () => {
    await start('1.3.0')
    await expect(start('4.5.3')).rejects.toMatchObject({ code: 'sandbox-of-another-release', exitCode: 3 })
  })

  it('keeps its password to itself: in a file for its owner alone, in no arguments and no log', async () => {
    const sandbox = await start()
    const secret = await password(dir)
    expect((await stat(join(dir, 'password'))).mode & 0o777).toBe(0o600)
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    expect(await readFile(`/proc/${sandbox.pid}/cmdline`, 'utf8')).not.toContain(secret)
    for (const name of await readdir(dir)) {
      if (name.endsWith('.log') || name === 'sandbox.json')
        expect(await readFile(join(dir, name), 'utf8')).not.toContain(secret)
    }
    const wrong = new URL(sandbox.databaseUrl)
    wrong.password = 'wrong'
    await expect(postsIn(wrong.href)).rejects.toMatchObject({ code: '28P01' })
  })

  it('has Redis where a server is found on PATH, and says so where none is', async () => {
    const sandbox = await start()
    if ((await findRedis()) === undefined) {
      expect(sandbox.redisAbsent).toContain('redis-server')
      return
    }
    const redis = new Redis(sandbox.redisUrl ?? '')
    expect(await redis.set('kept', 'yes')).toBe('OK')
    redis.disconnect()
    await stopSandbox({ dir })
    const again = new Redis((await start()).redisUrl ?? '')
    expect(await again.get('kept')).toBe('yes')
    again.disconnect()
  })
})

describe('finding Redis', () => {
  it('looks through PATH only', async () => {
    expect(await findRedis('')).toBeUndefined()
    expect(await findRedis('/nowhere:/proc')).toBeUndefined()
  })

  it('takes a program that may be run', async () => {
    await writeFile(join(dir, 'redis-server'), '', { mode: 0o644 })
    expect(await findRedis(dir)).toBeUndefined()
    await writeFile(join(dir, 'valkey-server'), '', { mode: 0o755 })
    expect(await findRedis(dir)).toBe(join(dir, 'valkey-server'))
  })
})

describe('the ways to run PostgreSQL', () => {
  it('are three for root, who may not run it, and one for everybody else', () => {
    expect(accounts(0).map(account => account.prefix[0])).toEqual(['unshare', 'setpriv', 'setpriv'])
    expect(accounts(1000).map(account => account.prefix)).toEqual([[]])
  })

  it('each start a server, or fail by name', async () => {
    const worked: string[] = []
    for (const account of accounts()) {
      const { dir, remove } = await scratchFolder()
      try {
        await password(dir)
        await createCluster(dir, runner, [account])
        const started = await startPostgres(dir, account.title, runner)
        worked.push(account.title)
        await stopPostgres(dir, started)
        expect(await isAlive(started.pid)).toBe(false)
      } catch (error) {
        expect(error).toMatchObject({ code: 'sandbox-not-created', why: expect.stringContaining(account.title) })
      } finally {
        await remove()
      }
    }
    expect(worked).not.toEqual([])
  })

  it('are tried in turn, and every failure is told', async () => {
    const broken = { title: 'with a broken wrapper', prefix: ['false'], programs: embeddedPrograms }
    const missing = { title: 'with a missing wrapper', prefix: ['no-such-wrapper'], programs: embeddedPrograms }
    await password(dir)
    await expect(createCluster(dir, runner, [broken, missing])).rejects.toMatchObject({
      exitCode: 3,
      why: expect.stringMatching(/broken wrapper: exit code 1\n.*missing wrapper: .*no-such-wrapper/),
    })
    const last = accounts().at(-1)
    const found = await createCluster(dir, runner, [broken, ...accounts()])
    expect([accounts()[0], last]).toContain(found)
  })

  it('find the libraries that an install without scripts leaves unlinked', async () => {
    const { initdb } = await embeddedPrograms()
    await access(join(initdb, '../../lib/libicuuc.so.60'))
  })
})
