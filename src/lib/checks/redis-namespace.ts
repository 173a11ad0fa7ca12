import { redisNamespaceState } from '../mastodon/health.js'
import { bad, type Check, notHere, ok, warn } from './check.js'

export const redisNamespace: Check = {
  id: 'redis-namespace',
  title: 'REDIS_NAMESPACE does not stop the app',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.config === undefined) return notHere(toolbox, 'configuration')
    if (!(await toolbox.app.config()).get('REDIS_NAMESPACE')) return ok('REDIS_NAMESPACE is not set.')
    const state = redisNamespaceState(await toolbox.app.version())
    if (state === 'honoured') return ok('REDIS_NAMESPACE is set, and this version honours it.')
    const fix = 'mstdn-ops redis:drop-namespace'
    if (state === 'fatal') return bad('REDIS_NAMESPACE is set: Mastodon does not start with it from 4.4.0 on.', fix)
    return warn('REDIS_NAMESPACE is set: from 4.4.0 on Mastodon will not start with it.', fix)
  },
}
