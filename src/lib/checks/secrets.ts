import { isUsable, secretsOf } from '../mastodon/secrets.js'
import { bad, type Check, notHere, ok } from './check.js'

export const secrets: Check = {
  id: 'secrets',
  title: 'The secrets that the app needs are set',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.config === undefined) return notHere(toolbox, 'configuration')
    const config = await toolbox.app.config()
    const needed = secretsOf(await toolbox.app.version()).filter(
      ({ need, kind }) => need === 'mandatory' && kind !== 'encryption',
    )
    const [missing] = needed.filter(({ name }) => !isUsable(config.get(name)))
    if (missing === undefined) return ok(`${needed.map(({ name }) => name).join(', ')}: set.`)
    const fix = `Put back the value that was used before: a new one means that ${missing.breaks}. mstdn-ops config:set ${missing.name}`
    return bad(`${missing.name} is not set, and Mastodon does not start without it.`, fix)
  },
}
