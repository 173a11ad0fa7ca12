import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest'
import { type CliResult, cli, root } from '../support/cli.js'
import { type TestSandbox, testSandbox } from '../support/sandbox.js'

vi.setConfig({ testTimeout: 90_000 })

const LOGS = join(root, 'test/lib/mastodon/known-problems')
const FULL = process.env.MSTDN_TEST_FULL !== undefined
const DISK_FULL = 'FATAL:  could not write to file "x": No space left on device'

const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-diagnose-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a log, without an instance', () => {
  it('is read from a file', async () => {
    const { exitCode, stdout } = await cli(['diagnose', '--log', join(LOGS, 'duplicate-table.log')])
    expect(exitCode).toBe(7)
    expect(stdout.split('\n')[0]).toBe('Known problems: 1 recognised, 0 perhaps.')
    expect(stdout).toMatch(/✘ A migration makes a table that is there already \(duplicate-table\)/)
    expect(stdout).toMatch(/duplicate-table\.log, 3 lines, the last at line \d+:/)
    expect(stdout).toMatch(/1\. mstdn-ops db:drop-leftovers conversations .*\n +2\. mstdn-ops db:migrate/)
  })

  it('and from standard input, where what nobody has seen is called perhaps', async () => {
    const stdin = 'remote:  !     Push rejected, failed to compile Node.js app.\n'
    const { exitCode, stdout } = await cli(['diagnose', '--log', '-'], { stdin })
    expect(exitCode).toBe(7)
    expect(stdout).toContain('? Perhaps: The Node.js part of the build failed (node-build)')
    expect(stdout).not.toContain('✘')
  })

  it('tells the same as JSON', async () => {
    const { exitCode, stdout } = await cli(['diagnose', '--json', '--log', join(LOGS, 'foreign-key-violation.log')])
    expect(exitCode).toBe(7)
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 7,
      notLooked: [],
      problems: [
        {
          id: 'foreign-key-violation',
          certainty: 'seen',
          versions: 'every version',
          places: [{ source: expect.stringContaining('foreign-key-violation.log'), line: expect.any(Number) }],
          steps: expect.arrayContaining([expect.stringContaining('mstdn-ops db:migrate')]),
        },
      ],
    })
  })

  it('in which nothing is found ends with 0', async () => {
    const { exitCode, stdout } = await cli(['diagnose', '--log', join(LOGS, 'healthy/compose-4.5.3.log')])
    expect({ exitCode, head: stdout.split('\n')[0] }).toEqual({ exitCode: 0, head: 'No known problem was found.' })
    expect(await cli(['diagnose', '-q', '--log', '-'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })

  it.each([
    [['--log', '/nowhere/at all'], 'The log /nowhere/at all cannot be read.'],
    [['--both'], '--log'],
  ])('refuses %j', async (words, said) => {
    const { exitCode, stdout, stderr } = await cli(['diagnose', ...words])
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toContain(said)
  })
})

describe('the instance', () => {
  let sandbox: TestSandbox
  let env: NodeJS.ProcessEnv
  beforeAll(async () => {
    sandbox = await testSandbox()
    env = { ...sandbox.env(), MSTDN_OPS_BACKEND: 'sandbox' }
  })
  afterAll(() => sandbox?.stop())
  const diagnose = (...words: string[]): Promise<CliResult> => cli(['diagnose', ...words], { env })

  it('is looked at by the checks, what it has not got is said, and the last run that failed is read', async () => {
    const fine = await diagnose()
    expect(fine.exitCode, fine.stdout).toBe(0)
    expect(fine.stdout).toContain('Not looked at: logs: the sandbox backend has none')
    const toolbox = await sandbox.toolbox()
    const database = await toolbox.database()
    await database.write('CREATE TABLE twice (uri text); INSERT INTO twice VALUES (1), (1)')
    const unique = 'CREATE UNIQUE INDEX CONCURRENTLY index_twice ON twice (uri)'
    await expect(database.write(unique)).rejects.toThrow('could not create unique index')
    await toolbox.close()
    const failed = await cli(['db:psql', '--write', '-c', 'CREATE UNIQUE INDEX index_twice_2 ON twice (uri)'], { env })
    expect(failed.stderr, 'a step that fails is explained').toContain('or an index is invalid.')
    const { exitCode, stdout } = await diagnose()
    expect(exitCode).toBe(7)
    expect(stdout).toMatch(/✘ A unique index cannot be made, or an index is invalid \(invalid-index\)/)
    expect(stdout).toMatch(/Where {4}check indexes:\n +1 index is invalid: index_twice\./)
    expect(stdout).toMatch(/Where {4}run [\w-]+ \(db:psql\)/)
  })

  it('is put into a bundle, with what it has not got said', async () => {
    const path = join(folder, 'bundle.tar.gz')
    await cli(['db:psql', '--write', '-c', 'ANALYZE users'], { env })
    const words = ['support-bundle', '--output', path, '--json']
    expect(JSON.parse((await cli([...words, '--dry-run'], { env })).stdout)).toMatchObject({ path: null })
    const { exitCode, stdout } = await cli(words, { env })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      path,
      files: expect.arrayContaining([expect.objectContaining({ name: 'logs.txt' })]),
    })
    const held = execFileSync('tar', ['-xzOf', path], { encoding: 'utf8' })
    expect(held).toContain('The sandbox backend has no logs.')
    expect(held).toContain('"runbook": "db:psql"')
    expect(held).not.toContain('"host"')
    const run = execFileSync('tar', ['-xzOf', path, '--wildcards', '*/runs/*'], { encoding: 'utf8' })
    expect(JSON.parse(run.split(/\n(?=\{)/)[0] ?? '')).toMatchObject({ ended: 'done', instance: expect.any(String) })
  })

  it('and a log beside it', async () => {
    const path = join(folder, 'full.log')
    writeFileSync(path, DISK_FULL)
    const { stdout } = await diagnose('--both', '--log', path)
    expect(stdout).toContain('(disk-full)')
    expect(stdout).toContain('(invalid-index)')
  })
})

/** Megabytes of a log with a problem at its end. */
const SIZES = FULL ? [200] : [20]

test.each(SIZES)(
  'a log of %i MB is read within 150 MB of memory, and quickly',
  async megabytes => {
    const healthy = ['puma.log', 'compose-4.5.3.log', 'sidekiq.log']
    const part = Buffer.from(healthy.map(name => readFileSync(join(LOGS, 'healthy', name), 'utf8')).join(''))
    const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'diagnose', '--log', '-'])
    let said = ''
    child.stdout.on('data', data => {
      said += String(data)
    })
    const ended = new Promise<number | null>(resolve => child.on('close', resolve))
    const start = performance.now()
    for (let sent = 0; sent < megabytes * 1e6; sent += part.length) {
      if (!child.stdin.write(part)) await new Promise(resolve => child.stdin.once('drain', resolve))
    }
    const peak = peakKilobytes(child.pid)
    child.stdin.end(`${DISK_FULL}\n`)
    expect(await ended).toBe(7)
    expect(said).toContain('The disk is full')
    expect(peak).toBeGreaterThan(10_000)
    expect(peak).toBeLessThan(150_000)
    expect((performance.now() - start) / megabytes, 'milliseconds a megabyte').toBeLessThan(500)
  },
  300_000,
)

/** The most memory that the process has had so far. */
function peakKilobytes(pid: number | undefined): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
