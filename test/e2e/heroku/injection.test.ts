import { existsSync } from 'node:fs'
import { injectionTable } from '../injection.js'
import { startHerokuApp } from './bed.js'

injectionTable(async () => {
  const app = await startHerokuApp({ version: '4.5.3' })
  return {
    cwd: app.home,
    env: { ...app.env, HEROKU_APP: app.app },
    setFlags: [],
    psql: sql => app.psql(sql),
    redis: (...args) => app.redis(...args),
    configuration: async () => JSON.stringify(app.config()),
    // A dyno's disk is gone with it; what it was told to do shows in the command that started it.
    holds: async path => existsSync(path) || app.runs.some(({ command }) => command.trimStart().startsWith('touch')),
    stop: () => app.stop(),
  }
})
