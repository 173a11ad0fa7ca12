import { posix } from 'node:path'
import type { DiskSpace, Storage, Volume } from '../backend.js'
import { believed, marked } from '../marked.js'
import { randomNonce } from '../nonce.js'
import type { Container, Mount } from './containers.js'
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
      const space = await this.#space(container, path)
      if (space) spaces.push({ place, path, ...space })
    }
    return spaces
  }

  async #folders(): Promise<DataFolder[]> {
    const containers = await this.#stack.containers()
    const services = await this.#stack.servicesOf(['web', 'sidekiq'], containers)
    const app = services.flatMap(service => containers.filter(container => container.service === service))[0]
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

  async #space(container: Container, path: string): Promise<{ totalBytes: number; freeBytes: number } | undefined> {
    const nonce = `mstdn-ops-${(this.#stack.parts.nonce ?? randomNonce)()}`
    const invocation = this.#stack.project.docker(['exec', container.name, ...marked(['df', '-Pk', path], nonce)], {
      timeoutMs: 20_000,
    })
    const outcome = believed(await this.#stack.parts.runner.run(invocation), nonce, `df in ${container.name}`, 'read')
    return outcome.exitCode === 0 ? spaceFrom(outcome.stdout) : undefined
  }
}

/** Media in an object store (S3, Swift, Azure) are nobody's volume. */
function keepsMedia(env: ReadonlyMap<string, string>): boolean {
  return !['S3_ENABLED', 'SWIFT_ENABLED', 'AZURE_ENABLED'].some(name => env.get(name) === 'true')
}

function databasePath(container: Container): string {
  return container.env.get('PGDATA') ?? '/var/lib/postgresql/data'
}

/** PAPERCLIP_ROOT_PATH, else public/system under the app's root; `/mastodon` is a link to it from 2.8 on. */
function mediaPath(container: Container): string {
  const set = container.env.get('PAPERCLIP_ROOT_PATH')
  if (set?.startsWith('/')) return set
  const root = container.workdir === '/' ? '/mastodon' : container.workdir
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
