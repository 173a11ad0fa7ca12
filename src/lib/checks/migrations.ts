import { pendingMigrations } from '../mastodon/migrations.js'
import { plural } from '../text.js'
import { bad, type Check, notHere, ok, warn } from './check.js'

export const migrations: Check = {
  id: 'migrations',
  title: 'No migration is pending',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.oneOff === undefined) return notHere(toolbox, 'Mastodon')
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const pending = await pendingMigrations(toolbox)
    const [first] = pending
    if (first === undefined) return ok('The database has had every migration of this release.')
    const text = `${plural(pending.length, 'migration is', 'migrations are')} pending, the first is ${first.id}.`
    if (pending.some(({ phase }) => phase === 'pre')) return bad(text, 'mstdn-ops db:migrate')
    return warn(`${text} All of them are post-deployment migrations.`, 'mstdn-ops db:migrate --phase post')
  },
}
