import { streamingHealthPath } from '../mastodon/health.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'
import { answerText, ask } from './http.js'
import { processesOf, processProblem } from './processes.js'

const PORT = 4000

export const streaming: Check = {
  id: 'streaming',
  title: 'The streaming process answers',
  for: ['upgrade'],
  run: async toolbox => {
    const processes = await processesOf(toolbox, 'streaming')
    if (processes === undefined) return notHere(toolbox, 'streaming process')
    const [first] = processes
    if (first === undefined) return notApplicable('This instance has no streaming process.')
    const problem = processProblem('streaming', processes)
    if (problem) return problem
    if (toolbox.backend.oneOff === undefined) return notHere(toolbox, 'port of the streaming process')
    const path = streamingHealthPath(await toolbox.app.version())
    if (path === undefined || first.health === 'healthy') return ok('The streaming process runs.')
    const code = await ask(toolbox, { host: first.name, port: PORT, path, publishedIn: 'STREAMING_API_BASE_URL' })
    if (code === '200') return ok('The streaming process answers.')
    return bad(answerText('streaming', path, code), 'mstdn-ops logs --role streaming')
  },
}
