import { messageOf } from '../errors.js'
import type { Toolbox } from '../toolbox.js'

/** Milliseconds in which the instance answers a question from outside. */
const PATIENCE_MS = 10_000

/** Something that the app answers: where it listens, and under which name visitors reach it. */
export interface Address {
  host: string
  port: number
  path: string
  /** The variable that names another address than the site's, like `wss://streaming.example.com`. */
  publishedIn?: string
}

/**
 * Asks where the app's ports can be reached: inside of it, or, where each process has a network of its own, as a visitor.
 *
 * @returns the status code of the answer, or why there was none, like `Errno::ECONNREFUSED`.
 */
export async function ask(toolbox: Toolbox, at: Address, fetcher: typeof fetch = fetch): Promise<string> {
  if (!toolbox.app.oneOff().isApart) return askInside(toolbox, at)
  return askOutside(`https://${await publicHost(toolbox, at)}${at.path}`, fetcher)
}

/** What answered at the address that a variable of the app publishes. */
export interface Published {
  host: string
  /** The status code, or why there was no answer. */
  code: string
}

/** Asks as a visitor what is published under a variable; undefined where the variable is not set. */
export async function askPublished(
  toolbox: Toolbox,
  { publishedIn, path }: Required<Pick<Address, 'publishedIn' | 'path'>>,
  fetcher: typeof fetch = fetch,
): Promise<Published | undefined> {
  const host = hostIn((await toolbox.app.config()).get(publishedIn))
  return host === undefined ? undefined : { host, code: await askOutside(`https://${host}${path}`, fetcher) }
}

/** Returns the host, with its port where it has one, that visitors reach. */
async function publicHost(toolbox: Toolbox, { publishedIn }: Address): Promise<string> {
  const config = await toolbox.app.config()
  const published = publishedIn === undefined ? undefined : hostIn(config.get(publishedIn))
  return published ?? (config.get('WEB_DOMAIN') || (await toolbox.app.domain()))
}

function hostIn(address = ''): string | undefined {
  return address.replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, '') || undefined
}

/** Certificates are checked as a visitor's browser does: what is wrong with one is the answer. */
async function askOutside(url: string, fetcher: typeof fetch): Promise<string> {
  try {
    const answer = await fetcher(url, { redirect: 'manual', signal: AbortSignal.timeout(PATIENCE_MS) })
    await answer.body?.cancel()
    return String(answer.status)
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException }
    return cause?.message || cause?.code || messageOf(error)
  }
}

/**
 * Asks from inside of the app, for its ports are open nowhere else. Ruby is what every image of the app has; a request
 * over plain HTTP must look as if it came through the proxy, and name the instance (config.hosts, config.force_ssl).
 */
const ASK = `require "net/http"
host, port, path, domain = ARGV
begin
  Net::HTTP.start(host, port.to_i, nil, nil, open_timeout: 5, read_timeout: 10) do |http|
    puts http.get(path, "Host" => domain, "X-Forwarded-Proto" => "https").code
  end
rescue SystemCallError, SocketError, IOError, Timeout::Error => e
  puts e.class
end`

async function askInside(toolbox: Toolbox, at: Address): Promise<string> {
  const domain = await toolbox.app.domain()
  const argv = ['ruby', '-e', ASK, at.host, String(at.port), at.path, domain]
  const outcome = await toolbox.app.oneOff().run({ argv, effect: 'read', timeoutMs: 30_000 })
  return outcome.stdout.trim().split('\n').at(-1) || `code ${outcome.exitCode}`
}

/** Returns the sentence on an answer that is none, or a bad one. */
export function answerText(process: string, path: string, code: string): string {
  return /^\d+$/.test(code)
    ? `The ${process} process answers ${path} with ${code}.`
    : `The ${process} process does not answer ${path}: ${code}.`
}

/** Whether the web process answered, be it to say that it wants a sign-in. */
export function isAnswer(code: string): boolean {
  return /^[234]\d\d$/.test(code)
}
