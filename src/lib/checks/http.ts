import type { Toolbox } from '../toolbox.js'

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

/** Returns the status code of the answer, or why there was none, like `Errno::ECONNREFUSED`. */
export async function askInside(toolbox: Toolbox, at: { host: string; port: number; path: string }): Promise<string> {
  const domain = await toolbox.app.domain()
  const argv = ['ruby', '-e', ASK, at.host, String(at.port), at.path, domain]
  const outcome = await toolbox.app.oneOff().run({ argv, effect: 'read', timeoutMs: 30_000 })
  return outcome.stdout.trim().split('\n').at(-1) || `code ${outcome.exitCode}`
}

/** Whether the web process answered, be it to say that it wants a sign-in. */
export function isAnswer(code: string): boolean {
  return /^[234]\d\d$/.test(code)
}
