import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageEdits } from '../../../src/lib/backends/compose/image-edits.js'
import { composeFilesOf } from '../../../src/lib/backends/compose/project-files.js'
import { FROM, SHAPES, STREAMING, TO } from '../../support/image-shapes.js'
import { type Stack, startStack } from './bed/bed.js'
import { buildImages, imageNames } from './bed/images.js'
import { startLoad } from './bed/load.js'
import { must } from './bed/process.js'
import { BrokenRun } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 400_000

interface Report {
  plan: { steps: object[] }
  runId: string | null
  steps: { id: string; state: string }[]
  result: {
    downtime: { milliseconds: number; outages: number; whole: boolean }
    applied: number
    backup: string | null
    kept: string[]
    took: Record<string, number>
  }
}

let stack: Stack
let story: BrokenRun
const broken = `mstdn-ops.test/broken-${process.pid}/mastodon`

beforeAll(async () => {
  await buildImages(['4.2.9', '4.3.8', '4.5.3', '4.7.2'])
  await buildBroken()
  stack = await startStack({ version: '4.2.9', variant: 'lean', healthSeconds: 1 })
  story = new BrokenRun(stack)
}, 300_000)
afterAll(async () => {
  story?.remove()
  await stack?.stop()
  for (const tag of ['v4.2.9', 'v4.3.8']) await must('docker', ['image', 'rm', '-f', `${broken}:${tag}`])
  await must('docker', ['image', 'rm', '-f', `${broken}-streaming:v4.3.8`])
})

/** A repository whose 4.3.8 migrates, and whose web process ends at once. */
async function buildBroken(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-broken-'))
  const script = 'case "$*" in *"rails s"*|*puma*) echo "broken on purpose" >&2; exit 1;; esac; exec "$@"'
  const entry = JSON.stringify(['sh', '-c', script, 'sh'])
  writeFileSync(join(folder, 'Dockerfile'), `FROM ${imageNames.app('4.3.8')}\nENTRYPOINT ${entry}\n`)
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await must('docker', ['build', '--quiet', '--tag', `${broken}:v4.3.8`, folder], { env })
  await must('docker', ['tag', imageNames.app('4.2.9'), `${broken}:v4.2.9`])
  await must('docker', ['tag', imageNames.streaming('4.3.8'), `${broken}-streaming:v4.3.8`])
  rmSync(folder, { recursive: true })
}

const file = (name = 'docker-compose.yml') => join(stack.projectDir, name)
const text = (name?: string) => readFileSync(file(name), 'utf8')
const copies = () => readdirSync(stack.projectDir).filter(name => name.includes('mstdn-ops'))
const pendingRoles = () => stack.psql("SELECT count(*) FROM schema_migrations WHERE version = '20240322161611'")

async function images(): Promise<string[]> {
  const found = (await stack.containers()).filter(({ image }) => image.includes('mastodon'))
  return found
    .map(({ service, image, state, health }) => `${service} ${image.split('/').at(-1)} ${state} ${health}`)
    .sort()
}

const serving = (version: string) => {
  const name = (version < '4.3' ? 'mastodon:v' : 'mastodon-streaming:v') + version
  return [
    `sidekiq mastodon:v${version} running healthy`,
    `streaming ${name} running healthy`,
    `web mastodon:v${version} running healthy`,
  ]
}

test(
  'a new web process that does not come up leaves the old release serving, and every file as it was',
  async () => {
    const former = text()
    const otherwise = former.replaceAll('mstdn-ops.test/mastodon/mastodon', broken)
    writeFileSync(file(), otherwise)
    const [before, environment] = [await images(), text('.env.production')]
    const { exitCode, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--yes')
    expect(exitCode, stderr).toBe(4)
    expect(stderr).toContain('broken on purpose')
    expect(stderr).toContain('4.2.9 serves with them')
    expect(await images()).toEqual(before)
    expect(text()).toBe(otherwise)
    // The new release was started, so that something may be sealed with its keys.
    expect(text('.env.production').startsWith(environment)).toBe(true)
    expect(copies()).toEqual([])
    await story.expectOver('undone')
    writeFileSync(file(), former.replace('[s]idekiq\\ 6', '[s]idekiq\\ [678]'))
  },
  PATIENCE,
)

test(
  '4.2 to 4.3 under load: nothing fails but while the one web container is replaced, and the report says how long',
  async () => {
    const load = await startLoad(stack, 10)
    const { exitCode, stdout, stderr } = await story.tool('upgrade', '--to', '4.3.8', '--yes', '--json')
    const seen = await load.stop()
    expect(exitCode, stderr).toBe(0)
    const { result, steps } = JSON.parse(stdout) as Report
    expect(await images()).toEqual(serving('4.3.8'))
    expect(await pendingRoles()).toBe('1')
    expect(steps.map(({ id }) => id).indexOf('migrate-post')).toBeGreaterThan(steps.map(({ id }) => id).indexOf('gate'))
    expect(result.backup).not.toBeNull()
    expect(result.kept).toEqual([expect.stringContaining('docker-compose.yml.mstdn-ops-')])
    expect(copies()).toEqual(result.kept.map(path => path.slice(stack.projectDir.length + 1)))
    expect(result.downtime.whole).toBe(true)
    // Both ask ten times a second, each at its own moments: at each end one may have asked up to 0.1 s later.
    expect(Math.abs(result.downtime.milliseconds - seen.downMs), JSON.stringify({ seen, result })).toBeLessThan(300)
    expect(seen.failed).toBeGreaterThan(0)
    expect(seen.downMs).toBeLessThan(result.took.bring ?? 0)
    await story.expectOver('done')
  },
  PATIENCE,
)

test(
  'nothing to do: no backup, no container made anew',
  async () => {
    const before = (await stack.containers()).map(({ id }) => id)
    const { exitCode, stdout } = await story.tool('upgrade', '--to', '4.3.8', '--json')
    expect({ exitCode, steps: (JSON.parse(stdout) as Report).plan.steps }, stdout).toEqual({ exitCode: 0, steps: [] })
    expect((await stack.containers()).map(({ id }) => id)).toEqual(before)
  },
  PATIENCE,
)

test.each(FULL ? ['4.5.3'] : [])(
  'killed while the processes are replaced, it goes on to %s',
  async to => {
    const options = { from: '4.3.8', to, phases: 'two', coexist: true, backup: false }
    const { killed } = await story.breakAt('upgrade', options, { step: 'bring', boundary: 'started' })
    expect(killed).toBe(true)
    expect(text()).toContain(`v${to}`)
    const { exitCode, stderr } = await story.tool('resume')
    expect(exitCode, stderr).toBe(0)
    expect(await images()).toEqual(serving(to))
    expect(text()).not.toContain('v4.3.8')
    await story.expectOver('done')
  },
  PATIENCE,
)

test(
  'compose reads in the changed files what was meant, however they are written',
  async () => {
    for (const { title, files, given } of SHAPES) {
      const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-shape-'))
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true })
        writeFileSync(join(folder, name), content)
      }
      const main = given ?? composeFilesOf({ dir: folder, files: [], envFiles: [] }).map(path => basename(path))
      const read = async () => {
        const flags = (given ?? []).flatMap(name => ['-f', join(folder, name)])
        const words = ['compose', '--project-directory', folder, ...flags, 'config', '--format', 'json']
        const { services } = JSON.parse(await must('docker', words, { cwd: folder, env: stack.env })) as Configured
        return ['web', 'sidekiq', 'streaming'].map(name => services[name]?.image)
      }
      expect(await read(), title).toEqual([FROM, FROM, FROM])
      const wanted = ['web', 'sidekiq', 'streaming'].map(service => ({
        ...{ service, from: FROM, to: service === 'streaming' ? STREAMING : TO },
      }))
      const paths = main.map(name => join(folder, name))
      const edits = await imageEdits(wanted, { files: paths, envFiles: [join(folder, '.env')], shell: new Map() })
      for (const [path, content] of edits) writeFileSync(path, content)
      expect(await read(), title).toEqual([TO, TO, STREAMING])
      rmSync(folder, { recursive: true })
    }
  },
  PATIENCE,
)

interface Configured {
  services: Record<string, { image: string } | undefined>
}

describe.each(FULL ? ['4.2.9'] : [])('in full, from %s', version => {
  let other: Stack
  let tale: BrokenRun
  const composeFile = () => join(other.projectDir, 'docker-compose.yml')
  const options = { from: version, to: '4.3.8', phases: 'two', coexist: true, backup: false }
  beforeAll(async () => {
    other = await startStack({ version, variant: 'lean' })
    tale = new BrokenRun(other)
  }, 300_000)
  afterAll(async () => {
    tale?.remove()
    await other?.stop()
  })
  const webs = async () =>
    (await other.containers()).filter(({ service }) => service === 'web').map(({ image }) => image.split(':')[1])

  test.each([
    ['migrate-pre', 'started'],
    ['switch', 'started'],
    ['switch', 'acted'],
    ['bring', 'started'],
    ['bring', 'acted'],
  ] as const)(
    'killed at %s (%s), it is taken back: the old release serves, with the files as they were',
    async (step, boundary) => {
      const former = readFileSync(composeFile(), 'utf8')
      expect(await tale.breakAt('upgrade', options, { step, boundary })).toMatchObject({ killed: true })
      const { exitCode, stderr } = await tale.tool('resume', '--undo')
      expect(exitCode, stderr).toBe(0)
      expect(readFileSync(composeFile(), 'utf8')).toBe(former)
      expect(await webs()).toEqual(['v4.2.9'])
      await tale.expectOver('undone')
    },
    PATIENCE,
  )

  test(
    'a post-deployment migration that fails is past the return: it says so, and goes on when the cause is gone',
    async () => {
      await other.faults({ STANDIN_FAIL_MIGRATION: '20240322161611' })
      const { exitCode, stderr } = await tale.tool('upgrade', '--to', '4.3.8', '--yes')
      expect(exitCode, stderr).toBe(5)
      expect(stderr).toMatch(/4\.2\.9 cannot work with/)
      expect(stderr).toContain('mstdn-ops resume')
      expect(await webs()).toEqual(['v4.3.8'])
      expect((await tale.tool('resume', '--undo')).exitCode).toBe(3)
      await other.faults({})
      const resumed = await tale.tool('resume')
      expect(resumed.exitCode, resumed.stderr).toBe(0)
      await tale.expectOver('done')
    },
    PATIENCE,
  )

  test(
    'two web containers are replaced one after the other: a visitor who asks the other one too never fails',
    async () => {
      const fit = readFileSync(composeFile(), 'utf8').replace('[s]idekiq\\ 6', '[s]idekiq\\ [678]')
      writeFileSync(composeFile(), fit)
      expect((await tale.tool('restart', '--role', 'sidekiq')).exitCode).toBe(0)
      await other.compose('up', '-d', '--wait', '--no-recreate', '--scale', 'web=2', 'web')
      const load = await startLoad(other, 10)
      const run = await tale.tool('upgrade', '--to', '4.5.3', '--yes', '--no-backup', '--confirm', other.domain)
      const seen = await load.stop()
      expect(run.exitCode, run.stderr).toBe(0)
      expect(await webs()).toEqual(['v4.5.3', 'v4.5.3'])
      expect(seen).toMatchObject({ failed: 0 })
    },
    PATIENCE,
  )

  test(
    'in a single phase everything stands still while it migrates',
    async () => {
      const words = ['--to', '4.7.2', '--single-phase', '--yes', '--no-backup', '--confirm', other.domain, '--json']
      const { exitCode, stdout, stderr } = await tale.tool('upgrade', ...words)
      expect(exitCode, stdout + stderr).toBe(0)
      const { result } = JSON.parse(stdout) as Report
      expect(result.downtime.milliseconds).toBeGreaterThan(result.took['migrate-all'] ?? 0)
      expect(await webs()).toEqual(['v4.7.2', 'v4.7.2'])
    },
    PATIENCE,
  )
})
