import { type Check, notHere, ok, warn } from './check.js'

export const pooler: Check = {
  id: 'pooler',
  title: 'No pooler is in the way',
  for: ['upgrade', 'restore', 'reset'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    if (!(await toolbox.database()).pooled) return ok('The connection leads to PostgreSQL itself.')
    const prepared = (await toolbox.app.config()).get('PREPARED_STATEMENTS')
    const fix = 'For migrations, dumps and restores set DB_HOST and DB_PORT (or DATABASE_URL) to PostgreSQL itself.'
    const statements =
      prepared === 'false' ? '' : ' PREPARED_STATEMENTS is not "false", which a transaction pooler needs.'
    return warn(`A pooler stands before PostgreSQL: locks and migrations do not work through it.${statements}`, fix)
  },
}
