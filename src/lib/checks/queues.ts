import { missingQueues } from '../mastodon/queues.js'
import { processes } from '../redis/sidekiq.js'
import { bad, type Check, notApplicable, notHere, ok, warn } from './check.js'

/** Mastodon 3.3 on: jobs of this queue must be started by one process only. */
const SINGLE_LISTENER_QUEUE = 'scheduler'

export const queues: Check = {
  id: 'queues',
  title: 'Every queue is listened to',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.redis === undefined) return notHere(toolbox, 'Redis')
    const alive = (await processes(await toolbox.redis('sidekiq'))).filter(process => !process.quiet)
    if (alive.length === 0) return notApplicable('No Sidekiq process takes jobs: see the check sidekiq.')
    const listened = alive.flatMap(process => process.queues)
    const missing = missingQueues(await toolbox.app.version(), listened)
    if (missing.length > 0) {
      const lost = missing.map(({ name, carries }) => `${name} (${carries})`).join(', ')
      return bad(`Nobody listens to ${lost}.`, addQueues(missing.map(({ name }) => name)))
    }
    const schedulers = listened.filter(name => name === SINGLE_LISTENER_QUEUE).length
    if (schedulers <= 1) return ok('Every queue of this version has a listener.')
    const fix = `Leave -q ${SINGLE_LISTENER_QUEUE} in the command of one Sidekiq service only, then mstdn-ops restart --role sidekiq`
    return warn(`${schedulers} processes listen to ${SINGLE_LISTENER_QUEUE}; one must.`, fix)
  },
}

function addQueues(names: readonly string[]): string {
  return `Add ${names.map(name => `-q ${name}`).join(' ')} to the command of the Sidekiq service, then mstdn-ops restart --role sidekiq`
}
