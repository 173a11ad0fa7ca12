import type { Channel } from '../../runner.js'
import type { LogRequest, Logs } from '../backend.js'
import type { Container } from './containers.js'
import { eachLine } from './follow.js'
import type { Stack } from './stack.js'

interface TimedLine {
  time: string
  text: string
  source: string
}

/** By `docker logs`: compose's own puts an escape sequence in front of every line, also off a terminal (2.26). */
export class ComposeLogs implements Logs {
  readonly #stack: Stack

  constructor(stack: Stack) {
    this.#stack = stack
  }

  async read(request: LogRequest): Promise<void> {
    const { roles, beside = false } = request
    const containers = await (beside ? this.#stack.containers() : this.#stack.containersOf(roles))
    if (request.follow) await this.#follow(containers, request)
    else await this.#recent(containers, request)
  }

  /** The lines of all containers in the order of their times. */
  async #recent(containers: readonly Container[], request: LogRequest): Promise<void> {
    const lines = (await Promise.all(containers.map(container => this.#linesOf(container, request.lines)))).flat()
    lines.sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)))
    for (const line of lines) request.onLine(line.text, line.source, line.time)
  }

  async #linesOf(container: Container, count: number): Promise<TimedLine[]> {
    const lines: TimedLine[] = []
    const channel = await this.#open(container, ['--timestamps', '--tail', String(count)])
    await handOn(channel, line => lines.push(timed(line, container.name)))
    return lines
  }

  async #follow(containers: readonly Container[], request: LogRequest): Promise<void> {
    const channels = await Promise.all(
      containers.map(container => this.#open(container, ['-f', '--tail', String(request.lines)])),
    )
    const stop = () => {
      for (const channel of channels) channel.kill('SIGKILL')
    }
    request.signal?.addEventListener('abort', stop, { once: true })
    if (request.signal?.aborted) stop()
    await Promise.all(
      channels.map((channel, at) => handOn(channel, line => request.onLine(line, containers[at]?.name ?? ''))),
    )
    request.signal?.removeEventListener('abort', stop)
  }

  async #open(container: Container, flags: readonly string[]): Promise<Channel> {
    const channel = await this.#stack.parts.runner.open(this.#stack.project.docker(['logs', ...flags, container.name]))
    channel.stdin.end()
    return channel
  }
}

async function handOn(channel: Channel, onLine: (line: string) => void): Promise<void> {
  await Promise.all([eachLine(channel.stdout, onLine), eachLine(channel.stderr, onLine), channel.ended])
}

/** `2026-01-02T03:04:05.123456789Z text`; times of one length, so that they sort as text. */
function timed(line: string, source: string): TimedLine {
  const space = line.indexOf(' ')
  const time = space < 0 ? line : line.slice(0, space)
  return { time, text: space < 0 ? '' : line.slice(space + 1), source }
}
