import { sidekiqMajorsIn } from '../mastodon/health.js'
import { sidekiqMajors } from '../mastodon/queues.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'
import { processesOf } from './processes.js'

/** Mastodon's own compose file looks for the major of Sidekiq by number, which an upgrade makes wrong. */
export const sidekiqHealthCheck: Check = {
  id: 'sidekiq-health-check',
  title: "Sidekiq's health check looks for the right major",
  for: ['upgrade'],
  run: async toolbox => {
    const processes = await processesOf(toolbox, 'sidekiq')
    if (processes === undefined) return notHere(toolbox, 'Sidekiq process')
    const found = processes.map(({ name, healthCommand = '' }) => ({ name, majors: sidekiqMajorsIn(healthCommand) }))
    const numbered = found.filter(({ majors }) => majors.length > 0)
    const right = sidekiqMajors(await toolbox.app.version())
    if (numbered.length === 0 || right.length === 0) return notApplicable('No health check names a major of Sidekiq.')
    const wrong = numbered.filter(({ majors }) => !majors.some(major => right.includes(major)))
    if (wrong.length === 0) return ok(`It looks for Sidekiq ${right.join(' or ')}.`)
    const said = wrong.map(({ name, majors }) => `${name} looks for Sidekiq ${majors.join(' or ')}`).join(', ')
    const fix = `Write sidekiq\\ [${right.join('')}] in the healthcheck of the compose file, then: docker compose up -d ${wrong.map(({ name }) => name).join(' ')}`
    return bad(`${said}, and this release comes with ${right.join(' or ')}: it is called unhealthy for nothing.`, fix)
  },
}
