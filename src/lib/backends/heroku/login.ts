import { RefusedError, UsageError } from '../../errors.js'
import type { Output } from '../../output.js'
import { type Invocation, type Outcome, programIsMissing, type Runner } from '../../runner.js'
import { printableLine } from '../../text.js'

/** How the Platform API is reached: as the CLI itself reaches it. */
export interface Login {
  baseUrl: string
  token: string
}

const TOKEN: Invocation = { file: 'heroku', args: ['auth:token'], effect: 'read', timeoutMs: 60_000 }

/** Where the CLI sends its token (@heroku-cli/command 12, lib/vars.js, which takes `localhost` anywhere in a name). */
export const TRUSTED = /^(|.*\.)(heroku\.com|herokai\.com|herokuspace\.com|herokudev\.com)$|^(localhost|127\.0\.0\.1)$/

/**
 * Returns the CLI's own token and base URL: HEROKU_API_KEY where it is set, which costs no call, else `auth:token`.
 *
 * @throws RefusedError when there is no CLI and no key, or nobody is logged in; UsageError for a foreign HEROKU_HOST.
 */
export async function readLogin(
  parts: { runner: Runner; output: Output },
  env: NodeJS.ProcessEnv = process.env,
): Promise<Login> {
  const baseUrl = baseUrlOf(env.HEROKU_HOST)
  const token = env.HEROKU_API_KEY?.trim() || (await tokenOfCli(parts.runner))
  parts.output.redactor.add('HEROKU_API_KEY', token)
  return { baseUrl, token }
}

/** Returns the base URL that the CLI makes of HEROKU_HOST; a host that it would not trust is refused, aloud. */
export function baseUrlOf(host: string | undefined): string {
  if (host === undefined || host === '') return 'https://api.heroku.com'
  const url = host.startsWith('http') ? host : `https://api.${host}`
  if (URL.canParse(url) && TRUSTED.test(new URL(url).hostname)) return url.replace(/\/+$/, '')
  throw new UsageError({
    code: 'heroku-host',
    message: 'HEROKU_HOST names no host of Heroku.',
    cause: `It is ${printableLine(host)}; the token of your login would be sent there.`,
    next: 'Unset HEROKU_HOST, or name a host that ends in heroku.com.',
  })
}

async function tokenOfCli(runner: Runner): Promise<string> {
  const outcome = await runner.run(TOKEN).catch((error: unknown) => {
    throw programIsMissing(error) ? noClient() : error
  })
  const token = outcome.stdout.trim().split('\n').at(-1)?.trim() ?? ''
  if (outcome.exitCode === 0 && /^\S{8,}$/.test(token)) return token
  throw notLoggedIn(outcome)
}

export function noClient(env: NodeJS.ProcessEnv = process.env): RefusedError {
  const hasKey = Boolean(env.HEROKU_API_KEY?.trim())
  const install = 'Install it (https://devcenter.heroku.com/articles/heroku-cli)'
  return new RefusedError({
    code: 'heroku-cli-missing',
    message: 'The Heroku CLI was not found.',
    cause: `There is no program heroku on PATH${hasKey ? '' : ', and HEROKU_API_KEY is not set'}.`,
    next: hasKey ? `${install}, then run the command again.` : `${install}, then: heroku login`,
  })
}

function notLoggedIn(outcome: Outcome): RefusedError {
  return new RefusedError({
    code: 'heroku-not-logged-in',
    message: 'The Heroku CLI is not logged in.',
    cause: `heroku auth:token ended with code ${outcome.exitCode}.`,
    next: 'heroku login, or set HEROKU_API_KEY (heroku authorizations:create makes one that lasts)',
  })
}
