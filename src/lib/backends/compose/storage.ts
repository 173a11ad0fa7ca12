import { posix } from 'node:path'
import { mediaBucket } from '../../mastodon/media.js'
import type { DiskSpace, Excuse, ScriptPlace, Storage, Volume } from '../backend.js'
import { believed, marked } from '../marked.js'
import { randomNonce } from '../nonce.js'
import type { Container, Mount } from './containers.js'
import { containerPlace, newContainerPlace } from './place.js'
import { postgresServerOf } from './postgres.js'
import { containerAt } from './reach.js'
import { redisServerOf } from './redis.js'
import type { Stack } from './stack.js'

/** A folder of data inside of a container. */
interface DataFolder {
  place: Volume['place']
  container: Container
  path: string
}

/** Where the data lie, as the containers see it: paths of the engine's host are never touched. */
export class ComposeStorage implements Storage {
  readonly #stack: Stack

  constructor(stack: Stack) {
    this.#stack = stack
  }

  async volumes(): Promise<Volume[]> {
    return (await this.#folders()).map(volumeOf)
  }

  /** Returns the free space of the database and the media; a container that is not running is left out. */
  async disk(): Promise<DiskSpace[]> {
    const spaces: DiskSpace[] = []
    for (const { place, container, path } of await this.#folders()) {
      if (place === 'redis' || container.status !== 'running') continue
      const space = await spaceIn(this.#stack, container.name, path)
      if (space) spaces.push({ place, path, ...space })
    }
    return spaces
  }

  /** In a running container of the app; in a new one where none runs, for a volume outlives its containers. */
  async media(): Promise<{ place: ScriptPlace; path: string } | Excuse> {
    const apps = await this.#apps(await this.#stack.containers())
    const app = apps.find(container => container.status === 'running') ?? apps[0]
    if (app === undefined) return NO_APP
    if (!keepsMedia(app.env)) return IN_BUCKET
    const path = mediaPath(app)
    if (app.status === 'running') return { place: containerPlace(this.#stack, app), path }
    const { kind } = volumeOf({ place: 'media', container: app, path })
    if (kind === 'none' || kind === 'anonymous') return startFirst(app, 'the media are on no volume of their own')
    return { place: newContainerPlace(this.#stack, app), path }
  }

  async redis(): Promise<ScriptPlace | Excuse> {
    const containers = await this.#stack.containers()
    const app = (await this.#apps(containers))[0]
    if (app === undefined) return NO_APP
    const server = containerAt(containers, redisServerOf(app.env).address)
    return server ? containerPlace(this.#stack, server) : REDIS_ELSEWHERE
  }

  /** The containers of the app, running or not, web before Sidekiq. */
  async #apps(containers: readonly Container[]): Promise<Container[]> {
    const services = await this.#stack.servicesOf(['web', 'sidekiq'], containers)
    return services.flatMap(service => containers.filter(container => container.service === service))
  }

  async #folders(): Promise<DataFolder[]> {
    const containers = await this.#stack.containers()
    const app = (await this.#apps(containers))[0]
    if (app === undefined) return []
    const database = containerAt(containers, postgresServerOf(app.env).address)
    const redis = containerAt(containers, redisServerOf(app.env).address)
    return [
      ...(database ? [{ place: 'database' as const, container: database, path: databasePath(database) }] : []),
      ...(redis
        ? [{ place: 'redis' as const, container: redis, path: redis.workdir === '/' ? '/data' : redis.workdir }]
        : []),
      ...(keepsMedia(app.env) ? [{ place: 'media' as const, container: app, path: mediaPath(app) }] : []),
    ]
  }
}

/** Returns the free space of a folder in a running container; undefined where `df` tells nothing. */
export async function spaceIn(
  { parts, project }: Stack,
  container: string,
  path: string,
): Promise<{ totalBytes: number; freeBytes: number } | undefined> {
  const nonce = `mstdn-ops-${(parts.nonce ?? randomNonce)()}`
  const invocation = project.docker(['exec', container, ...marked(['df', '-Pk', path], nonce)], { timeoutMs: 20_000 })
  const outcome = believed(await parts.runner.run(invocation), nonce, `df in ${container}`, 'read')
  return outcome.exitCode === 0 ? spaceFrom(outcome.stdout) : undefined
}

const START = 'Start the containers: docker compose up -d'
const NO_APP: Excuse = { cause: 'The project has no container of the app.', next: START }
const IN_BUCKET: Excuse = {
  cause: 'They are in an object store (S3_ENABLED, SWIFT_ENABLED or AZURE_ENABLED).',
  next: 'Let the store keep versions of its objects, or copy the bucket with the store’s own tools.',
}
const REDIS_ELSEWHERE: Excuse = {
  cause: 'Redis runs in no container of the project, so its files are out of reach.',
  next: 'Back it up where it runs, or leave it out: its feeds are made anew after a restore.',
}

function startFirst({ service }: Container, why: string): Excuse {
  return { cause: `No container of ${service} runs, and ${why}.`, next: START }
}

/** Media in an object store are nobody's volume. */
function keepsMedia(env: ReadonlyMap<string, string>): boolean {
  return mediaBucket(env) === undefined
}

function databasePath(container: Container): string {
  return container.env.get('PGDATA') ?? '/var/lib/postgresql/data'
}

/** PAPERCLIP_ROOT_PATH, else public/system under the app's root; `/mastodon` is a link to it from 2.8 on. */
function mediaPath(container: Container): string {
  const root = container.workdir === '/' ? '/mastodon' : container.workdir
  const set = container.env.get('PAPERCLIP_ROOT_PATH')?.replace(/^:rails_root(?=\/)/, root)
  if (set?.startsWith('/')) return set
  const paths = [...new Set([root, '/mastodon', '/opt/mastodon'])].map(folder => `${folder}/public/system`)
  return paths.find(path => mountAt(container, path)) ?? paths[0] ?? '/mastodon/public/system'
}

function volumeOf({ place, container, path }: DataFolder): Volume {
  const mount = mountAt(container, path)
  const name = mount?.name ?? mount?.source ?? container.name
  return { place, name, path, kind: kindOf(mount), ...(mount?.source === undefined ? {} : { source: mount.source }) }
}

/** The mount that holds the path: at the path itself or at a folder above it. */
function mountAt(container: Container, path: string): Mount | undefined {
  const holding = container.mounts.filter(mount => !posix.relative(mount.destination, path).startsWith('..'))
  return holding.sort((a, b) => b.destination.length - a.destination.length)[0]
}

/** The engine names an anonymous volume by 64 hexadecimal digits. */
function kindOf(mount: Mount | undefined): Volume['kind'] {
  if (mount === undefined || mount.type === 'tmpfs') return 'none'
  if (mount.type === 'bind') return 'bind'
  return /^[0-9a-f]{64}$/.test(mount.name ?? '') ? 'anonymous' : 'named'
}

/** The second line of `df -Pk`: device, blocks of 1024 bytes, used, available, capacity, mount point. */
export function spaceFrom(text: string): { totalBytes: number; freeBytes: number } | undefined {
  const fields = (text.trim().split('\n')[1] ?? '').trim().split(/\s+/)
  const [total, free] = [Number(fields.at(-5)), Number(fields.at(-3))]
  return Number.isFinite(total) && Number.isFinite(free)
    ? { totalBytes: total * 1024, freeBytes: free * 1024 }
    : undefined
}
