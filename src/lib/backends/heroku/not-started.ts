import { RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'
import type { Dyno, HerokuApp } from './app.js'

/** What Heroku says when the plan allows no further one-off: `Cannot run more than 1 Free size dynos.` and the like. */
const LIMIT = /cannot run more than|concurrent one-off|dyno limit/i

/** Returns the refusal of a one-off; where the plan allows no more of them, with those that run and how to stop them. */
export async function notStarted(app: HerokuApp, what: string, complaint: string): Promise<RefusedError> {
  const running = LIMIT.test(complaint) ? await oneOffsOf(app) : []
  const message = `${what} could not be started on ${app.name}.`
  if (running.length === 0) {
    const next = 'Mend what Heroku says, then run the command again.'
    return new RefusedError({ code: 'one-off-not-started', message, cause: complaint, next })
  }
  const stops = running.map(({ name }) => app.byHand(['ps:stop', '--dyno-name', name]))
  return new RefusedError({
    code: 'one-off-limit',
    message,
    cause: [complaint, 'These one-off dynos run:', ...running.map(described)].join('\n'),
    next: `Wait for them, or stop them: ${stops.join('; ')}`,
  })
}

async function oneOffsOf(app: HerokuApp): Promise<Dyno[]> {
  return (await app.dynos().catch(() => [])).filter(dyno => dyno.type === 'run')
}

function described({ name, command, createdAt }: Dyno): string {
  const since = Number.isNaN(createdAt.getTime()) ? 'an unknown time' : createdAt.toISOString()
  return `${name} since ${since}: ${printableLine(command).slice(0, 120)}`
}
