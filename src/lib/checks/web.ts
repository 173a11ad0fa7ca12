import { INSTANCE_PATH, webHealthPath } from '../mastodon/health.js'
import { bad, type Check, notHere, ok, warn } from './check.js'
import { answerText, ask, isAnswer } from './http.js'
import { processesOf, processProblem } from './processes.js'

const PORT = 3000

export const web: Check = {
  id: 'web',
  title: 'The web process answers',
  for: ['upgrade'],
  run: async toolbox => {
    const processes = await processesOf(toolbox, 'web')
    if (processes === undefined) return notHere(toolbox, 'web process')
    const problem = processProblem('web', processes)
    if (problem) return problem
    if (toolbox.backend.oneOff === undefined) return notHere(toolbox, 'port of the web process')
    if (await toolbox.backend.maintenance?.isOn()) {
      return warn('The maintenance mode is on: visitors see its page.', 'mstdn-ops maintenance:off')
    }
    // The health path of most versions tests nothing: the second one needs the database.
    for (const path of new Set([webHealthPath(await toolbox.app.version()), INSTANCE_PATH])) {
      const code = await ask(toolbox, { host: '127.0.0.1', port: PORT, path })
      if (!isAnswer(code)) return bad(answerText('web', path, code), 'mstdn-ops logs --role web')
    }
    return ok('The web process answers, from the database too.')
  },
}
