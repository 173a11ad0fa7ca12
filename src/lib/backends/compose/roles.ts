import { ROLES, type Role } from '../backend.js'

/** What is known of a service: from a container, or from the configuration. */
export interface ServiceShape {
  name: string
  image: string
  command: readonly string[]
}

export type RoleServices = Readonly<Record<Role, readonly string[]>>

const APP_IMAGES = ['mastodon', 'mastodon-streaming']

/** Returns the last path component of an image reference, without tag and digest. */
export function imageName(reference: string): string {
  const path = reference.split('@', 1)[0] ?? ''
  return (path.split('/').at(-1) ?? '').split(':', 1)[0] ?? ''
}

/** Returns the tag of an image reference, its digest, or `latest`. */
export function imageTag(reference: string): string {
  const [path = '', digest] = reference.split('@', 2)
  const last = path.split('/').at(-1) ?? ''
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : undefined
  return tag ?? digest ?? 'latest'
}

/** Whether the image is Mastodon's by its name: `…/mastodon` or `…/mastodon-streaming`. */
export function isMastodonImage(reference: string): boolean {
  return APP_IMAGES.includes(imageName(reference))
}

/**
 * Returns the services of each role: as configured, else by what their processes run.
 *
 * In a project with a Mastodon image only services on such an image count, for another application may bring its own
 * Sidekiq; where every image was built under a name of the operator's own, the command alone decides.
 */
export function rolesOf(
  shapes: readonly ServiceShape[],
  configured: Partial<Record<Role, string[]>> = {},
): RoleServices {
  const named = shapes.filter(shape => isMastodonImage(shape.image))
  const candidates = named.length > 0 ? named : shapes
  const found = (role: Role) => [
    ...new Set(candidates.filter(shape => roleOf(shape) === role).map(shape => shape.name)),
  ]
  const services = (role: Role) => configured[role] ?? found(role)
  return { web: services('web'), sidekiq: services('sidekiq'), streaming: services('streaming') }
}

/**
 * Returns what the service is for, or undefined for anything else (a database, a one-shot migration).
 *
 * Commands by era: `rails s` ≤ 2.x, puma from 4.3; `npm run start`, `yarn start`, `node ./streaming`; `sidekiq`
 * always (docker-compose.yml 1.3 to 4.7).
 */
export function roleOf(shape: ServiceShape): Role | undefined {
  const line = shape.command.join(' ')
  if (imageName(shape.image) === 'mastodon-streaming') return 'streaming'
  if (/\bsidekiq\b/.test(line)) return 'sidekiq'
  if (/\bstreaming\b|\b(npm|yarn)\b.*\bstart\b/.test(line)) return 'streaming'
  if (/\bpuma\b|\brails\s+s(erver)?\b/.test(line)) return 'web'
  return line === '' && isMastodonImage(shape.image) ? roleOfName(shape.name) : undefined
}

/** Without a command in the configuration the image's own is used; the name tells what is meant. */
function roleOfName(name: string): Role | undefined {
  return ROLES.find(role => name.includes(role))
}
