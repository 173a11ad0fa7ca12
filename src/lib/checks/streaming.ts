import { streamingHealthPath } from '../mastodon/health.js'
import type { Toolbox } from '../toolbox.js'
import { bad, type Check, type Finding, notApplicable, notHere, ok } from './check.js'
import { answerText, ask, askPublished } from './http.js'
import { processesOf, processProblem } from './processes.js'

const PORT = 4000
/** Names the host where visitors find streaming. */
export const STREAMING_PUBLISHED = 'STREAMING_API_BASE_URL'

export const streaming: Check = {
  id: 'streaming',
  title: 'The streaming process answers',
  for: ['upgrade'],
  run: async toolbox => {
    const processes = await processesOf(toolbox, 'streaming')
    if (processes === undefined) return notHere(toolbox, 'streaming process')
    const [first] = processes
    if (first === undefined) return elsewhere(toolbox)
    const problem = processProblem('streaming', processes)
    if (problem) return problem
    if (toolbox.backend.oneOff === undefined) return notHere(toolbox, 'port of the streaming process')
    const path = streamingHealthPath(await toolbox.app.version())
    if (path === undefined || first.health === 'healthy') return ok('The streaming process runs.')
    const code = await ask(toolbox, { host: first.name, port: PORT, path, publishedIn: STREAMING_PUBLISHED })
    if (code === '200') return ok('The streaming process answers.')
    return bad(answerText('streaming', path, code), 'mstdn-ops logs --role streaming')
  },
}

/** A process on another host is not ours to look at: what it answers to visitors is. */
async function elsewhere(toolbox: Toolbox): Promise<Finding> {
  const path = streamingHealthPath(await toolbox.app.version()) ?? '/'
  const asked = await askPublished(toolbox, { publishedIn: STREAMING_PUBLISHED, path })
  if (asked === undefined) return notApplicable('This instance has no streaming process.')
  const { host, code } = asked
  if (code === '200') return ok(`Streaming answers at ${host}, which is none of this instance's processes.`)
  return bad(
    `Streaming is published at ${host} (${STREAMING_PUBLISHED}). ${answerText('streaming', path, code)}`,
    `Look after the process on that host, or take ${STREAMING_PUBLISHED} out.`,
  )
}
