import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OperatorError } from '../../src/lib/errors.js'
import { Output } from '../../src/lib/output.js'
import { runsDir } from '../../src/lib/paths.js'
import { listRuns } from '../../src/lib/runbook/journal.js'
import { type BoundaryObserver, resumeRun, runRunbook } from '../../src/lib/runbook/run.js'
import type { Runbook } from '../../src/lib/runbook/step.js'
import { setRunbook } from '../../src/lib/runbooks/config/set.js'
import { RUNBOOKS } from '../../src/lib/runbooks/index.js'
import type { Toolbox } from '../../src/lib/toolbox.js'
import { scriptedToolbox } from './scripted-instance.js'

/** A run in a process of its own, which may be killed at a boundary. */
export interface KilledRun {
  /** A scripted instance's folder, a compose project's, or the name of an app on Heroku. */
  scripted?: string
  project?: string
  app?: string
  runbook: string
  options: object
  /** The value of `config:set`, which options must not hold. */
  value?: string
  mode: 'run' | 'resume' | 'undo'
  /** `SIGKILL` there, or an error thrown; to the end where absent. */
  stop?: { step: string; boundary: Parameters<BoundaryObserver>[1]; by?: 'failure' }
}

export interface KilledEnd {
  killed: boolean
  /** 0, or the operator error's exit code and code. */
  exitCode: number
  code?: string
  message?: string
}

/** Carries the run out with the state folder `state`, and returns how it ended. */
export function killedRun(state: string, run: KilledRun): Promise<KilledEnd> {
  const script = fileURLToPath(import.meta.url)
  const env = { ...process.env, XDG_STATE_HOME: state, XDG_DATA_HOME: join(state, 'data') }
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(run)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', part => {
    text += part
  })
  return new Promise(resolve => {
    child.on('close', (_code, signal) => {
      if (signal === 'SIGKILL') resolve({ killed: true, exitCode: -1 })
      else resolve(JSON.parse(text) as KilledEnd)
    })
  })
}

/** Carries the run out in this process, whose XDG_STATE_HOME counts. */
export async function carriedOut(run: KilledRun): Promise<KilledEnd> {
  const toolbox = await toolboxOf(run)
  try {
    await carryOut(toolbox, run)
    return { killed: false, exitCode: 0 }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return { killed: false, exitCode: error.exitCode, code: error.code, message: error.message }
  } finally {
    await toolbox.close()
  }
}

async function toolboxOf({ scripted, project, app }: KilledRun): Promise<Toolbox> {
  if (scripted !== undefined) return scriptedToolbox(scripted)
  const { openToolbox } = await import('../../src/lib/open-toolbox.js')
  const output = new Output({ quiet: true, logLevel: 'error' })
  return openToolbox(app === undefined ? { projectDir: project ?? '.' } : { app }, { output, dryRun: false })
}

async function carryOut(toolbox: Toolbox, run: KilledRun): Promise<void> {
  const runbook = await runbookOf(run)
  const extra = run.stop === undefined ? {} : { observer: stopAt(run.stop) }
  if (run.mode === 'run') {
    await runRunbook(toolbox, runbook, run.options, extra)
    return
  }
  const record = (await listRuns(runsDir(toolbox.instance.name))).at(-1)
  if (record === undefined) throw new Error('there is no run to resume')
  await resumeRun(toolbox, runbook, record.header.runId, { ...extra, undo: run.mode === 'undo' })
}

async function runbookOf(run: KilledRun): Promise<Runbook<object, object>> {
  if (run.value !== undefined) return setRunbook(run.value) as Runbook<object, object>
  const found = await RUNBOOKS[run.runbook]?.()
  if (found === undefined) throw new Error(`${run.runbook} is not in src/lib/runbooks/index.ts`)
  return found as unknown as Runbook<object, object>
}

function stopAt({ step, boundary, by }: NonNullable<KilledRun['stop']>): BoundaryObserver {
  return (id, at) => {
    if (id !== step || at !== boundary) return
    if (by === 'failure') throw new Error(`${boundary} ${step} was made to fail`)
    process.kill(process.pid, 'SIGKILL')
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(await carriedOut(JSON.parse(process.argv[2] ?? '{}') as KilledRun)))
}
