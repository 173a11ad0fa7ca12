import type { PostgresTools, ToolRun, ToolScript } from '../backends/backend.js'
import { randomNonce } from '../backends/nonce.js'
import { type OperatorError, RefusedError } from '../errors.js'
import { printableLine, shellLine } from '../text.js'

/** One program of a pipeline. */
export interface Stage {
  /** For people: `pg_dump`. */
  name: string
  words: readonly string[]
  /** Lines on standard error that are no complaint. */
  harmless?: RegExp
}

export interface Pipeline {
  run: ToolRun
  /** @throws RefusedError naming the program that failed or complained; see {@link ToolRun.ended}. */
  ended: Promise<void>
}

/**
 * Starts programs of which each reads what the one before it writes. A shell tells the code of the last one alone, so
 * each stage tells its own; and a program that exits 0 with an error on standard error has failed as well.
 */
export async function openPipeline(
  tools: PostgresTools,
  stages: readonly Stage[],
  how: Omit<ToolScript, 'script' | 'args'>,
): Promise<Pipeline> {
  const nonce = randomNonce()
  const run = await tools.open({ ...how, script: pipelineScript(stages, nonce) })
  const ended = run.ended.then(({ exitCode, stderr }) => believe(stages, nonce, exitCode, stderr))
  ended.catch(() => undefined)
  return { run, ended }
}

/**
 * Returns the shell text of the stages, each telling its exit code between the nonce and the end of the line. A signal
 * that ends the programs leaves the shells around them, which must outlive what they started.
 */
export function pipelineScript(stages: readonly Stage[], nonce: string): string {
  const told = (stage: Stage, at: number) => `{ trap : TERM; ${shellLine(stage.words)}; echo "${nonce} ${at} $?" >&2; }`
  return stages.map(told).join(' | ')
}

function believe(stages: readonly Stage[], nonce: string, exitCode: number, stderr: string): void {
  const codes = new Map<number, number>()
  const complaints: string[] = []
  for (const line of stderr.split('\n')) {
    const [, at, code] = new RegExp(`${nonce} (\\d+) (\\d+)\\s*$`).exec(line) ?? []
    const text = at === undefined ? line.trim() : line.slice(0, line.indexOf(nonce)).trim()
    if (at !== undefined) codes.set(Number(at), Number(code))
    if (text !== '' && !stages.some(stage => stage.harmless?.test(text))) complaints.push(text)
  }
  const isBad = (_: Stage, at: number) => codes.get(at) !== 0
  const failed = complaints.some(isBrokenPipe) ? stages.findLastIndex(isBad) : stages.findIndex(isBad)
  const stage = stages[failed]
  if (stage) throw stageFailed(stage, codes.get(failed), complaints)
  if (exitCode !== 0 || complaints.some(text => /\b(error|fatal|panic)\b/i.test(text))) {
    throw stageFailed(stages[0] ?? { name: 'the script', words: [] }, exitCode, complaints)
  }
}

/** A broken pipe is the end of a stage whose reader failed: what the others said tells more. */
function isBrokenPipe(complaint: string): boolean {
  return /broken pipe/i.test(complaint)
}

function stageFailed(stage: Stage, code: number | undefined, said: readonly string[]): OperatorError {
  const telling = said.filter(text => !isBrokenPipe(text))
  const complaints = telling.length > 0 ? telling : said
  const reason = complaints.find(text => /error|fatal|cannot|could not|not found|no space/i.test(text)) ?? complaints[0]
  return new RefusedError({
    code: 'program-failed',
    message: `${stage.name} failed${code === undefined ? '' : ` (code ${code})`}.`,
    cause: reason === undefined ? 'It gave no reason.' : printableLine(reason).slice(0, 400),
  })
}

/** What stands beside the server's programs. */
export interface Equipment {
  /** Of pg_dump and pg_restore, like 150018. */
  version: number
  /** Of the programs asked for, those that are there. */
  programs: ReadonlySet<string>
  /** pg_dump compresses by zstd itself (PostgreSQL 16 and later, where built with it). */
  ownZstd: boolean
}

/**
 * pg_dump complains about its arguments before it connects, also where no server is. No subshell here: it would die
 * before what it started, see `tool-run.ts`.
 */
const LOOK = `for p in zstd nice awk pg_restore; do command -v "$p" >/dev/null 2>&1 && echo "has $p"; done
pg_dump --version; echo "zstd:"; PGHOST=/nonexistent PGCONNECT_TIMEOUT=1 pg_dump -Fc --compress=zstd:1 2>&1; echo over`

/** Returns what is there to work with. @throws RefusedError without pg_dump or pg_restore. */
export async function equipmentOf(tools: PostgresTools): Promise<Equipment> {
  const run = await tools.open({ what: 'pg_dump --version', script: LOOK, effect: 'read' })
  const said = await textOf(run)
  const programs = new Set(said.match(/(?<=^has ).*$/gm))
  const version = versionIn(said)
  if (version === undefined || !programs.has('pg_restore')) throw noDumpProgram(tools.where)
  const refused = /zstd:[\s\S]*?(invalid|not supported|unrecognized|could not parse|must be)/i.test(said)
  return { version, programs, ownZstd: version >= 160_000 && !refused }
}

/** Returns all that the run printed, for short answers. */
export async function textOf(run: ToolRun): Promise<string> {
  let text = ''
  for await (const chunk of run.stdout.setEncoding('utf8')) text += chunk
  await run.ended
  return text
}

/** `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; betas tell `18beta1`. */
export function versionIn(text: string): number | undefined {
  const [, major, minor, patch] = /\(PostgreSQL\) (\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text) ?? []
  if (major === undefined) return undefined
  // Until 9.6 the first two numbers were the major version.
  const rest = Number(major) < 10 ? Number(minor ?? 0) * 100 + Number(patch ?? 0) : Number(minor ?? 0)
  return Number(major) * 10_000 + rest
}

function noDumpProgram(where: string): RefusedError {
  return new RefusedError({
    code: 'no-postgres-programs',
    message: `There is no pg_dump with its pg_restore in ${where}.`,
    next: 'Install PostgreSQL’s client programs there, not older than the server.',
  })
}
