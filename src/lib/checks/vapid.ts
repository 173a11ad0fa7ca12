import { hasPushKeys } from '../mastodon/health.js'
import { isVapidPair } from '../mastodon/secrets.js'
import { bad, type Check, notApplicable, notHere, ok, warn } from './check.js'

export const vapid: Check = {
  id: 'vapid',
  title: 'The VAPID keys are set',
  for: [],
  run: async toolbox => {
    if (toolbox.backend.config === undefined) return notHere(toolbox, 'configuration')
    if (!hasPushKeys(await toolbox.app.version())) return notApplicable('This version has no push messages.')
    const config = await toolbox.app.config()
    const privateKey = config.get('VAPID_PRIVATE_KEY') ?? ''
    const publicKey = config.get('VAPID_PUBLIC_KEY') ?? ''
    if (privateKey === '' || publicKey === '') {
      return warn(
        'VAPID_PRIVATE_KEY or VAPID_PUBLIC_KEY is not set: browsers get no push messages.',
        'mstdn-ops keys:vapid',
      )
    }
    if (isVapidPair({ privateKey, publicKey })) return ok('They are set and belong together.')
    return bad('The two keys do not belong together: push messages fail.', 'mstdn-ops keys:vapid --replace')
  },
}
