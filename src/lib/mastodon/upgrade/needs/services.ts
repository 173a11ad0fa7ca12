import { sidekiqMajorsIn } from '../../health.js'
import { missingQueues, type Queue, queuesOf, sidekiqMajors } from '../../queues.js'
import { imagesOf, isOfficial, repositoryOf } from '../images.js'
import type { ServiceFound, UpgradeSurroundings } from '../surroundings.js'
import { type Leap, type Need, type NeedsOf, needOf } from './need.js'

const COMPOSE = 'docker-compose.yml @v'

/** Returns what changes in the services themselves, beside their tag, when they get the release. */
export const serviceNeeds: NeedsOf = (leap, surroundings) => {
  const services = surroundings.services ?? []
  return [
    ...(surroundings.can.images ? services.flatMap(service => imageNeeds(leap, service)) : []),
    ...services.flatMap(service => healthCheck(leap, service)),
  ].map(needOf)
}

function imageNeeds({ to }: Leap, { name, role, image, command }: ServiceFound): Need[] {
  const images = imagesOf(to)
  if (images === undefined || image === null) return []
  const wanted = role === 'streaming' ? images.streaming : images.app
  const base = { release: to.toString(), when: 'switch', source: `${COMPOSE}${to.release}` } as const
  const moved: Need = {
    ...base,
    ...{ id: `image ${name}`, what: `${name} on ${repositoryOf(wanted)}`, found: image },
    met: repositoryOf(image) === repositoryOf(wanted) || (isOfficial(repositoryOf(image)) ? false : 'unknown'),
    commands: isOfficial(repositoryOf(image))
      ? [`In the service ${name}: image: ${wanted}`]
      : [`Build or push ${to} under the image's own name: ${repositoryOf(image)}`],
  }
  return role === 'streaming' && to.atLeast('4.3.0') ? [moved, streamingCommand(base, name, command)] : [moved]
}

type Base = Pick<Need, 'release' | 'when' | 'source'>

function streamingCommand(base: Base, name: string, command: string | null): Need {
  return {
    ...base,
    ...{ id: `command ${name}`, what: `${name} runs node ./streaming/index.js`, found: command },
    met: command === null ? 'unknown' : /streaming\/index\.js/.test(command),
    commands: [`In the service ${name}: command: node ./streaming/index.js`],
  }
}

/** A health check that looks for `sidekiq 6` calls every later one unhealthy. */
function healthCheck({ to }: Leap, { name, role, healthCommand }: ServiceFound): Need[] {
  const [majors, right] = [sidekiqMajorsIn(healthCommand ?? ''), sidekiqMajors(to)]
  if (role !== 'sidekiq' || majors.length === 0 || right.length === 0) return []
  return [
    {
      ...{ id: `health check ${name}`, release: to.toString(), when: 'switch', source: `${COMPOSE}${to.release}` },
      what: `the health check of ${name} looks for Sidekiq ${right.join(' or ')}`,
      met: right.every(major => majors.includes(major)) || (right.some(major => majors.includes(major)) && 'unknown'),
      found: `it looks for Sidekiq ${majors.join(' or ')}`,
      commands: [`In the healthcheck of ${name}: sidekiq\\ ${right.length > 1 ? `[${right.join('')}]` : right[0]}`],
    },
  ]
}

/** Returns the queues of the target: they only grow. Asked for where one is new, or where one was seen to be missing. */
export const queueNeeds: NeedsOf = ({ from, to }, { queues, services }) => {
  const asked = queuesOf(to).map(({ name }) => name)
  const missing = missingQueues(to, queues ?? queuesOf(from).map(({ name }) => name))
  if (missing.length === 0 && queues === null) return []
  const met = queues === null ? 'unknown' : cameWithIt(missing, from, sidekiqCommands(services))
  const found = missing.length === 0 ? 'all of them' : met === true ? 'the release brings the list' : lacking(missing)
  const flags = missing.map(({ name }) => `-q ${name}`).join(' ')
  const need: Need = {
    ...{ id: 'queues', release: to.toString(), when: 'switch', source: `config/sidekiq.yml @v${to.release}` },
    what: `somebody listens to the queues ${asked.join(', ')}`,
    ...{ met, found: queues === null ? null : found },
    commands: [`Where queues are named in the command of the Sidekiq process, add ${flags}`],
  }
  return [needOf(need)]
}

/** Without queues of its own in its command, Sidekiq listens to what the release's config/sidekiq.yml names. */
function cameWithIt(missing: readonly Queue[], from: Leap['from'], commands: readonly (string | null)[]) {
  if (missing.length === 0) return true
  const old = new Set(queuesOf(from).map(({ name }) => name))
  if (missing.some(({ name }) => old.has(name))) return false
  if (commands.some(command => command !== null && /\s(-q|--queue)\b/.test(command))) return false
  return commands.length > 0 && commands.every(command => command !== null) ? true : 'unknown'
}

function lacking(missing: readonly Queue[]): string {
  return `nobody listens to ${missing.map(({ name }) => name).join(', ')}`
}

function sidekiqCommands(services: UpgradeSurroundings['services']): (string | null)[] {
  return (services ?? []).filter(({ role }) => role === 'sidekiq').map(({ command }) => command)
}
