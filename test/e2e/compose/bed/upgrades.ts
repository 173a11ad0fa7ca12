import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CliResult } from '../../../support/cli.js'
import type { Stack } from './bed.js'
import { imageNames } from './images.js'
import { type Seen, startLoad } from './load.js'

/** Requests a second: as often as the tool itself asks. */
const PER_SECOND = 10

interface Measured {
  /** What visitors saw. */
  seen: Seen
  /** For how long nobody got an answer, in milliseconds, and how often that began, as the tool's report has it. */
  reported: { milliseconds: number; outages: number; whole: boolean }
  /** Milliseconds of the step that replaces the containers. */
  bringMs: number
}

const composeFile = ({ projectDir }: Stack) => join(projectDir, 'docker-compose.yml')

/** Lets the health check of Sidekiq take every major, as the tool asks for before an upgrade. */
export async function fitHealthCheck(stack: Stack): Promise<void> {
  const text = readFileSync(composeFile(stack), 'utf8')
  writeFileSync(composeFile(stack), text.replace(/(\[s\]idekiq)\\ \d/, '$1\\ [678]'))
  await succeeded(stack, 'up', '-d', '--no-deps', '--wait', 'sidekiq')
}

/** Upgrades with the tool, seen by visitors. */
export async function upgradedByTool(
  stack: Stack,
  to: string,
  tool: (...words: string[]) => Promise<CliResult>,
): Promise<Measured> {
  const load = await startLoad(stack, PER_SECOND)
  const words = ['--to', to, '--yes', '--no-backup', '--confirm', stack.domain, '--json']
  const { exitCode, stdout, stderr } = await tool('upgrade', ...words)
  const seen = await load.stop()
  if (exitCode !== 0) throw new Error(`upgrade ended with ${exitCode}: ${stderr}`)
  const { result } = JSON.parse(stdout) as { result: { downtime: Measured['reported']; took: { bring: number } } }
  return { seen, reported: result.downtime, bringMs: result.took.bring }
}

/**
 * Upgrades as it is usually told: everything down, migrate, everything up, seen by visitors. Without the `pull` in
 * between: no registry has the images, and they are here.
 */
export async function upgradedByHand(stack: Stack, from: string, to: string): Promise<Seen> {
  const load = await startLoad(stack, PER_SECOND)
  await succeeded(stack, 'down')
  await putRelease(stack, from, to)
  await succeeded(stack, 'run', '--rm', '-T', 'web', 'sh', '-c', `${DATABASE_IS_UP}; exec bundle exec rails db:migrate`)
  await succeeded(stack, 'up', '-d', '--wait')
  return load.stop()
}

/** An operator would see the first attempt fail, and type it again. */
const DATABASE_IS_UP = `until ruby -rsocket -e 'TCPSocket.new("db", 5432)' 2>/dev/null; do sleep 0.1; done`

/** What is changed by hand: the images, and the keys that come with 4.3. */
async function putRelease(stack: Stack, from: string, to: string): Promise<void> {
  const streaming = (text: string) =>
    text.replace(/( {2}streaming:\n(?: {4}.*\n)*? {4}image: )\S+/, `$1${imageNames.streaming(to)}`)
  const text = readFileSync(composeFile(stack), 'utf8').replaceAll(imageNames.app(from), imageNames.app(to))
  writeFileSync(composeFile(stack), streaming(text))
  if (readFileSync(join(stack.projectDir, '.env.production'), 'utf8').includes('ACTIVE_RECORD_ENCRYPTION')) return
  const names = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY']
  const keys = names.map(name => [`ACTIVE_RECORD_ENCRYPTION_${name}`, randomBytes(16).toString('hex')])
  await stack.writeEnv(Object.fromEntries(keys) as Record<string, string>)
}

async function succeeded(stack: Stack, ...words: string[]): Promise<void> {
  const { code, stdout, stderr } = await stack.compose(...words)
  if (code !== 0) throw new Error(`docker compose ${words.join(' ')}: exit ${code}\n${stdout}${stderr}`)
}
