import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { decryptWith } from '../../../src/lib/backups/encryption.js'
import { mediaOf, restoreMedia } from '../../../src/lib/backups/media.js'
import { openBackup } from '../../../src/lib/backups/store.js'
import { openToolbox } from '../../../src/lib/open-toolbox.js'
import { Output } from '../../../src/lib/output.js'
import { type CliResult, cleanEnvironment, cli, root } from '../../support/cli.js'
import { type Stack, startStack } from './bed/bed.js'
import { start } from './started.js'

vi.setConfig({ testTimeout: 180_000 })

const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-parts-'))
let stack: Stack
let identity: string
let recipient: string
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', environment: { SMTP_PASSWORD: 'canaryofthesecrets' } })
  identity = join(folder, 'identity')
  const key = await generateX25519Identity()
  writeFileSync(identity, key)
  recipient = await identityToRecipient(key)
  put('accounts/avatars/a.png', Buffer.from('avatar'))
  put('cache/accounts/avatars/b.png', Buffer.alloc(1_000_000))
  put("media_attachments/it's/-rf", Buffer.alloc(300_000, 'm'))
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A file of the app's user, in the folder that web sees. */
function put(name: string, content: Buffer): void {
  const path = join(stack.projectDir, 'public/system', name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  for (let part = path; part !== join(stack.projectDir, 'public/system'); part = dirname(part))
    chownSync(part, 991, 991)
}

const env = (more: NodeJS.ProcessEnv = {}) => ({
  ...{ MSTDN_OPS_PROJECT_DIR: stack.projectDir, XDG_STATE_HOME: join(folder, 'state'), XDG_DATA_HOME: folder, ...more },
})
const ops = (more: NodeJS.ProcessEnv, ...words: string[]): Promise<CliResult> => cli(words, { env: env(more) })
const decrypted = async (path: string): Promise<Buffer> => {
  const opened = (await decryptWith(identity)).stream()
  opened.end(readFileSync(path))
  return Buffer.concat(await opened.toArray())
}

test('all parts, each encrypted; nothing of a secret is said', async () => {
  await stack.redis('SET', 'canary', 'in redis')
  const more = { MSTDN_OPS_BACKUP_RECIPIENT: recipient }
  const { stdout, stderr, exitCode } = await ops(more, 'db:backup', '--with', 'media,redis,secrets', '--json')
  expect({ exitCode, told: `${stdout}${stderr}`.includes('canaryofthesecrets') }).toEqual({ exitCode: 0, told: false })
  const { path, parts, leftOut } = JSON.parse(stdout).result
  expect({ parts, leftOut }).toEqual({ parts: ['database', 'media', 'redis', 'secrets'], leftOut: [] })
  const files = readdirSync(path).sort()
  expect(files).toEqual([
    expect.stringMatching(/^database.*\.age$/),
    'manifest.json',
    'media.tar.age',
    'redis.rdb.age',
    'secrets.env.age',
  ])
  for (const name of files) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
  const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))
  expect(manifest).toMatchObject({ media: { kept: 'local', files: 2 }, redis: { kept: true, why: null } })

  const names = execFileSync('tar', ['-tf', '-'], {
    input: await decrypted(join(path, 'media.tar.age')),
    encoding: 'utf8',
  })
  expect(names.split('\n').filter(name => /[^/]$/.test(name))).toEqual([
    './accounts/avatars/a.png',
    "./media_attachments/it's/-rf",
  ])
  expect((await decrypted(join(path, 'redis.rdb.age'))).includes('in redis')).toBe(true)
  const variables = (await decrypted(join(path, 'secrets.env.age'))).toString()
  for (const line of readFileSync(join(stack.projectDir, '.env.production'), 'utf8').trim().split('\n')) {
    expect(variables.split('\n')).toContain(line)
  }
})

test('without a recipient the secrets are left out, which is said, and the rest is in clear', async () => {
  const { stdout, exitCode } = await ops({}, 'db:backup', '--with', 'secrets,media')
  expect(exitCode).toBe(0)
  expect(stdout).toContain('The secrets are left out: nobody is named to encrypt them to')
  const [, path = ''] = /It is in (.*)\.\n/.exec(stdout) ?? []
  expect(readdirSync(path).sort()).toEqual([expect.stringMatching(/^database/), 'manifest.json', 'media.tar'])
})

test('media come back, as the app’s user, also where no container of the app runs', async () => {
  const [name = ''] = readdirSync(join(folder, 'mstdn-ops', stack.projectName, 'backups'))
  const backup = await openBackup(join(folder, 'mstdn-ops', stack.projectName, 'backups', name))
  const source = mediaOf(backup, await decryptWith(identity))
  if (source === undefined) throw new Error('the first backup has media')
  const system = join(stack.projectDir, 'public/system')
  put('accounts/avatars/later.png', Buffer.from('later'))
  for (const isRunning of [true, false]) {
    if (!isRunning) await stack.compose('stop', 'web', 'sidekiq')
    rmSync(join(system, 'media_attachments'), { recursive: true })
    const toolbox = await openToolbox(
      { projectDir: stack.projectDir },
      { output: new Output({ quiet: true }), dryRun: false },
    )
    expect(await restoreMedia(toolbox, source)).toEqual({ files: 2 })
    await toolbox.close()
    const { uid, size } = statSync(join(system, "media_attachments/it's/-rf"))
    expect({ uid, size, later: readdirSync(join(system, 'accounts/avatars')).sort() }).toEqual({
      uid: 991,
      size: 300_000,
      later: ['a.png', 'later.png'],
    })
  }
  const oneOffs = (await stack.containers()).filter(container => container.oneOff)
  expect(oneOffs).toEqual([])
  await stack.compose('start', 'web', 'sidekiq')
})

test('when the tool is killed, no tar is left in the container', async () => {
  put('media_attachments/large', Buffer.alloc(30_000_000, 'l'))
  const running = start(root, ['db:backup', '--with', 'media', '--rate', '2MB'], { ...cleanEnvironment(), ...env() })
  const tars = async () => (await stack.exec('web', ['pgrep', '-c', '-x', 'tar'])).stdout.trim()
  for (const until = Date.now() + 60_000; (await tars()) === '0' && Date.now() < until; ) await pause(200)
  expect(await tars()).toBe('1')
  running.kill('SIGKILL')
  await running.ended
  for (const until = Date.now() + 30_000; (await tars()) !== '0' && Date.now() < until; ) await pause(200)
  expect(await tars()).toBe('0')
})

test('what cannot be read is refused before anything is dumped', async () => {
  await stack.exec('web', ['ln', '-s', '/etc', '/opt/mastodon/public/system/accounts/link'])
  const { stderr, exitCode } = await ops({}, 'db:backup', '--with', 'media')
  expect(exitCode).toBe(3)
  expect(stderr).toContain('accounts/link')
  const backups = readdirSync(join(folder, 'mstdn-ops', stack.projectName, 'backups'))
  expect(backups.filter(name => !name.endsWith('.partial')).length).toBe(2)
})
