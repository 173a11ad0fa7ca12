import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, NotUndoneError, RefusedError } from '../../errors.js'
import type { Invocation } from '../../runner.js'
import {
  type AppProcess,
  type FormerProcess,
  type Processes,
  ROLES,
  type Role,
  type Watch,
  type WatchedAnswer,
  type WatchedPage,
} from '../backend.js'
import { firstLine } from '../complaints.js'
import type { ServiceConfiguration } from './configuration.js'
import type { Container } from './containers.js'
import { clearHalfMade } from './half-made.js'
import { untilHealthy } from './healthy.js'
import { newContainerPlace } from './place.js'
import type { Stack } from './stack.js'
import { watchFrom } from './watch.js'

/** Milliseconds in which the engine ends what a killed client had asked of it. */
const SETTLING_MS = 3_000

/** The containers of the roles. The database's and Redis's are never touched. */
export class ComposeProcesses implements Processes {
  readonly #stack: Stack
  readonly #changed: () => void

  constructor(stack: Stack, changed: () => void) {
    this.#stack = stack
    this.#changed = changed
  }

  async list(): Promise<AppProcess[]> {
    const containers = await this.#stack.containers()
    const roles = await this.#stack.roles(containers)
    return ROLES.flatMap(role =>
      containers.filter(one => roles[role].includes(one.service)).map(one => processOf(one, role)),
    )
  }

  /**
   * `compose restart` does not read env_file again (v2), so containers whose configuration changed are made anew.
   *
   * @throws RefusedError when the configuration names another image than the one that runs: that is an upgrade.
   */
  async restart(roles: readonly Role[], former?: readonly FormerProcess[]): Promise<void> {
    await clearHalfMade(this.#stack)
    const isMeant = (service: string) => former === undefined || former.some(({ name }) => name === service)
    const containers = (await this.#stack.containersOf(roles)).filter(({ service }) => isMeant(service))
    const services = (await this.#stack.servicesOf(roles)).filter(isMeant)
    if (services.length === 0) return
    this.#stack.configuration.forget()
    await this.#refuseOtherImage(containers)
    const anew = await this.#isChanged(services, containers)
    await (anew
      ? this.#bringUp(services, containers, true)
      : this.#change(this.#restartInvocation(services, containers)))
    await this.#untilHealthy(services)
  }

  async mayRestart(roles: readonly Role[]): Promise<void> {
    await this.#refuseOtherImage(await this.#stack.containersOf(roles))
  }

  async stop(roles: readonly Role[]): Promise<void> {
    const containers = (await this.#stack.containersOf(roles)).filter(isUp)
    if (containers.length === 0) return
    const byHand = this.#byHand('stop', containers)
    await this.#change(this.#stack.project.docker(['stop', ...namesOf(containers)], { effect: 'write', byHand }))
  }

  /** By `docker start`, which keeps the number of containers; a service that has none is brought up. */
  async start(roles: readonly Role[], former?: readonly FormerProcess[]): Promise<void> {
    await clearHalfMade(this.#stack)
    const containers = await this.#stack.containersOf(roles)
    const isMeant = ({ name }: Container) => former === undefined || former.some(({ id }) => id === name)
    const services = (await this.#stack.servicesOf(roles)).filter(
      service => former === undefined || former.some(({ name }) => name === service),
    )
    const stopped = containers.filter(container => !isUp(container) && isMeant(container))
    const absent = services.filter(service => !containers.some(container => container.service === service))
    const byHand = this.#byHand('start', stopped)
    if (stopped.length > 0)
      await this.#change(this.#stack.project.docker(['start', ...namesOf(stopped)], { effect: 'write', byHand }))
    if (absent.length > 0) await this.#bringUp(absent, [], false)
    await this.#untilHealthy(services, one => isMeant(one) || absent.includes(one.service))
  }

  /**
   * Makes the containers of these services anew, whatever image the files name by now: web first, and several of one
   * service one after the other, so that the others serve. What has the configured image already is left alone.
   */
  async renew(former: readonly FormerProcess[]): Promise<void> {
    await clearHalfMade(this.#stack)
    this.#stack.configuration.forget()
    const of = (role: Role) => [...new Set(former.filter(one => one.role === role).map(({ name }) => name))]
    for (const service of of('web')) await this.#renewService(service, former)
    const others = [...of('sidekiq'), ...of('streaming')].filter(name => !of('web').includes(name))
    if (others.length > 0) await this.#renewAll(others, former)
  }

  /** From a container of its own, which is on the networks of the web service. */
  async watch(page: WatchedPage, onAnswer: (answer: WatchedAnswer) => void): Promise<Watch> {
    const [container] = await this.#stack.containersOf(['web'])
    if (container === undefined) throw noWeb()
    return watchFrom(newContainerPlace(this.#stack, container), container.service, page, onAnswer)
  }

  async #renewService(service: string, former: readonly FormerProcess[]): Promise<void> {
    const count = countOf(former, service)
    const outdated = (await this.#outdated([service])).slice(0, count)
    if (count < 2 || outdated.length === 0) return this.#renewAll([service], former)
    for (const container of outdated) {
      for (const words of [['stop'], ['rm', '-f']])
        await this.#change(this.#stack.project.docker([...words, container.name], { effect: 'write' }))
      await this.#change(this.#upInvocation([service], former, ['--no-recreate']))
      await this.#untilHealthy([service])
    }
    await this.#renewAll([service], former)
  }

  async #renewAll(services: readonly string[], former: readonly FormerProcess[]): Promise<void> {
    const wanted = (await this.#isRenewed(services, former)) ? [] : services
    if (wanted.length > 0) await this.#bringUp(wanted, former, true)
    await this.#untilHealthy(services)
  }

  async #isRenewed(services: readonly string[], former: readonly FormerProcess[]): Promise<boolean> {
    if (this.#stack.parts.runner.dryRun) return false
    const containers = (await this.#stack.containers()).filter(one => services.includes(one.service))
    const complete = services.every(
      name => containers.filter(one => one.service === name).length >= countOf(former, name),
    )
    return complete && (await this.#outdated(services)).length === 0
  }

  /** Returns the containers that do not run, or not on the configured image. */
  async #outdated(services: readonly string[]): Promise<Container[]> {
    const containers = (await this.#stack.containers()).filter(one => services.includes(one.service))
    const outdated: Container[] = []
    for (const container of containers) {
      const service = await this.#stack.configuration.service(container.service)
      const other = service !== undefined && (await this.#isOtherImage(container, service))
      if (other || container.status !== 'running') outdated.push(container)
    }
    return outdated
  }

  /** What the engine still does for an `up` that died with a killed run may be in the way: it is tried once more. */
  async #bringUp(services: readonly string[], counted: readonly Counted[], anew: boolean): Promise<void> {
    const invocation = this.#upInvocation(services, counted, anew ? ['--force-recreate'] : [])
    await this.#change(invocation).catch(async (error: unknown) => {
      this.#stack.parts.output.info(`${messageOf(error)} Trying once more.`)
      await sleep(SETTLING_MS)
      await clearHalfMade(this.#stack)
      await this.#change(invocation)
    })
  }

  async #change(invocation: Invocation): Promise<void> {
    const outcome = await this.#stack.parts.runner.run(invocation)
    this.#changed()
    if (outcome.exitCode === 0) return
    throw new NotUndoneError({
      code: 'containers-not-changed',
      message: `${invocation.byHand} failed.`,
      cause: firstLine({ stderr: lastLines(outcome.stderr), stdout: outcome.stdout }),
      next: `See what runs: ${this.#stack.project.byHand(['ps', '-a'])}`,
    })
  }

  async #untilHealthy(services: readonly string[], counts: (container: Container) => boolean = () => true) {
    if (this.#stack.parts.runner.dryRun) return
    await untilHealthy(this.#stack, container => services.includes(container.service) && counts(container)).catch(
      (error: unknown) => {
        throw error instanceof RefusedError ? notSeen(error) : error
      },
    )
  }

  #upInvocation(services: readonly string[], counted: readonly Counted[], how: readonly string[]): Invocation {
    const flags = ['up', '-d', '--no-deps', '--no-build', '--pull', 'never', ...how]
    const args = [...flags, ...scaleFlags(services, counted), ...services]
    const byHand = this.#stack.project.byHand(['up', '-d', '--no-deps', ...how, ...services])
    return this.#stack.project.compose(args, { effect: 'write', byHand })
  }

  #restartInvocation(services: readonly string[], containers: readonly Container[]): Invocation {
    const byHand = this.#stack.project.byHand(['restart', ...services])
    return this.#stack.project.docker(['restart', ...namesOf(containers)], { effect: 'write', byHand })
  }

  #byHand(verb: string, containers: readonly Container[]): string {
    return this.#stack.project.byHand([verb, ...new Set(containers.map(container => container.service))])
  }

  /**
   * Compose's own hash cannot be asked: `config --hash` leaves env_file out (2.26). So the variables are compared, and
   * anything else counts as changed when a compose file is younger than a container.
   */
  async #isChanged(services: readonly string[], containers: readonly Container[]): Promise<boolean> {
    if (this.#stack.configurationWouldChange) return true
    if (services.some(service => !containers.some(container => container.service === service))) return true
    const edited = this.#stack.project.editedAt()
    if (containers.some(container => container.createdAt < edited)) return true
    for (const container of containers) {
      const stored = await this.#stack.storedEnvironment(container.service)
      if (!isSame(container.env, stored)) return true
    }
    return false
  }

  async #refuseOtherImage(containers: readonly Container[]): Promise<void> {
    for (const container of containers) {
      const service = await this.#stack.configuration.service(container.service)
      if (service && service.image !== '' && (await this.#isOtherImage(container, service)))
        throw otherImage(container, service)
    }
  }

  /** The name tells, and for a tag that was moved (`latest`) the image behind it. */
  async #isOtherImage(container: Container, service: ServiceConfiguration): Promise<boolean> {
    if (service.image !== container.image) return true
    const invocation = this.#stack.project.docker(['image', 'inspect', '--format', '{{.Id}}', service.image], {
      timeoutMs: 30_000,
    })
    const outcome = await this.#stack.parts.runner.run(invocation)
    return outcome.exitCode === 0 && outcome.stdout.trim() !== container.imageId
  }
}

function processOf(container: Container, role: Role): AppProcess {
  const { service, name, health, startedAt, command, healthCommand, image, status } = container
  const state = status === 'running' || status === 'restarting' ? status : 'stopped'
  return {
    role,
    name: service,
    id: name,
    state,
    health,
    startedAt,
    image,
    command: command.join(' '),
    ...(healthCommand === undefined ? {} : { healthCommand }),
    ...(container.outOfMemory ? { outOfMemory: true } : {}),
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value)
}

function isUp(container: Container): boolean {
  return ['running', 'restarting', 'paused'].includes(container.status)
}

function namesOf(containers: readonly Container[]): string[] {
  return containers.map(container => container.name)
}

/** A container or a process, of which there may be several of one service. */
type Counted = Pick<Container, 'service'> | FormerProcess

function countOf(counted: readonly Counted[], service: string): number {
  return counted.filter(one => ('service' in one ? one.service : one.name) === service).length
}

/** As many containers as there are: `up` would go back to the number in the files. */
function scaleFlags(services: readonly string[], counted: readonly Counted[]): string[] {
  const counts = services.map(service => [service, countOf(counted, service)] as const)
  return counts.flatMap(([service, count]) => (count > 1 ? ['--scale', `${service}=${count}`] : []))
}

/** Progress comes first; the reason stands at the end. */
function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-1).join('\n')
}

/** What was begun is no refusal any more. */
function notSeen(error: RefusedError): NotUndoneError {
  return new NotUndoneError({
    code: 'health-not-seen',
    message: 'Whether the containers are healthy could not be seen.',
    cause: error.message,
    next: 'mstdn-ops status',
  })
}

function noWeb(): RefusedError {
  return new RefusedError({
    code: 'no-web',
    message: 'There is no web container that could be watched.',
    next: 'mstdn-ops status',
  })
}

function otherImage(container: Container, service: ServiceConfiguration): RefusedError {
  const same = container.image === service.image
  return new RefusedError({
    code: 'other-image',
    message: `Restarting ${container.service} would change its release.`,
    cause: same
      ? `The tag ${service.image} means another image now than when the container was made.`
      : `It runs ${container.image}; the configuration names ${service.image}.`,
    next: 'Upgrade with its migrations, or name the running image in the configuration again.',
  })
}
