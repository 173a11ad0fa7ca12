import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { RefusedError } from '../errors.js'
import type { Output } from '../output.js'
import { RUN_VARIABLE } from '../runner.js'

/** Milliseconds after which a resume no longer waits for what the killed run had started. */
const LONGEST_WAIT = 120_000

/**
 * Returns once nothing is at work any more that a killed run had started: its children have process groups of their own
 * and outlive it, and an undo beside a `compose up` that is still under way would undo nothing. Linux only; elsewhere
 * there is no telling.
 *
 * @throws RefusedError when something is still at work after two minutes.
 */
export async function waitForLeftovers(runId: string, output: Output): Promise<void> {
  const deadline = Date.now() + LONGEST_WAIT
  let left = await startedBy(runId)
  if (left.length > 0) output.info(`Waiting for what the killed run had started (process ${left.join(', ')}) …`)
  while (left.length > 0) {
    if (Date.now() > deadline) throw stillAtWork(runId, left)
    await sleep(250)
    left = await startedBy(runId)
  }
}

/** Children inherit the variable, so that the whole family is found. */
async function startedBy(runId: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name) && name !== `${process.pid}`)
  const marked = await Promise.all(pids.map(async pid => ((await isMarked(pid, runId)) ? [pid] : [])))
  return marked.flat()
}

async function isMarked(pid: string, runId: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  return environment.split('\0').includes(`${RUN_VARIABLE}=${runId}`)
}

function stillAtWork(runId: string, pids: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'leftover-at-work',
    message: `What run ${runId} had started is still at work: process ${pids.join(', ')}.`,
    next: `Look at it with ps -fp ${pids.join(',')}; when it has ended: mstdn-ops resume`,
  })
}
