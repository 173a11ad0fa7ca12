import { isRecord, readText, records, texts, toRecord } from '../json.js'

/** A mount of a container as the engine tells it. */
export interface Mount {
  type: string
  name: string | undefined
  source: string | undefined
  destination: string
}

/** A container of the project, from `docker inspect`. Its environment holds secrets and stays in memory. */
export interface Container {
  id: string
  name: string
  service: string
  /** The user that commands run as; empty means root. */
  user: string
  image: string
  imageId: string
  status: string
  health: 'healthy' | 'unhealthy' | 'starting' | 'none'
  createdAt: Date
  startedAt: Date | undefined
  /** How often the engine started it again by itself. */
  restartCount: number
  exitCode: number
  /** Whether it ended because the memory ran out; the engine forgets it at the next start. */
  outOfMemory: boolean
  env: ReadonlyMap<string, string>
  entrypoint: readonly string[]
  /** Entry point and command: what the process is for. */
  command: readonly string[]
  healthCommand: string | undefined
  /** The folder that commands start in, and that relative paths of Mastodon's configuration mean. */
  workdir: string
  labels: Readonly<Record<string, string>>
  mounts: readonly Mount[]
  /** The names of the networks that it is started with. */
  networks: readonly string[]
  /** The names and addresses under which the other containers reach it. */
  addresses: readonly string[]
}

const NEVER = '0001-01-01T00:00:00Z'

/** Returns the containers of `docker inspect`'s output, ordered by name. */
export function containersFrom(inspected: string): Container[] {
  const list: unknown = inspected.trim() === '' ? [] : JSON.parse(inspected)
  return records(list)
    .map(containerFrom)
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
}

function containerFrom(raw: Record<string, unknown>): Container {
  const config = toRecord(raw.Config)
  const state = toRecord(raw.State)
  const labels = stringRecord(config.Labels)
  const name = readText(raw.Name).replace(/^\//, '')
  return {
    id: readText(raw.Id),
    name,
    service: labels['com.docker.compose.service'] ?? name,
    user: readText(config.User),
    image: readText(config.Image),
    imageId: readText(raw.Image),
    createdAt: new Date(readText(raw.Created)),
    restartCount: Number(raw.RestartCount ?? 0),
    ...stateFrom(state),
    env: environmentFrom(texts(config.Env)),
    entrypoint: texts(config.Entrypoint),
    command: [...texts(config.Entrypoint), ...texts(config.Cmd)],
    healthCommand: healthCommandFrom(toRecord(config.Healthcheck)),
    workdir: readText(config.WorkingDir) || '/',
    labels,
    mounts: records(raw.Mounts).map(mountFrom),
    networks: Object.keys(networksOf(raw)),
    addresses: addressesFrom(raw, name),
  }
}

type State = Pick<Container, 'status' | 'health' | 'startedAt' | 'exitCode' | 'outOfMemory'>

function stateFrom(state: Record<string, unknown>): State {
  const started = readText(state.StartedAt)
  return {
    status: readText(state.Status),
    health: healthFrom(state.Health),
    startedAt: started === '' || started === NEVER ? undefined : new Date(started),
    exitCode: Number(state.ExitCode ?? 0),
    outOfMemory: state.OOMKilled === true,
  }
}

function healthFrom(health: unknown): Container['health'] {
  const status = isRecord(health) ? health.Status : undefined
  return status === 'healthy' || status === 'unhealthy' || status === 'starting' ? status : 'none'
}

/** Returns variables from `NAME=value` words. */
export function environmentFrom(words: readonly string[]): Map<string, string> {
  return new Map(words.map(word => [word.split('=', 1)[0] ?? word, word.slice(word.indexOf('=') + 1)]))
}

/** `["CMD", …]`, `["CMD-SHELL", line]`, or `["NONE"]`. */
function healthCommandFrom(check: Record<string, unknown>): string | undefined {
  const [kind, ...words] = texts(check.Test)
  return kind === undefined || kind === 'NONE' || words.length === 0 ? undefined : words.join(' ')
}

function mountFrom(mount: Record<string, unknown>): Mount {
  return {
    type: readText(mount.Type),
    name: readText(mount.Name) || undefined,
    source: readText(mount.Source) || undefined,
    destination: readText(mount.Destination),
  }
}

function networksOf(raw: Record<string, unknown>): Record<string, unknown> {
  return toRecord(toRecord(raw.NetworkSettings).Networks)
}

function addressesFrom(raw: Record<string, unknown>, name: string): string[] {
  const networks = Object.values(networksOf(raw)).map(toRecord)
  const found = networks.flatMap(network => [
    ...texts(network.Aliases),
    ...texts(network.DNSNames),
    readText(network.IPAddress),
    readText(network.GlobalIPv6Address),
  ])
  return [...new Set([name, ...found])].filter(address => address !== '')
}

function stringRecord(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(toRecord(value)).map(([key, text]) => [key, readText(text)]))
}
