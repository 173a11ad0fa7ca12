import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CliResult, cli } from '../../../support/cli.js'
import { type TestSandbox, testSandbox } from '../../../support/sandbox.js'

let sandbox: TestSandbox
let file: string

beforeAll(async () => {
  sandbox = await testSandbox()
  const toolbox = await sandbox.toolbox()
  const target = await toolbox.backend.postgres?.target()
  file = join(sandbox.dir, 'dump.sql')
  const where = ['-h', String(target?.host), '-p', String(target?.port), '-U', String(target?.user)]
  const env = { ...process.env, PGPASSWORD: String(target?.password) }
  await promisify(execFile)('pg_dump', [...where, '-f', file, String(target?.database)], { env })
  await toolbox.close()
}, 60_000)

afterAll(() => sandbox?.stop())

function restore(...words: string[]): Promise<CliResult> {
  const env = { ...sandbox.env(), MSTDN_OPS_BACKEND: 'sandbox', MSTDN_OPS_DOMAIN: 'example.com' }
  return cli(['db:restore', file, ...words], { env })
}

test('--diff of a file counts and changes nothing, whatever else is said', { timeout: 90_000 }, async () => {
  const counted = await restore('--diff', '--unverified', '--confirm', 'example.com', '--json')
  expect(counted.exitCode, counted.stderr).toBe(0)
  expect(JSON.parse(counted.stdout)).toMatchObject({ runId: null, steps: [], diff: { takenAt: null } })
})

test('a dry run tells the line that restores it by hand', { timeout: 90_000 }, async () => {
  const planned = await restore('--dry-run', '--unverified', '--json')
  expect(planned.exitCode, planned.stderr).toBe(0)
  const { byHand } = JSON.parse(planned.stdout) as { byHand: string[] }
  const database = /"(mstdn_ops_new_\w+)"/.exec(byHand.join())?.[1]
  expect(byHand).toContain(`psql -X -q -v ON_ERROR_STOP=1 -d ${database} < ${file}`)
})
