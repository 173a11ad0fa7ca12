import { OutcomeUnknownError, UsageError } from '../../errors.js'
import { printableLine } from '../../text.js'
import { type Login, TRUSTED } from './login.js'
import { type ApiParts, PlatformApi } from './platform-api.js'

const TRIES = 3
/** What follows a sign like # or @ would count for the look at its end, and lead elsewhere. */
const BARE = /^[a-z0-9.-]+$/i

/** Heroku's API of its databases: a host of its own, the same token, the same errors. */
export class DataApi extends PlatformApi {
  /** @throws UsageError when the environment leads the token to no host of Heroku's. */
  constructor(login: Login, parts: ApiParts, env: NodeJS.ProcessEnv = process.env) {
    super({ ...login, baseUrl: dataUrlOf(login.baseUrl, env) }, parts)
  }

  /** Returns the answer to a POST that changes nothing; asked again where it was lost. */
  async ask(path: string): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.send({ method: 'POST', path })
      } catch (error) {
        if (!(error instanceof OutcomeUnknownError) || attempt === TRIES) throw error
      }
    }
  }
}

/**
 * Returns the base URL that the CLI makes of HEROKU_DATA_HOST (else HEROKU_POSTGRESQL_HOST), a bare host name: scheme and
 * port are those of the Platform API (heroku-cli-util 11, utils/pg/host.js; http-call, lib/http.js).
 *
 * @throws UsageError for a foreign host, and where the token would leave this machine unencrypted.
 */
export function dataUrlOf(baseUrl: string, env: NodeJS.ProcessEnv): string {
  const host = env.HEROKU_DATA_HOST || env.HEROKU_POSTGRESQL_HOST || 'api.data.heroku.com'
  const { protocol, port } = new URL(baseUrl)
  const isHere = host === 'localhost' || host === '127.0.0.1'
  if (!BARE.test(host) || !TRUSTED.test(host))
    throw badHost(`It is ${printableLine(host)}; the token of your login would be sent there.`)
  if (protocol !== 'https:' && !isHere)
    throw badHost(`HEROKU_HOST is plain http, and the token of your login would be sent to ${host} in the clear.`)
  return `${protocol}//${host}${port === '' ? '' : `:${port}`}`
}

function badHost(cause: string): UsageError {
  return new UsageError({
    code: 'heroku-data-host',
    message: 'HEROKU_DATA_HOST names no host of Heroku’s databases that can be used.',
    cause,
    next: 'Unset HEROKU_DATA_HOST and HEROKU_HOST, or name a host that ends in heroku.com, without scheme and port.',
  })
}
