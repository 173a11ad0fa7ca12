import { railsEnvIsMandatory } from '../mastodon/health.js'
import { bad, type Check, notHere, ok } from './check.js'

const FIX = 'mstdn-ops config:set RAILS_ENV (to production), then mstdn-ops restart'

export const railsEnv: Check = {
  id: 'rails-env',
  title: 'The app runs in production',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.config === undefined) return notHere(toolbox, 'configuration')
    const value = (await toolbox.app.config()).get('RAILS_ENV') ?? ''
    if (value === 'production') return ok('RAILS_ENV is production.')
    if (value !== '') return bad(`RAILS_ENV is "${value}": the app works on another database.`, FIX)
    const what = railsEnvIsMandatory(await toolbox.app.version())
      ? 'Mastodon does not start without it'
      : 'Mastodon takes its development database'
    return bad(`RAILS_ENV is not set: ${what}.`, FIX)
  },
}
