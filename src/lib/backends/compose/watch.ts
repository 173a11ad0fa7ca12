import { createInterface } from 'node:readline'
import type { ScriptPlace, Watch, WatchedAnswer, WatchedPage } from '../backend.js'

/**
 * Each question in a thread of its own, so that one that hangs holds up no other. A request over plain HTTP must look as
 * if it came through the proxy (config.force_ssl).
 */
const ASK = `require "socket"
host, port, path, name, pause = ARGV
$stdout.sync = true
Thread.report_on_exception = false
def now = Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)
request = "GET #{path} HTTP/1.1\\r\\nHost: #{name}\\r\\nX-Forwarded-Proto: https\\r\\nConnection: close\\r\\n\\r\\n"
loop do
  Thread.new(now) do |at|
    code = begin
      Socket.tcp(host, port.to_i, connect_timeout: 5) do |socket|
        socket.write(request)
        IO.select([socket], nil, nil, 10) ? socket.gets.to_s.split[1].to_s : "timeout"
      end
    rescue SystemCallError, SocketError, IOError => e
      e.class.to_s
    end
    print "#{at} #{now} #{code}\\n"
  end
  sleep pause.to_f
end`

const PORT = '3000'

/** Asks the service from the place until stopped. When this process dies, so does what asks. */
export async function watchFrom(
  place: ScriptPlace,
  service: string,
  page: WatchedPage,
  onAnswer: (answer: WatchedAnswer) => void,
): Promise<Watch> {
  const args = [ASK, service, PORT, page.path, page.host, String(page.everyMs / 1_000)]
  const run = await place.open({ what: 'The watch', script: 'exec ruby -e "$@"', args, effect: 'read' })
  const lines = createInterface({ input: run.stdout })
  lines.on('line', line => {
    const [at, answeredAt, code] = line.split(' ')
    if (Number(answeredAt) > 0) onAnswer({ at: Number(at), answeredAt: Number(answeredAt), code: code || 'no answer' })
  })
  let stopping = false
  let lost = false
  const over = () => {
    lost = !stopping
  }
  const ended = run.ended.then(over, over)
  const stop = async () => {
    stopping = true
    run.stdin.end()
    await ended
    return !lost
  }
  return { stop }
}
