import { stats } from '../redis/sidekiq.js'
import { grouped, plural } from '../text.js'
import { type Check, notHere, ok, warn } from './check.js'

export const deadJobs: Check = {
  id: 'dead-jobs',
  title: 'No job was given up',
  for: [],
  run: async toolbox => {
    if (toolbox.backend.redis === undefined) return notHere(toolbox, 'Redis')
    const { dead, retry } = await stats(await toolbox.redis('sidekiq'))
    if (dead === 0) return ok(`None is dead, ${plural(retry, 'waits', 'wait')} for another attempt.`)
    const fix = 'Look at them at /sidekiq/morgue of the web interface, where they can be retried or deleted.'
    return warn(`${grouped(dead)} of Sidekiq's jobs failed for good and are not tried again.`, fix)
  },
}
