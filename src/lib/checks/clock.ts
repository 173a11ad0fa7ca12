import { humanDuration } from '../text.js'
import { type Check, notHere, ok, warn } from './check.js'

/** Seconds between the clocks that may be the question's own way there and back. */
const TOLERATED = 30

/** Signatures between servers hold the time: a clock that is wrong makes other servers refuse them. */
export const clock: Check = {
  id: 'clock',
  title: 'The clocks agree',
  for: [],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const [row] = await (await toolbox.database()).query<{ now: Date }>('SELECT clock_timestamp() AS now')
    const seconds = Math.abs((row?.now.getTime() ?? 0) - toolbox.clock.now().getTime()) / 1000
    if (seconds <= TOLERATED) return ok("This machine's clock and the database server's agree.")
    return warn(
      `This machine's clock and the database server's are ${humanDuration(seconds)} apart.`,
      'timedatectl status (on both machines)',
    )
  },
}
