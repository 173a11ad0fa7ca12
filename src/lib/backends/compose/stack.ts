import { RefusedError } from '../../errors.js'
import { isSecretName } from '../../mastodon/secrets.js'
import type { Role } from '../backend.js'
import { texts, toRecord } from '../json.js'
import { passwordsIn } from '../urls.js'
import { readOrRefuse } from './client.js'
import { Configuration } from './configuration.js'
import { type Container, containersFrom, environmentFrom } from './containers.js'
import type { ComposeOptions, ComposeParts } from './options.js'
import type { ComposeProject } from './project.js'
import { type RoleServices, rolesOf, type ServiceShape } from './roles.js'
import { SharedLook } from './shared-look.js'

const LIST_LIMIT_MS = 30_000

/** The project with its containers and roles as they are now: what all facets stand on. */
export class Stack {
  readonly project: ComposeProject
  readonly configuration: Configuration
  readonly parts: ComposeParts
  readonly #configured: ComposeOptions['roles']
  readonly #containers: SharedLook<Container[]>
  /** Set in a dry run by a change of the configuration that was only recorded: what follows plans as if it stood. */
  configurationWouldChange = false

  constructor(project: ComposeProject, parts: ComposeParts, roles: ComposeOptions['roles']) {
    this.project = project
    this.parts = parts
    this.#configured = roles
    this.configuration = new Configuration(project, parts.runner)
    const ofProject = [`com.docker.compose.project=${project.name}`, 'com.docker.compose.oneoff=False']
    this.#containers = new SharedLook(parts.runner, () => this.withLabels(ofProject))
  }

  /** Returns the project's containers, running or not, without one-off containers. */
  containers(): Promise<Container[]> {
    return this.#containers.get()
  }

  /** Returns the containers that carry all of these labels. Their secrets are known to the redactor from then on. */
  async withLabels(labels: readonly string[]): Promise<Container[]> {
    const filters = labels.flatMap(label => ['--filter', `label=${label}`])
    const list = this.project.docker(['ps', '-aq', '--no-trunc', ...filters], { timeoutMs: LIST_LIMIT_MS })
    const ids = (await readOrRefuse(this.parts.runner, list, 'Listing the containers')).stdout
      .split('\n')
      .filter(Boolean)
    if (ids.length === 0) return []
    // A container may vanish between the two calls: the others are printed all the same.
    const inspect = this.project.docker(['inspect', '--type', 'container', ...ids], { timeoutMs: LIST_LIMIT_MS })
    const containers = containersFrom((await this.parts.runner.run(inspect)).stdout)
    for (const container of containers) this.learnSecrets(container.env)
    return containers
  }

  /** Returns the services of each role: from the containers, from the configuration for roles that have none. */
  async roles(containers?: readonly Container[]): Promise<RoleServices> {
    const shapes = (containers ?? (await this.containers())).map(shapeOf)
    const running = rolesOf(shapes, this.#configured)
    if (running.web.length > 0 || !this.project.identity.here) return running
    const configured = rolesOf([...shapes, ...(await this.configuration.services())], this.#configured)
    return configured
  }

  async containersOf(roles: readonly Role[]): Promise<Container[]> {
    const containers = await this.containers()
    const services = await this.servicesOf(roles, containers)
    return containers.filter(container => services.includes(container.service))
  }

  async servicesOf(roles: readonly Role[], containers?: readonly Container[]): Promise<string[]> {
    const found = await this.roles(containers)
    return [...new Set(roles.flatMap(role => found[role]))]
  }

  /**
   * Returns the service whose containers hold the app's commands: web, or Sidekiq where web is absent.
   *
   * @throws RefusedError when the project has neither.
   */
  async appService(known?: readonly Container[]): Promise<string> {
    const service = (await this.servicesOf(['web', 'sidekiq'], known))[0]
    if (service === undefined) throw noApp(this.project.name)
    return service
  }

  /** Returns a running container of the app that is not unhealthy, web before Sidekiq; undefined when there is none. */
  async appContainer(containers: readonly Container[]): Promise<Container | undefined> {
    const services = await this.servicesOf(['web', 'sidekiq'], containers)
    const running = containers.filter(container => container.status === 'running' && container.health !== 'unhealthy')
    return services.flatMap(service => running.filter(container => container.service === service))[0]
  }

  /** Returns what a new container of the service would get: the image's own variables, over them the configuration's. */
  async storedEnvironment(name: string): Promise<ReadonlyMap<string, string>> {
    const service = await this.configuration.service(name)
    if (service === undefined) throw serviceGone(name)
    this.learnSecrets(service.environment)
    return new Map([...(await this.#imageEnvironment(service.image)), ...service.environment])
  }

  async #imageEnvironment(image: string): Promise<Map<string, string>> {
    const words = ['image', 'inspect', '--format', '{{json .Config}}', image]
    const outcome = await this.parts.runner.run(this.project.docker(words, { timeoutMs: LIST_LIMIT_MS }))
    if (outcome.exitCode !== 0) return new Map()
    return environmentFrom(texts(toRecord(JSON.parse(outcome.stdout)).Env))
  }

  /** Makes the values of secret-looking variables known to the redactor, and the passwords inside of URLs. */
  learnSecrets(env: ReadonlyMap<string, string>): void {
    const redactor = this.parts.output.redactor
    for (const [name, value] of env) {
      if (isSecretName(name)) redactor.add(name, value)
      for (const password of passwordsIn(value)) redactor.add(`password in ${name}`, password)
    }
  }
}

function shapeOf(container: Container): ServiceShape {
  return { name: container.service, image: container.image, command: container.command }
}

function noApp(project: string): RefusedError {
  return new RefusedError({
    code: 'no-app-service',
    message: `The compose project ${project} has no Mastodon web service.`,
    cause: 'No service runs a Mastodon image, or puma, rails or sidekiq.',
    next: 'Name the services under roles in mstdn-ops.yaml, like web: [app].',
  })
}

function serviceGone(service: string): RefusedError {
  return new RefusedError({
    code: 'service-gone',
    message: `The service ${service} is not in the compose configuration.`,
    cause: 'Its containers exist, but the files no longer name it, or only in a profile that is not on.',
    next: 'Check the files: docker compose config --services',
  })
}
