import type { Answers } from '../../setup/questions.js'

/** Where the servers are, by their names in the app's network. */
export interface Servers {
  databaseHost: string
  database: string
  databaseUser: string
  redisHost: string
  searchHost: string
}

/** Some variables of the app that belong together. */
export interface VariableGroup {
  title: string
  variables: readonly (readonly [name: string, value: string])[]
}

/** Where uploaded files are kept inside of the app's containers, unless said otherwise. */
export const MEDIA_FOLDER = '/mastodon/public/system'

/** Returns the app's variables for these answers, secrets of the app's own left out. Variables without a value are none. */
export function variablesFor(answers: Answers, servers: Servers): VariableGroup[] {
  const groups = [
    { title: 'The names of the instance. LOCAL_DOMAIN can never be changed.', variables: identity(answers) },
    { title: 'The database', variables: database(servers) },
    { title: 'Redis', variables: redis(servers) },
    { title: 'Search', variables: search(answers, servers) },
    { title: 'Mail', variables: mail(answers) },
    { title: 'Uploaded files', variables: media(answers) },
  ]
  const filled = groups.map(({ title, variables }) => ({
    title,
    variables: variables.filter(([, value]) => value !== ''),
  }))
  return filled.filter(({ variables }) => variables.length > 0)
}

type Pairs = (readonly [string, string])[]

function identity(answers: Answers): Pairs {
  return [
    ['RAILS_ENV', 'production'],
    ['NODE_ENV', 'production'],
    ['LOCAL_DOMAIN', of(answers, 'domain')],
    ['WEB_DOMAIN', of(answers, 'web-domain')],
    ['SINGLE_USER_MODE', answers['single-user'] === 'yes' ? 'true' : 'false'],
    ['TRUSTED_PROXY_IP', of(answers, 'trusted-proxy')],
  ]
}

function database(servers: Servers): Pairs {
  return [
    ['DB_HOST', servers.databaseHost],
    ['DB_PORT', '5432'],
    ['DB_NAME', servers.database],
    ['DB_USER', servers.databaseUser],
  ]
}

function redis(servers: Servers): Pairs {
  return [
    ['REDIS_HOST', servers.redisHost],
    ['REDIS_PORT', '6379'],
  ]
}

/** The preset came with 4.2.0; one node has no place for copies of its indexes. */
function search(answers: Answers, { searchHost }: Servers): Pairs {
  if (answers.elasticsearch !== 'yes') return []
  return [
    ['ES_ENABLED', 'true'],
    ['ES_HOST', searchHost],
    ['ES_PORT', '9200'],
    ['ES_PRESET', 'single_node_cluster'],
  ]
}

function mail(answers: Answers): Pairs {
  return [
    ['SMTP_SERVER', of(answers, 'smtp-server')],
    ['SMTP_PORT', of(answers, 'smtp-port')],
    ['SMTP_LOGIN', of(answers, 'smtp-login')],
    ['SMTP_PASSWORD', of(answers, 'smtp-password')],
    ['SMTP_FROM_ADDRESS', of(answers, 'smtp-from')],
    ['SMTP_AUTH_METHOD', of(answers, 'smtp-auth')],
    ['SMTP_ENABLE_STARTTLS', of(answers, 'smtp-starttls')],
  ]
}

function media(answers: Answers): Pairs {
  const local: Pairs = [
    ['PAPERCLIP_ROOT_PATH', of(answers, 'media-path')],
    ['PAPERCLIP_ROOT_URL', of(answers, 'media-url')],
  ]
  return answers.media === 's3' ? storage(answers) : local
}

/** S3_HOSTNAME is what the policy for browsers allows; without an endpoint it is Amazon's. */
function storage(answers: Answers): Pairs {
  const endpoint = of(answers, 's3-endpoint')
  const url = endpoint === '' ? undefined : new URL(endpoint)
  return [
    ['S3_ENABLED', 'true'],
    ['S3_BUCKET', of(answers, 's3-bucket')],
    ['S3_REGION', of(answers, 's3-region')],
    ['S3_PROTOCOL', url?.protocol.replace(':', '') ?? 'https'],
    ['S3_ENDPOINT', endpoint],
    ['S3_HOSTNAME', url?.host ?? ''],
    ['S3_ALIAS_HOST', of(answers, 's3-alias-host')],
    ['AWS_ACCESS_KEY_ID', of(answers, 's3-key-id')],
    ['AWS_SECRET_ACCESS_KEY', of(answers, 's3-secret')],
  ]
}

function of(answers: Answers, id: string): string {
  return answers[id] ?? ''
}
