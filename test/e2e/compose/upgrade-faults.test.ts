import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Stack, startStack } from './bed/bed.js'
import { buildImages, imageNames } from './bed/images.js'
import { must } from './bed/process.js'
import { fitHealthCheck } from './bed/upgrades.js'
import { BrokenRun, type Underway } from './broken-run.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 600_000
const LARGE = 2_000_000_000

/** The second migration of 4.3.8, which makes a table. */
const SECOND = '20240221195424'

/** Repositories of which one has 4.3.8, with processes that fail when they are asked to, and one has not. */
const faulty = `mstdn-ops.test/faulty-${process.pid}/mastodon`
const lacking = `mstdn-ops.test/lacking-${process.pid}/mastodon`

const project = mkdtempSync(join(tmpdir(), 'mstdn-ops-faults-'))
const disk = join(project, 'postgres14')
const file = (name: string) => join(project, name)
const composeText = () => readFileSync(file('docker-compose.yml'), 'utf8')
let stack: Stack
let story: BrokenRun
let former: string
let complaints: string[]

/** The database lies on a disk of its own. */
beforeAll(async () => {
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${LARGE}`, 'tmpfs', disk])
  await buildImages(['4.2.9', '4.3.8'])
  await buildFaulty()
  stack = await startStack({ version: '4.2.9', variant: 'lean', healthSeconds: 1, projectDir: project })
  story = new BrokenRun(stack)
  await fitHealthCheck(stack)
  from(faulty)
  complaints = await complaintsOfDoctor()
}, 300_000)
afterAll(async () => {
  story?.remove()
  execFileSync('umount', ['-l', disk])
  await stack?.stop()
  const names = [`${faulty}:v4.2.9`, `${faulty}:v4.3.8`, `${faulty}-streaming:v4.3.8`, `${lacking}:v4.2.9`]
  await must('docker', ['image', 'rm', '-f', ...names])
  rmSync(project, { recursive: true, force: true })
})

/** What STANDIN_BROKEN does to the processes of the new release; nothing to the old one, nor to one-off processes. */
const ENTRY = `broken=
while IFS='=' read -r name value; do [ "$name" = STANDIN_BROKEN ] && broken=$value; done </mastodon/public/system/standin-faults
case "$broken $*" in
  "web-ill "*"rails s"*) export STANDIN_UNHEALTHY=web ;;
  "sidekiq-mute "*"exec sidekiq"*) exec ruby -e '$0 = "sidekiq 6.5.12 mastodon"; trap("TERM") { exit }; sleep' ;;
  "sidekiq-deaf "*"exec sidekiq"*) set -- "$@" -q default -q push ;;
  "streaming-ends "*streaming*) echo "streaming ends on purpose" >&2; exit 1 ;;
esac
exec /usr/bin/tini -- "$@"`

async function buildFaulty(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-faulty-'))
  const entry = JSON.stringify(['sh', '-c', ENTRY, 'sh'])
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  for (const [name, base] of [
    [faulty, imageNames.app('4.3.8')],
    [`${faulty}-streaming`, imageNames.streaming('4.3.8')],
  ]) {
    writeFileSync(join(folder, 'Dockerfile'), `FROM ${base}\nENTRYPOINT ${entry}\n`)
    await must('docker', ['build', '--quiet', '--tag', `${name}:v4.3.8`, folder], { env })
  }
  for (const name of [faulty, lacking]) await must('docker', ['tag', imageNames.app('4.2.9'), `${name}:v4.2.9`])
  rmSync(folder, { recursive: true })
}

/** Takes the images from this repository. */
function from(repository: string): void {
  former = composeText().replaceAll(/mstdn-ops\.test\/[\w-]+\/mastodon(?=:)/g, repository)
  writeFileSync(file('docker-compose.yml'), former)
}

function upgrade(): Underway {
  return story.start(['upgrade', '--to', '4.3.8', '--yes', '--no-backup', '--confirm', stack.domain])
}

async function serving(): Promise<string[]> {
  const found = (await stack.containers()).filter(({ image }) => image.includes('mastodon'))
  return found.map(({ service, image, state, health }) => `${service} ${image.split(':')[1]} ${state} ${health}`).sort()
}

const ofRelease = (version: string) =>
  ['sidekiq', 'streaming', 'web'].map(name => `${name} v${version} running healthy`)

async function complaintsOfDoctor(): Promise<string[]> {
  const { stdout } = await story.tool('doctor', '--json')
  const { checks } = JSON.parse(stdout) as { checks: { id: string; state: string }[] }
  return checks.filter(({ state }) => state === 'bad').map(({ id }) => id)
}

/** The old release serves, with every file as it was; nothing of ours is left, and `doctor` finds nothing new. */
async function expectAsBefore(): Promise<void> {
  expect(await serving()).toEqual(ofRelease('4.2.9'))
  expect(composeText()).toBe(former)
  expect(readdirSync(project).filter(name => name.includes('mstdn-ops'))).toEqual([])
  await story.expectOver('undone')
  if (FULL) expect(await complaintsOfDoctor()).toEqual(complaints)
}

async function expectDone(): Promise<void> {
  expect(await serving()).toEqual(ofRelease('4.3.8'))
  await story.expectOver('done')
  expect(await complaintsOfDoctor()).toEqual(complaints)
}

/** Somebody who reads the table, and does not end the transaction; returns what ends it. */
async function reading(table: string): Promise<() => Promise<string>> {
  const name = `reader of ${table}`
  const held = stack.psql(
    `SET application_name = '${name}'; BEGIN; SELECT 1 FROM ${table} LIMIT 1; SELECT pg_sleep(600)`,
  )
  held.catch(() => undefined)
  const there = `FROM pg_stat_activity WHERE application_name = '${name}' AND query LIKE '%pg_sleep%'`
  await expect.poll(() => stack.psql(`SELECT count(*) ${there}`)).toBe('1')
  return () => stack.psql(`SELECT pg_terminate_backend(pid) ${there}`)
}

function resize(bytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${Math.ceil(bytes / 4096) * 4096}`, disk])
}

function used(): number {
  const { blocks, bfree, bsize } = statfsSync(disk)
  return (blocks - bfree) * bsize
}

describe('before the point of no return the old release serves on', { timeout: PATIENCE }, () => {
  afterEach(() => stack.faults({}))

  test('an image that cannot be fetched', async () => {
    from(lacking)
    const ids = (await stack.containers()).map(({ id }) => id)
    const run = upgrade()
    expect(await run.ended, run.said()).toBe(4)
    expect(run.said()).toContain(`The image ${lacking}:v4.3.8 could not be fetched.`)
    expect((await stack.containers()).map(({ id }) => id)).toEqual(ids)
    await expectAsBefore()
    from(faulty)
  })

  test('a migration that waits for a lock is told with its holder and goes on; one that fails ends it', async () => {
    await stack.faults({ STANDIN_FAIL_MIGRATION: SECOND })
    const letGo = await reading('users')
    const run = upgrade()
    await run.until('It waits for a lock on users, held by process')
    expect(run.said()).toContain('reader of users')
    await letGo()
    expect(await run.ended, run.said()).toBe(4)
    expect(run.said()).toContain('fails as it was asked to')
    expect(run.said()).toContain('4.2.9 serves with them')
    await expectAsBefore()
  })

  test.each(FULL ? ['full'] : [])('a disk of the database that is %s', async () => {
    await stack.faults({ STANDIN_SLEEP_MIGRATION: `${SECOND}:5` })
    const run = upgrade()
    await run.until('  2 of ')
    resize(used())
    const exitCode = await run.ended
    resize(LARGE)
    expect(exitCode, run.said()).toBe(4)
    await expectAsBefore()
  })

  test.each(
    FULL
      ? ([
          ['web-ill', /web-1 did not become healthy|does not work as it should/],
          ['sidekiq-mute', /0 of 1 Sidekiq process sent a heartbeat/],
          ['sidekiq-deaf', /Nobody listens to .*mailers/],
          ['streaming-ends', /streaming ends on purpose/],
        ] as const)
      : [],
  )('%s', async (broken, told) => {
    await stack.faults({ STANDIN_BROKEN: broken })
    const run = upgrade()
    expect(await run.ended, run.said()).toBe(4)
    expect(run.said()).toMatch(told)
    await expectAsBefore()
  })
})

describe.each(FULL ? ['past the point of no return'] : [])('%s there is a way on', () => {
  test(
    'with a post-deployment migration that waits for a lock, and streaming that goes away meanwhile',
    async () => {
      const letGo = await reading('devices')
      const run = upgrade()
      await run.until('It waits for a lock on devices')
      await stack.compose('stop', 'streaming')
      await letGo()
      expect(await run.ended, run.said()).toBe(5)
      expect(run.said()).toContain('mstdn-ops resume')
      expect(await complaintsOfDoctor()).toEqual(expect.arrayContaining(['unfinished-run', 'streaming']))
      await stack.compose('start', 'streaming')
      const { exitCode, stderr } = await story.tool('resume')
      expect(exitCode, stderr).toBe(0)
      await expectDone()
    },
    PATIENCE,
  )
})
