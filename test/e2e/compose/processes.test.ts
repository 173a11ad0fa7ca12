import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { spawn } from '@lydell/node-pty'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type CliResult, cleanEnvironment, cli, root } from '../../support/cli.js'
import { type Stack, startStack } from './bed/bed.js'
import { must } from './bed/process.js'
import { start } from './started.js'

// Beside other stacks on a small machine each process takes its time.
vi.setConfig({ testTimeout: 180_000 })

const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-processes-'))
let stack: Stack
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3', variant: 'lean', demo: false })
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const here = () => ({ env: { MSTDN_OPS_PROJECT_DIR: stack.projectDir, XDG_STATE_HOME: folder } })
const ops = (...words: string[]): Promise<CliResult> => cli(words, here())
const webId = () => stack.containerOf('web')

test('run keeps the streams apart and passes the code through', async () => {
  const { stdout, stderr, exitCode } = await ops('run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42')
  expect({ stdout, exitCode }).toEqual({ stdout: 'out\n', exitCode: 42 })
  expect(stderr).toMatch(/^err\nBy hand this would have been:\n {2}docker compose .*exec web sh -c/)
})

test('run --json tells all three', async () => {
  const { stdout, exitCode } = await ops('run', '--json', '--', 'sh', '-c', 'printf out; printf err >&2; exit 3')
  expect(exitCode).toBe(3)
  expect(JSON.parse(stdout)).toMatchObject({ stdout: 'out', stderr: 'err', exitCode: 3 })
})

test('run passes on what is piped in, and the words as they are', async () => {
  const piped = await cli(['run', '--', 'cat'], { ...here(), stdin: 'a\nb' })
  expect(piped.stdout).toBe('a\nb\n')
  const words = ['$(touch /tmp/p)', 'a b', "it's", '--json', '-i']
  expect((await ops('run', '--', 'printf', '%s\n', ...words)).stdout).toBe(`${words.join('\n')}\n`)
})

test('run knows when there is no command, or none of that name', async () => {
  expect((await ops('run')).exitCode).toBe(2)
  expect((await ops('run', 'ls')).exitCode).toBe(2)
  expect((await ops('run', '--', 'no-such-program')).exitCode).toBe(127)
})

test('run in a dry run runs nothing', async () => {
  const { stdout, exitCode } = await ops('run', '--dry-run', '--', 'touch', '/opt/mastodon/public/system/touched')
  expect({ exitCode, there: existsSync(join(stack.projectDir, 'public/system/touched')) }).toEqual({
    ...{ exitCode: 0, there: false },
  })
  expect(stdout).toContain('exec web touch /opt/mastodon/public/system/touched')
})

test('restart clears away what a killed recreation had half made', async () => {
  const id = (await webId()).slice(0, 12)
  const inspected = await must('docker', ['inspect', '--format', '{{.Name}} {{.Config.Image}}', id])
  const [name = '', image = ''] = inspected.trim().slice(1).split(' ')
  const labels = await must('docker', [
    'inspect',
    '--format',
    '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}\n{{end}}',
    id,
  ])
  const flags = labels
    .split('\n')
    .filter(Boolean)
    .flatMap(label => ['--label', label])
  await must('docker', ['create', '--name', `${id}_${name}`, ...flags, image])
  const { stdout, stderr, exitCode } = await ops('restart', '--role', 'web')
  expect({ exitCode, first: stdout.split('\n')[0] }, stderr).toEqual({
    exitCode: 0,
    first: 'web (web): started anew, running and healthy',
  })
  const filter = ['--filter', `label=com.docker.compose.project=${stack.projectName}`]
  const names = await must('docker', ['ps', '-a', ...filter, '--format', '{{.Names}}'])
  expect(names.split('\n').filter(one => one.includes('web'))).toEqual([name])
})

test('run says that the end was not seen when the container goes away', async () => {
  const child = start(root, ['run', '--', 'sleep', '60'], { ...cleanEnvironment(), ...here().env })
  while (!(await sleeps())) await pause(200)
  await stack.compose('kill', 'web')
  expect(await child.ended).toContain('The end of sleep 60 was not seen')
  await stack.compose('up', '-d', '--wait', 'web')
})

const sleeps = async () =>
  (await stack.exec('web', ['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\000" " "'])).stdout.includes('sleep 60')

test('restart starts processes anew and sees them well', async () => {
  const before = await stack.exec('web', ['sh', '-c', 'stat -c %Y /proc/1'])
  await pause(1100)
  const { stdout, exitCode } = await ops('restart', '--role', 'web')
  expect({ exitCode, first: stdout.split('\n')[0] }).toEqual({
    exitCode: 0,
    first: 'web (web): started anew, running and healthy',
  })
  expect((await stack.exec('web', ['sh', '-c', 'stat -c %Y /proc/1'])).stdout).not.toBe(before.stdout)
})

test('restart recreates what has new configuration, and leaves the servers alone', async () => {
  const [web, db] = [await webId(), await stack.containerOf('db')]
  await stack.writeEnv({ MAX_THREADS: '7' })
  const { stdout } = await ops('restart')
  expect(stdout).toMatch(/docker compose .*up .*--force-recreate web sidekiq streaming$/m)
  expect(await webId()).not.toBe(web)
  expect(await stack.containerOf('db')).toBe(db)
  expect((await stack.exec('web', ['printenv', 'MAX_THREADS'])).stdout).toBe('7\n')
})

test('restart in a dry run restarts nothing', async () => {
  const web = await webId()
  const { exitCode, stdout } = await ops('restart', '--dry-run')
  expect({ exitCode, web: await webId() }).toEqual({ exitCode: 0, web })
  expect(stdout).toContain('Would run:')
})

test('cp copies folders both ways, and says when what goes in would be lost', async () => {
  mkdirSync(join(folder, 'given/deep'), { recursive: true })
  writeFileSync(join(folder, 'given/deep/file'), 'text')
  const lost = await ops('cp', join(folder, 'given'), 'web:/tmp/given')
  expect(lost.stdout).toContain('it is lost when the container is made anew')
  const kept = await ops('cp', join(folder, 'given'), 'web:/opt/mastodon/public/system/given')
  expect(kept.stdout).not.toContain('lost')
  const back = await ops('cp', '--json', 'web:/tmp/given', join(folder, 'back'))
  expect(JSON.parse(back.stdout)).toMatchObject({ source: 'web:/tmp/given', kept: null, exitCode: 0 })
  expect(readFileSync(join(folder, 'back/deep/file'), 'utf8')).toBe('text')
})

test('cp refuses what cannot be', async () => {
  expect((await ops('cp', 'a', 'b')).exitCode).toBe(2)
  expect((await ops('cp', join(folder, 'nothing'), 'web:/tmp/x')).exitCode).toBe(3)
  expect((await ops('cp', 'web:/nothing/there', join(folder, 'x'))).exitCode).toBe(3)
  expect((await ops('cp', 'nowhere:/tmp', join(folder, 'x'))).exitCode).toBe(2)
})

test('logs shows the last lines of the roles that are asked for', async () => {
  const { stdout } = await ops('logs', '-n', '1', '--role', 'web')
  expect(stdout).toMatch(/^\S+-web-1 \| puma/)
  const { lines } = JSON.parse((await ops('logs', '--json', '-n', '1')).stdout)
  expect(lines.map((line: { source: string }) => line.source.split('-').at(-2)).sort()).toEqual([
    'sidekiq',
    'streaming',
    'web',
  ])
  expect((await ops('logs', '-f', '--json')).exitCode).toBe(2)
})

test('logs -f goes on until Ctrl-C, which is no failure', async () => {
  const child = start(root, ['logs', '-f', '-n', '1', '--role', 'web'], { ...cleanEnvironment(), ...here().env })
  while (!child.said().includes('| puma')) await pause(100)
  child.kill('SIGINT')
  expect(await child.ended).not.toContain('Error')
})

test.each([['shell'], ['console'], ['db:psql'], ['redis:cli']])('%s needs a terminal', async command => {
  const { exitCode, stderr } = await ops(command)
  expect(exitCode).toBe(2)
  expect(stderr).toContain('terminal')
  expect((await ops(command, '--json')).exitCode).toBe(2)
})

test.each([
  ['shell', 'echo $((6 * 7))', /^42$/m, 'exit 5', 5],
  // The stand-in's console has no prompt: its lines end where a real one asks.
  ['console', '6 * 7', /^=> 42$/m, 'exit', 0],
  // A psql that does not know yet how high its terminal is shows every answer in a pager.
  ['db:psql', '\\pset pager off \\\\ SELECT 6 * 7;', /^ +42$/m, '\\q', 0],
  ['redis:cli', 'ECHO forty-two', /^"forty-two"$/m, 'exit', 0],
])('%s has the terminal', async (command, question, answer, goodbye, exitCode) => {
  const env = { ...cleanEnvironment(), ...here().env, TERM: 'dumb' }
  const terminal = spawn(process.execPath, [join(root, 'bin/run.js'), command], { env, cols: 80, rows: 24 })
  let said = ''
  // A client that starts before its terminal has a size asks where the cursor is, as a terminal would know.
  terminal.onData(text => {
    said += text
    if (text.includes(`${ESC}[6n`)) terminal.write(`${ESC}[1;80R`)
  })
  const ended = new Promise<number>(resolve => terminal.onExit(event => resolve(event.exitCode)))
  // Programs that edit lines drop what is typed before their prompt stands.
  const prompted = async (before = /^/) => {
    const text = () => plain(said)
    await expect.poll(text, { timeout: 60_000 }).toMatch(before)
    await expect.poll(text, { timeout: 60_000 }).toMatch(/([$#>] *|\(stand-in\)\n|=> 42\n)$/)
  }
  await prompted()
  terminal.write(`${question}\r`)
  await prompted(answer)
  terminal.write(`${goodbye}\r`)
  expect(await ended).toBe(exitCode)
})

const ESC = String.fromCharCode(27)

/** Without the sequences that move the cursor and set modes. */
function plain(said: string): string {
  return said
    .replaceAll('\r\n', '\n')
    .replaceAll(new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]`, 'g'), '')
    .replaceAll(/^.*\r/gm, '')
}
