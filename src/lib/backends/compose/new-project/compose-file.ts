import { MEDIA_FOLDER, type Servers } from '../../../mastodon/new-instance/environment.js'
import { type ProcessShape, processShapes } from '../../../mastodon/new-instance/processes.js'
import { MastodonVersion } from '../../../mastodon/version.js'
import type { Answers } from '../../../setup/questions.js'

export const COMPOSE_FILE = 'compose.yaml'
export const ENV_FILE = '.env.production'

/** The database and Redis of a new project, by the names of their services. */
export const SERVERS: Servers = {
  databaseHost: 'db',
  database: 'mastodon_production',
  databaseUser: 'mastodon',
  redisHost: 'redis',
  searchHost: 'es',
}

type Service = Record<string, unknown>

const HEAD = `Mastodon on Docker Compose, written by mstdn-ops setup.
What is asked for here again and again stands in ${ENV_FILE}: settings of the app, and its secrets.
Another release: mstdn-ops upgrade.`

/** Where a service keeps its data: the volume's name, which is also its folder beside the file. */
const DATA = {
  db: { volume: 'postgres', target: '/var/lib/postgresql/data' },
  redis: { volume: 'redis', target: '/data' },
  es: { volume: 'elasticsearch', target: '/usr/share/elasticsearch/data' },
}

/** Returns the text of compose.yaml for these answers. */
export async function composeText(answers: Answers): Promise<string> {
  const { Document } = await import('yaml')
  const document = new Document(composeProject(answers))
  document.commentBefore = HEAD.replace(/^/gm, ' ')
  return document.toString({ lineWidth: 0, aliasDuplicateObjects: false } as never)
}

/** Returns the services of these answers, servers first. */
export function serviceNames(answers: Answers): { servers: string[]; app: string[] } {
  return { servers: ['db', 'redis', ...(hasSearch(answers) ? ['es'] : [])], app: ['web', 'streaming', 'sidekiq'] }
}

function composeProject(answers: Answers): Record<string, unknown> {
  const shapes = processShapes(MastodonVersion.of(answers.release ?? ''))
  const services = {
    db: database(answers),
    redis: redis(answers),
    ...(hasSearch(answers) ? { es: search(answers) } : {}),
    web: { ...app(answers, shapes.web), ...published(answers, answers['web-port'], 3000) },
    streaming: { ...app(answers, shapes.streaming), ...published(answers, answers['streaming-port'], 4000) },
    sidekiq: app(answers, shapes.sidekiq),
  }
  return { services, networks: { external_network: {}, internal_network: { internal: true } }, ...volumes(answers) }
}

/** Nobody but the project's own containers is on the internal network, which leads nowhere else. */
function database(answers: Answers): Service {
  const { databaseUser, database: name } = SERVERS
  return {
    image: answers['postgres-image'],
    restart: 'always',
    shm_size: '256mb',
    networks: ['internal_network'],
    volumes: [volume(answers, DATA.db)],
    environment: { POSTGRES_USER: databaseUser, POSTGRES_DB: name, POSTGRES_HOST_AUTH_METHOD: 'trust' },
    // While the first start makes the cluster, the socket answers already and TCP does not.
    // No shell: it could leave an orphan to PostgreSQL, which is process 1 there and takes its end for a crash.
    healthcheck: check(['CMD', 'pg_isready', '-q', '-h', '127.0.0.1', '-U', databaseUser, '-d', name]),
  }
}

function redis(answers: Answers): Service {
  return {
    image: answers['redis-image'],
    restart: 'always',
    networks: ['internal_network'],
    volumes: [volume(answers, DATA.redis)],
    healthcheck: check('redis-cli ping | grep -q PONG'),
  }
}

function search(answers: Answers): Service {
  return {
    image: answers['elasticsearch-image'],
    restart: 'always',
    networks: ['internal_network'],
    volumes: [volume(answers, DATA.es)],
    environment: {
      'discovery.type': 'single-node',
      'cluster.name': 'mastodon',
      'xpack.security.enabled': 'false',
      'ingest.geoip.downloader.enabled': 'false',
      'bootstrap.memory_lock': 'true',
      ES_JAVA_OPTS: '-Xms512m -Xmx512m',
    },
    ulimits: { memlock: { soft: -1, hard: -1 }, nofile: { soft: 65_536, hard: 65_536 } },
    healthcheck: check('curl -sf -o /dev/null localhost:9200/_cluster/health'),
  }
}

function app(answers: Answers, shape: ProcessShape): Service {
  return {
    image: `${answers.images}/${shape.image}:v${MastodonVersion.of(answers.release ?? '')}`,
    restart: 'always',
    command: shape.command,
    env_file: ENV_FILE,
    networks: ['external_network', 'internal_network'],
    depends_on: serviceNames(answers).servers,
    ...media(answers, shape),
    healthcheck: check(shape.healthCommand),
  }
}

/** Streaming has no use for uploaded files. */
function media(answers: Answers, shape: ProcessShape): Service {
  if (answers.media !== 'local' || /streaming/.test(shape.command)) return {}
  return { volumes: [mediaVolume(answers)] }
}

function mediaVolume(answers: Answers): string {
  const source = answers.volumes === 'named' ? 'media' : './public/system'
  return `${source}:${mediaFolder(answers)}`
}

/** Returns the folder of uploaded files inside of the containers; undefined where they are kept in a bucket. */
export function mediaFolder(answers: Answers): string | undefined {
  return answers.media === 'local' ? answers['media-path'] || MEDIA_FOLDER : undefined
}

function published(answers: Answers, port: string | undefined, target: number): Service {
  return { ports: [`${answers.listen}:${port}:${target}`] }
}

function volume(answers: Answers, data: { volume: string; target: string }): string {
  return `${answers.volumes === 'named' ? '' : './'}${data.volume}:${data.target}`
}

function volumes(answers: Answers): Record<string, unknown> {
  if (answers.volumes !== 'named') return {}
  const names = [DATA.db.volume, DATA.redis.volume]
  if (hasSearch(answers)) names.push(DATA.es.volume)
  if (answers.media === 'local') names.push('media')
  return { volumes: Object.fromEntries(names.map(name => [name, {}])) }
}

function check(command: string | readonly string[]): Service {
  const test = typeof command === 'string' ? ['CMD-SHELL', command] : command
  return { test, interval: '10s', timeout: '20s', retries: 12, start_period: '60s' }
}

function hasSearch(answers: Answers): boolean {
  return answers.elasticsearch === 'yes'
}
