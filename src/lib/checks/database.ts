import { messageOf, OperatorError } from '../errors.js'
import { bad, type Check, notHere, ok } from './check.js'

export const database: Check = {
  id: 'database',
  title: 'PostgreSQL answers',
  for: ['upgrade', 'restore', 'reset'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    try {
      await (await toolbox.database()).query('SELECT 1')
      return ok(`${toolbox.backend.postgres.where} answers.`)
    } catch (error) {
      const next = error instanceof OperatorError ? error.next : undefined
      const why = error instanceof OperatorError && error.why ? `: ${error.why}` : ''
      return bad(`${messageOf(error)}${why}`, next ?? 'See the log of the database server.')
    }
  },
}
