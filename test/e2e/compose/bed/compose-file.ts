import { imageNames, since, type Variant } from './images.js'

export interface Shape {
  /** Mastodon's release, like `4.5.3`: one that the bed has images of. */
  readonly version: string
  /** `lean`: no process tools, nc, socat, Ruby, Perl or zstd in db and redis, and no bash in redis. */
  readonly variant?: Variant
  /** `scaled`: two containers of one service. `split`: sidekiq-fast and sidekiq-rest with their own queues. */
  readonly sidekiq?: 'one' | 'scaled' | 'split'
  /** False leaves the streaming service out. */
  readonly streaming?: boolean
  /** Puts streaming into this compose profile, which `.env` switches on. */
  readonly streamingProfile?: string
  /**
   * Where the database lies. `bind` is ./postgres14, or ./postgres before 3.5. Unless said otherwise as the era's own
   * file has it: anonymous before 2.6, a bind mount since.
   */
  readonly databaseVolume?: 'bind' | 'named' | 'anonymous'
  /** No db service: DB_HOST names a container outside of the project, on a network that both share. */
  readonly externalPostgres?: boolean
  /** Writes docker-compose.override.yml, which gives web one more variable: STANDIN_OVERRIDE=1. */
  readonly overrideFile?: boolean
  /** Images as `…:v${MASTODON_VERSION}`, with the variable in `.env`. */
  readonly imageFromEnv?: boolean
  /**
   * Seconds between health checks (3). Each check starts a process in the container, so a machine full of stacks with
   * short intervals does little else; and `up --wait` takes at least one interval.
   */
  readonly healthSeconds?: number
  /** `name:` at the top of the compose file. */
  readonly nameInFile?: string
}

/** Facts about the outside that the file needs. */
export interface Surroundings {
  /** Label of everything that the bed starts: `mstdn-ops.bed=<id>`. */
  readonly id: string
  /** Process whose end makes all of it an orphan. */
  readonly owner?: number
  /** Network of the database that is not the project's. */
  readonly sharedNetwork: string
}

type Service = Record<string, unknown>

export const bedLabel = 'mstdn-ops.bed'
export const ownerLabel = 'mstdn-ops.bed.owner'

/** The labels of everything that belongs to one stack. */
export function bedLabels({ id, owner }: Surroundings): Record<string, string> {
  return { [bedLabel]: id, ...(owner ? { [ownerLabel]: String(owner) } : {}) }
}

/** A compose file with the services, networks and health checks that a Mastodon of this release has. Nothing is published. */
export function composeFile(shape: Shape, around: Surroundings): Record<string, unknown> {
  return {
    ...(shape.nameInFile ? { name: shape.nameInFile } : {}),
    services: labelled(services(shape), bedLabels(around)),
    networks: networks(shape, around),
    ...volumes(shape, bedLabels(around)),
  }
}

/** The override file of `overrideFile`. */
export function overrideFile(): Record<string, unknown> {
  return { services: { web: { environment: { STANDIN_OVERRIDE: '1' } } } }
}

function labelled(all: Record<string, Service>, labels: Record<string, string>): Record<string, Service> {
  return Object.fromEntries(Object.entries(all).map(([name, service]) => [name, { ...service, labels }]))
}

function services(shape: Shape): Record<string, Service> {
  return {
    ...(shape.externalPostgres ? {} : { db: database(shape) }),
    redis: redis(shape),
    web: web(shape),
    ...(shape.streaming === false ? {} : { streaming: streaming(shape) }),
    ...sidekiqs(shape),
  }
}

function check(shape: Shape, command: string): Service {
  return { test: ['CMD-SHELL', command], interval: `${shape.healthSeconds ?? 3}s`, timeout: '20s', retries: 20 }
}

function database(shape: Shape): Service {
  const target = '/var/lib/postgresql/data'
  const source = databaseSource(shape)
  return {
    restart: 'always',
    image: imageNames.postgres(shape.variant ?? 'full'),
    shm_size: '256mb',
    networks: ['internal_network'],
    // The socket answers before the first start is over, TCP does not.
    // A shell in front of it, ended when the check takes too long, would leave it to the server: with its code 2 a crash.
    healthcheck: check(shape, 'exec pg_isready -q -h 127.0.0.1 -U postgres'),
    ...(source ? { volumes: [`${source}:${target}`] } : {}),
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust', POSTGRES_FAST: '1' },
  }
}

function databaseSource({ version, databaseVolume }: Shape): string | undefined {
  const usual = since(version, '2.6.0') ? 'bind' : 'anonymous'
  const folder = since(version, '3.5.0') ? './postgres14' : './postgres'
  return { bind: folder, named: 'database', anonymous: undefined }[databaseVolume ?? usual]
}

function redis(shape: Shape): Service {
  return {
    restart: 'always',
    image: imageNames.redis(shape.variant ?? 'full'),
    networks: ['internal_network'],
    healthcheck: check(shape, 'redis-cli ping'),
    ...(since(shape.version, '2.6.0') ? { volumes: ['./redis:/data'] } : {}),
  }
}

/** The folders of the project that the app containers share. Compiled assets came with the image from 2.5.0 on. */
export function sharedFolders(version: string): string[] {
  const assets = since(version, '2.5.0') ? [] : ['public/assets', 'public/packs']
  return ['public/system', ...assets]
}

function image(shape: Shape, kind: 'app' | 'streaming'): string {
  const name = imageNames[kind](shape.version)
  return shape.imageFromEnv ? name.replace(`v${shape.version}`, 'v$' + '{MASTODON_VERSION}') : name
}

function app(shape: Shape): Service {
  const outside = shape.externalPostgres ? ['shared_network'] : []
  return {
    restart: 'always',
    image: image(shape, 'app'),
    env_file: '.env.production',
    networks: ['external_network', 'internal_network', ...outside],
    depends_on: shape.externalPostgres ? ['redis'] : ['db', 'redis'],
    volumes: sharedFolders(shape.version).map(folder => `./${folder}:/mastodon/${folder}`),
  }
}

function web(shape: Shape): Service {
  const command = since(shape.version, '4.3.0')
    ? 'bundle exec puma -C config/puma.rb'
    : 'bundle exec rails s -p 3000 -b 0.0.0.0'
  return { ...app(shape), command, healthcheck: check(shape, webCheck(shape.version)) }
}

/** /health exists from 3.0.0 on; before that the instance page, which wants to be asked over https. */
function webCheck(version: string): string {
  if (since(version, '4.3.0')) return 'curl -s --noproxy localhost localhost:3000/health | grep -q OK'
  if (since(version, '3.0.0')) return 'curl -sf --noproxy localhost -o /dev/null localhost:3000/health'
  return 'curl -sf --noproxy localhost -o /dev/null -H "X-Forwarded-Proto: https" localhost:3000/api/v1/instance'
}

function streaming(shape: Shape): Service {
  const { version } = shape
  const command = since(version, '4.3.0')
    ? 'node ./streaming/index.js'
    : since(version, '2.9.3')
      ? 'node ./streaming'
      : since(version, '2.3.0')
        ? 'yarn start'
        : 'npm run start'
  const health = since(version, '2.5.0') ? '/api/v1/streaming/health' : '/'
  const strict = since(version, '2.5.0') ? '-f' : ''
  return {
    ...app(shape),
    image: image(shape, 'streaming'),
    command,
    healthcheck: check(shape, `curl -s ${strict} --noproxy localhost -o /dev/null localhost:4000${health}`),
    ...(shape.streamingProfile ? { profiles: [shape.streamingProfile] } : {}),
  }
}

function sidekiqs(shape: Shape): Record<string, Service> {
  if (shape.sidekiq === 'split') {
    return {
      'sidekiq-fast': sidekiq(shape, ' -q default -q mailers'),
      'sidekiq-rest': sidekiq(shape, restQueues(shape.version)),
    }
  }
  const queues = since(shape.version, '2.4.0') ? '' : ' -q default -q mailers -q pull -q push'
  return { sidekiq: { ...sidekiq(shape, queues), ...(shape.sidekiq === 'scaled' ? { deploy: { replicas: 2 } } : {}) } }
}

function restQueues(version: string): string {
  const names = ['push', 'pull']
  if (since(version, '3.3.0')) names.push('scheduler')
  if (since(version, '4.0.0')) names.push('ingress')
  if (since(version, '4.4.0')) names.push('fasp')
  return names.map(name => ` -q ${name}`).join('')
}

function sidekiq(shape: Shape, queues: string): Service {
  const major = since(shape.version, '4.5.0')
    ? '[78]'
    : since(shape.version, '4.4.0')
      ? '7'
      : since(shape.version, '3.5.0')
        ? '6'
        : '5'
  return {
    ...app(shape),
    command: `bundle exec sidekiq${queues}`,
    healthcheck: check(shape, `ps aux | grep '[s]idekiq\\ ${major}' || false`),
  }
}

function networks(shape: Shape, around: Surroundings): Record<string, unknown> {
  const labels = bedLabels(around)
  return {
    external_network: { labels },
    internal_network: { internal: true, labels },
    ...(shape.externalPostgres ? { shared_network: { external: true, name: around.sharedNetwork } } : {}),
  }
}

function volumes(shape: Shape, labels: Record<string, string>): Record<string, unknown> {
  return shape.databaseVolume === 'named' ? { volumes: { database: { labels } } } : {}
}
