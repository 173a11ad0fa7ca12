import { processes } from '../redis/sidekiq.js'
import { humanDuration, plural } from '../text.js'
import { bad, type Check, notHere, ok } from './check.js'

/** Seconds: a heartbeat comes every 5 to 10. */
const OLDEST_BEAT = 60
const FIX = 'mstdn-ops logs --role sidekiq, then mstdn-ops restart --role sidekiq'

export const sidekiq: Check = {
  id: 'sidekiq',
  title: 'Sidekiq sends its heartbeat',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.redis === undefined) return notHere(toolbox, 'Redis')
    if (toolbox.backend.processes === undefined) return notHere(toolbox, 'Sidekiq process')
    const alive = await processes(await toolbox.redis('sidekiq'))
    if (alive.length === 0) return bad('No Sidekiq process sends a heartbeat: nothing is worked off.', FIX)
    const silent = alive.filter(({ beatAge }) => beatAge === undefined || beatAge > OLDEST_BEAT)
    if (silent.length === 0)
      return ok(`${plural(alive.length, 'Sidekiq process', 'Sidekiq processes')}, heartbeat on time.`)
    const names = silent.map(({ identity, beatAge = 0 }) => `${identity} (${humanDuration(beatAge)} ago)`)
    return bad(`No heartbeat from ${names.join(', ')}.`, FIX)
  },
}
