import { messageOf, OperatorError } from '../errors.js'
import { bad, type Check, notHere, ok } from './check.js'

export const redis: Check = {
  id: 'redis',
  title: 'Redis answers',
  for: ['upgrade', 'restore', 'reset'],
  run: async toolbox => {
    if (toolbox.backend.redis === undefined) return notHere(toolbox, 'Redis')
    try {
      await (await toolbox.redis()).read('PING')
      return ok(`${toolbox.backend.redis.where} answers.`)
    } catch (error) {
      const next = error instanceof OperatorError ? error.next : undefined
      const why = error instanceof OperatorError && error.why ? `: ${error.why}` : ''
      return bad(`${messageOf(error)}${why}`, next ?? 'See the log of the Redis server.')
    }
  },
}
