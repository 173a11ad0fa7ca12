import { ROLES } from '../backends/backend.js'
import { CHECKS, runChecks } from '../checks/index.js'
import { messageOf } from '../errors.js'
import { KNOWN_PROBLEMS } from '../mastodon/known-problems.js'
import { runLines, runStory } from '../runs/story.js'
import { plural } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import type { Tally } from './tally.js'

/** What was looked at, and what could not be. */
export interface Looked {
  at: string[]
  without: string[]
}

/** Looks at the checks that find known problems, at the last run where it failed, and at the recent logs. */
export async function lookAtInstance(toolbox: Toolbox, lines: number, tally: Tally): Promise<Looked> {
  const looks = [
    lookAtChecks(toolbox, tally),
    lookAtProcesses(toolbox, tally),
    lookAtRun(toolbox, tally),
    lookAtLogs(toolbox, lines, tally),
  ]
  const looked = await Promise.all(looks)
  return { at: looked.flatMap(({ at }) => at), without: looked.flatMap(({ without }) => without) }
}

async function lookAtChecks(toolbox: Toolbox, tally: Tally): Promise<Looked> {
  const telling = KNOWN_PROBLEMS.flatMap(problem => (problem.checks ?? []).map(id => ({ problem, id })))
  const chosen = CHECKS.filter(check => telling.some(({ id }) => id === check.id))
  const results = await runChecks(toolbox, chosen)
  for (const { id, message } of results.filter(each => each.state === 'bad')) {
    for (const { problem } of telling.filter(each => each.id === id)) {
      tally.add({ problem, seen: true, names: {} }, { source: `check ${id}`, text: message })
    }
  }
  const blind = results.filter(({ state, message }) => state === 'warn' && /could not be looked at/.test(message))
  return { at: [plural(results.length, 'check')], without: blind.map(({ id, message }) => `check ${id}: ${message}`) }
}

/** Exit code 137 is any SIGKILL's; the state of a process tells whether it was for want of memory. */
async function lookAtProcesses({ backend }: Toolbox, tally: Tally): Promise<Looked> {
  const problem = KNOWN_PROBLEMS.find(({ id }) => id === 'out-of-memory')
  try {
    const list = (await backend.processes?.list()) ?? []
    for (const { id } of list.filter(({ outOfMemory }) => outOfMemory)) {
      const text = `${id} was ended because the memory ran out (code 137).`
      if (problem) tally.add({ problem, seen: true, names: {} }, { source: 'its state', text })
    }
    return { at: [], without: [] }
  } catch (error) {
    return { at: [], without: [`processes: ${messageOf(error)}`] }
  }
}

/** What a run said that ended well tells nothing of a problem. */
async function lookAtRun(toolbox: Toolbox, tally: Tally): Promise<Looked> {
  const [last] = await runLines(toolbox.instance.name)
  if (last === undefined || last.ended === 'done') return { at: [], without: [] }
  const story = await runStory(toolbox.instance.name, last.id)
  const reasons = story.events.flatMap(event => ('reason' in event && event.reason ? [event.reason] : []))
  const said = [...reasons, ...story.log.split('\n')]
  for (const line of said) tally.line(line, { source: `run ${last.id} (${last.runbook})` })
  return { at: [`run ${last.id}`], without: [] }
}

async function lookAtLogs(toolbox: Toolbox, lines: number, tally: Tally): Promise<Looked> {
  const { logs, kind } = toolbox.backend
  if (logs === undefined) return { at: [], without: [`logs: the ${kind} backend has none`] }
  let count = 0
  const onLine = (line: string, source: string, time?: string) => {
    count += 1
    tally.line(line, { source, ...(time === undefined ? {} : { time }) })
  }
  try {
    await logs.read({ roles: ROLES, lines, follow: false, beside: true, onLine })
  } catch (error) {
    return { at: [], without: [`logs: ${messageOf(error)}`] }
  }
  return { at: [`${plural(count, 'line')} of its logs`], without: [] }
}
