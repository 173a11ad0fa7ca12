import { spawn } from 'node:child_process'
import type { Stack } from './bed.js'
import { bedLabel } from './compose-file.js'
import { imageNames } from './images.js'
import { must } from './process.js'

/** What visitors saw of the web service. */
export interface Seen {
  asked: number
  failed: number
  /** From the last answer before a request that failed to the next one after it, all such times together. */
  downMs: number
}

export interface Load {
  stop(): Promise<Seen>
}

/**
 * A visitor that asks the database through web, from beside the project and with a connection for each time. Where one
 * address of several does not answer the next one is asked, as a proxy does it.
 */
const VISIT = `require "net/http"
def ask(address)
  Net::HTTP.start(address, 3000, nil, nil, open_timeout: 3, read_timeout: 10) { |http| http.get("/db").code }
rescue StandardError => e
  e.class.name
end
def now = (Time.now.to_f * 1000).to_i
def addresses = Addrinfo.getaddrinfo(ARGV[0], 3000, nil, :STREAM).map(&:ip_address)
pause = ARGV[1].to_f
$stdout.sync = true
loop do
  Thread.new(now) do |at|
    code = (addresses rescue []).lazy.map { |address| ask(address) }.find { |found| found == "200" } || "none"
    print "#{at} #{now} #{code}\\n"
  end
  sleep pause
end`

/** Starts asking, so many times a second; returns when the first answer is good. */
export async function startLoad(stack: Stack, perSecond: number): Promise<Load> {
  const name = `mstdn-ops-load-${stack.id}`
  const place = [
    '--name',
    name,
    '--label',
    `${bedLabel}=${stack.id}`,
    '--network',
    `${stack.projectName}_external_network`,
  ]
  const words = ['--entrypoint', 'ruby', imageNames.app('4.2.9'), '-e', VISIT, 'web', String(1 / perSecond)]
  const child = spawn('docker', ['run', '--rm', ...place, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString()
  })
  const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
  while (!/ 200\n/.test(text)) {
    if (child.exitCode !== null) throw new Error('the load ended before its first answer')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const stop = async () => {
    await must('docker', ['rm', '-f', name])
    await ended
    return seenIn(text)
  }
  return { stop }
}

function seenIn(text: string): Seen {
  const lines = text.split('\n').flatMap(line => {
    const [at, over, code] = line.split(' ')
    return code === undefined ? [] : [{ at: Number(at), over: Number(over), good: code === '200' }]
  })
  const failed = lines.filter(({ good }) => !good).map(({ at }) => at)
  const answered = lines.filter(({ good }) => good).map(({ over }) => over)
  answered.sort((a, b) => a - b)
  const pairs = answered.slice(1).map((to, index) => ({ from: answered[index] ?? to, to }))
  const down = pairs.filter(({ from, to }) => failed.some(at => from <= at && at < to))
  const downMs = down.reduce((sum, { from, to }) => sum + to - from, 0)
  return { asked: lines.length, failed: failed.length, downMs }
}
