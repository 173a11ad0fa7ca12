import { existsSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { OperatorError } from '../../src/lib/errors.js'
import { openToolbox } from '../../src/lib/open-toolbox.js'
import { Output } from '../../src/lib/output.js'
import { runsDir } from '../../src/lib/paths.js'
import { unfinishedRun } from '../../src/lib/runbook/journal.js'
import type { Boundary } from '../../src/lib/runbook/loop.js'
import { resumeRun, runRunbook } from '../../src/lib/runbook/run.js'
import type { Runbook, Step, StepContext } from '../../src/lib/runbook/step.js'

/** What a scripted run does; every step leaves a row in `trail`, and its undo takes the row away. */
export interface Script {
  /** Tells the rows of one test from another's. */
  trail: string
  mode: 'run' | 'resume' | 'undo'
  steps?: ScriptedStep[]
  /** Ends the process there, as `kill -9` would. */
  killAt?: { step: string; boundary: Boundary }
}

export interface ScriptedStep {
  id: string
  /** Throws before or after it has left its row. */
  fails?: 'before' | 'after'
  undoFails?: boolean
  /** Without an undo. */
  irreversible?: boolean
  atomic?: boolean
  /** What the run has made is in use once it has left its row. */
  inUse?: boolean
  repeatable?: boolean
  notNeeded?: boolean
  /** Says `in ID` on stdout and goes on when this file is there. */
  waitsFor?: string
  undoWaitsFor?: string
  /** From the moment on when this file is there, nothing fails any more. */
  mendedBy?: string
}

const scripted: Runbook<{ script: Script }, { rows: string[] }> = {
  name: 'scripted',
  steps: async (_toolbox, { script }) => (script.steps ?? []).map(step => stepOf(script.trail, step)),
  result: async (toolbox, { script }) => ({ rows: await rowsOf(toolbox, script.trail) }),
}

function stepOf(trail: string, scriptedStep: ScriptedStep): Step {
  const { id, fails, atomic, repeatable } = scriptedStep
  return {
    id,
    title: `Leave the row ${id}`,
    effect: 'write',
    ...(atomic ? { atomic } : {}),
    ...(repeatable ? { repeatable } : {}),
    ...(scriptedStep.irreversible
      ? { irreversible: 'it is scripted so' }
      : { undo: c => undo(c, trail, scriptedStep) }),
    ...(scriptedStep.inUse
      ? { inUse: async ({ toolbox }) => ((await rowsOf(toolbox, trail)).includes(id) ? 'People use it.' : undefined) }
      : {}),
    needed: async () => !scriptedStep.notNeeded,
    done: async ({ toolbox }) => (await rowsOf(toolbox, trail)).includes(id),
    run: async context => {
      if (fails === 'before' && broken(scriptedStep)) throw new Error(`${id} was scripted to fail`)
      await leaveRow(context, trail, id)
      await reach(`in ${id}`, scriptedStep.waitsFor)
      if (fails === 'after' && broken(scriptedStep)) throw new Error(`${id} was scripted to fail`)
    },
  }
}

function broken({ mendedBy }: ScriptedStep): boolean {
  return mendedBy === undefined || !existsSync(mendedBy)
}

async function leaveRow({ toolbox }: StepContext, trail: string, id: string): Promise<void> {
  const database = await toolbox.database()
  await database.write(
    `INSERT INTO trail (trail, step, acts) VALUES ($1, $2, 1) ON CONFLICT (trail, step) DO UPDATE SET acts = trail.acts + 1`,
    [trail, id],
  )
}

async function undo({ toolbox }: StepContext, trail: string, step: ScriptedStep): Promise<void> {
  await reach(`undo ${step.id}`, step.undoWaitsFor)
  if (step.undoFails && broken(step)) throw new Error(`the undo of ${step.id} was scripted to fail`)
  await (await toolbox.database()).write('DELETE FROM trail WHERE trail = $1 AND step = $2', [trail, step.id])
}

async function rowsOf(toolbox: StepContext['toolbox'], trail: string): Promise<string[]> {
  const database = await toolbox.database()
  const rows = await database.query<{ step: string }>('SELECT step FROM trail WHERE trail = $1 ORDER BY step', [trail])
  return rows.map(row => row.step)
}

async function reach(place: string, file: string | undefined): Promise<void> {
  if (file === undefined) return
  process.stdout.write(`${place}\n`)
  while (!existsSync(file)) await wait(20)
}

async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  const script = JSON.parse(process.argv[2] ?? '') as Script
  const toolbox = await openToolbox({ backend: 'sandbox' }, { output: new Output(), dryRun: false })
  try {
    const report = await carryOut(toolbox, script)
    process.stdout.write(`${JSON.stringify({ report })}\n`)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    process.exitCode = error.exitCode
    process.stdout.write(`${JSON.stringify(error.toJSON())}\n`)
  } finally {
    await toolbox.close()
  }
}

async function carryOut(toolbox: Awaited<ReturnType<typeof openToolbox>>, script: Script) {
  const { killAt } = script
  const observer = (step: string, boundary: Boundary) => {
    if (killAt?.step === step && killAt.boundary === boundary) process.kill(process.pid, 'SIGKILL')
  }
  if (script.mode === 'run') return runRunbook(toolbox, scripted, { script }, { observer })
  const record = await unfinishedRun(runsDir(toolbox.instance.name))
  if (record === undefined) return { nothing: 'unfinished' }
  return resumeRun(toolbox, scripted, record.header.runId, { observer, undo: script.mode === 'undo' })
}

await main()
