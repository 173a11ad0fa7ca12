import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli, root } from '../support/cli.js'

const HEAVY = ['pg', 'ioredis', 'execa', 'listr2', 'inquirer', 'yaml', 'valibot', 'cli-table3']
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-trace-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

/** Returns the packages and the number of modules that the tool loads for these words. */
async function loaded(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const file = join(dir, `${words.join('_').replaceAll(/\W/g, '_')}.txt`)
  const trace = pathToFileURL(join(root, 'test/support/module-trace.js')).href
  const result = await cli(words, { env: { ...env, MODULE_TRACE: file }, nodeOptions: ['--import', trace] })
  const urls = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const packages = new Set(urls.flatMap(url => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []))
  return { result, modules: new Set(urls).size, heavy: HEAVY.filter(name => packages.has(name)) }
}

describe('start-up', () => {
  it.each([
    [['--version'], 3],
    [['--help'], 3],
    [['rows', '--help'], 40],
    [['accounts:make-admin'], 40],
    [['rows', '--no-such-flag'], 40],
  ])('%j loads no package that it does not need, and few modules', async (words, most) => {
    const { modules, heavy } = await loaded(words)
    expect(heavy).toEqual([])
    expect(modules).toBeLessThanOrEqual(most)
  })

  it('a command that talks to no server loads neither clients nor the process starter', async () => {
    const { result, heavy } = await loaded(['runs', '--json'], {
      MSTDN_OPS_BACKEND: 'direct',
      MSTDN_OPS_DATABASE_URL: 'postgres://u@127.0.0.1:1/x',
    })
    expect(result.exitCode).toBe(0)
    expect(heavy).toEqual([])
  })

  it('the trace sees a package that is loaded: this test can fail', async () => {
    const { heavy } = await loaded(['rows'], {
      MSTDN_OPS_BACKEND: 'direct',
      MSTDN_OPS_DATABASE_URL: 'postgres://u@127.0.0.1:1/x',
    })
    expect(heavy).toContain('pg')
  })
})

describe('the quick answers', () => {
  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(await cli(['--version'])).toMatchObject({ stdout: `mstdn-ops/${version}\n`, exitCode: 0 })
  })

  it('the help that is printed at once is the help that the framework renders', async () => {
    const env = { COLUMNS: '80', OCLIF_COLUMNS: '80', NO_COLOR: '1' }
    const quick = await cli(['--help'], { env })
    const rendered = await cli(['help', '--help'], { env })
    expect(quick.stdout).toContain('accounts')
    expect(rendered.stdout).toBe(quick.stdout)
  })
})
