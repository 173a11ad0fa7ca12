import { sidekiqMajorsIn } from '../../health.js'
import { missingQueues, type Queue, queuesOf, sidekiqMajors } from '../../queues.js'
import { imageOfRelease, imagesOf, isNamedLikeIt, repositoryOf } from '../images.js'
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

function imageNeeds({ to }: Leap, service: ServiceFound): Need[] {
  if (service.image === null || imagesOf(to) === undefined) return []
  const base = { release: to.toString(), when: 'switch', source: `${COMPOSE}${to.release}` } as const
  const needs = [imageNeed(base, to, service, service.image)]
  if (service.role === 'streaming' && to.atLeast('4.3.0')) needs.push(streamingCommand(base, service))
  return needs
}

/** Under a name of the operator's own there is the image that the operator makes. */
function imageNeed(base: Base, to: Leap['to'], { name, role }: ServiceFound, image: string): Need {
  const wanted = imageOfRelease(image, to, role === 'streaming')
  const found = { ...base, id: `image ${name}`, found: image }
  if (wanted === undefined) {
    const commands = [`Build or push streaming of ${to}, and name it in the service ${name}: the app's image has none.`]
    return { ...found, what: `${name} on an image with streaming`, met: 'unknown', commands }
  }
  const met = isNamedLikeIt(image) ? repositoryOf(image) === repositoryOf(wanted) : 'unknown'
  const commands = [met === 'unknown' ? `Build or push ${wanted}` : `In the service ${name}: image: ${wanted}`]
  return { ...found, what: `${name} on ${repositoryOf(wanted)}`, met, commands }
}

type Base = Pick<Need, 'release' | 'when' | 'source'>

function streamingCommand(base: Base, { name, command }: ServiceFound): Need {
  return {
    ...base,
    ...{ id: `command ${name}`, what: `${name} runs node ./streaming/index.js`, found: command },
    met: command === null ? 'unknown' : /streaming\/index\.js/.test(command),
    commands: [`In the service ${name}: command: node ./streaming/index.js`],
  }
}

/** A health check that looks for `sidekiq 6` calls every later one unhealthy; one that looks for both is right with both. */
function healthCheck({ to }: Leap, { name, role, healthCommand }: ServiceFound): Need[] {
  const [majors, right] = [sidekiqMajorsIn(healthCommand ?? ''), sidekiqMajors(to)]
  if (role !== 'sidekiq' || majors.length === 0 || right.length === 0) return []
  const hit = right.filter(major => majors.includes(major)).length
  const all = [...new Set([...majors, ...right])].sort().join('')
  return [
    {
      ...{ id: `health check ${name}`, release: to.toString(), when: 'before', source: `${COMPOSE}${to.release}` },
      what: `a health check of ${name} that looks for Sidekiq ${right.join(' or ')}`,
      met: hit === right.length || (hit > 0 && 'unknown'),
      found: `it looks for Sidekiq ${majors.join(' or ')}`,
      commands: [`In the healthcheck of ${name}: sidekiq\\ [${all}]`, 'mstdn-ops restart --role sidekiq'],
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
    what: `a listener on each of the queues ${asked.join(', ')}`,
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
