import { parseRecord } from '../redis/job.js'
import { plural } from '../text.js'
import { type Check, notHere, ok, warn } from './check.js'

/** The newest jobs are enough to tell whether mails fail. */
const LOOKED_AT = 1000

export const mail: Check = {
  id: 'mail',
  title: 'Mails are sent',
  for: [],
  run: async toolbox => {
    if (toolbox.backend.config === undefined || toolbox.backend.redis === undefined)
      return notHere(toolbox, 'mail settings')
    const config = await toolbox.app.config()
    const failing = await failingMails(await toolbox.redis('sidekiq'))
    const waiting = `${plural(failing, 'mail waits', 'mails wait')} for another attempt`
    if (config.get('SMTP_SERVER')) {
      return failing === 0
        ? ok('No mail waits for another attempt.')
        : warn(`${waiting}.`, 'mstdn-ops logs --role sidekiq')
    }
    if (failing === 0) return ok('SMTP_SERVER is not set: this instance sends no mail, and none waits.')
    const text = `SMTP_SERVER is not set, so that every mail fails as is to be expected: ${waiting}.`
    return warn(text, 'mstdn-ops config:set SMTP_SERVER')
  },
}

async function failingMails(redis: Awaited<ReturnType<Parameters<Check['run']>[0]['redis']>>): Promise<number> {
  const entries = await redis.read('ZREVRANGE', redis.key('retry'), 0, LOOKED_AT - 1)
  const jobs = Array.isArray(entries) ? entries.map(parseRecord) : []
  return jobs.filter(job => job?.queue === 'mailers').length
}
