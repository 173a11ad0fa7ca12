import { plural } from '../text.js'
import { type Check, notHere, ok, warn } from './check.js'

/** Names only: every value counts as a secret. */
export const configuration: Check = {
  id: 'configuration',
  title: 'What runs has the configuration that is stored',
  for: ['upgrade'],
  run: async toolbox => {
    const { config } = toolbox.backend
    if (config === undefined) return notHere(toolbox, 'configuration')
    const [running, stored] = await Promise.all([config.running(), config.stored()])
    const names = [...stored.keys()].filter(name => running.get(name) !== stored.get(name)).sort()
    if (names.length === 0) return ok(`The running processes have the values of ${config.where}.`)
    const text = `${plural(names.length, 'variable differs', 'variables differ')} between ${config.where} and what runs: ${names.join(', ')}.`
    return warn(text, 'mstdn-ops restart')
  },
}
