import type { Readable } from 'node:stream'
import type { Channel } from '../../runner.js'
import type { Container } from './containers.js'
import type { Stack } from './stack.js'

/**
 * Sends the lines that a container prints to `onLine` until it ends, and returns how many there were.
 *
 * The last ones may be missing: following ends with the container, whose output may not all be in its log yet.
 */
async function followLines(channel: Channel, onLine: (line: string) => void): Promise<number> {
  let count = 0
  const handOn = (line: string, ended: boolean) => {
    if (!ended) return
    count += 1
    onLine(line)
  }
  await Promise.all([eachLine(channel.stdout, handOn), channel.ended])
  return count
}

async function openLog(stack: Stack, container: Container): Promise<Channel> {
  const channel = await stack.parts.runner.open(stack.project.docker(['logs', '-f', container.id]))
  channel.stdin.end()
  channel.stderr.resume()
  return channel
}

/**
 * Follows a container to its end and returns all that it printed, read once it is over. `channel` is what follows it; its
 * log where absent.
 *
 * @throws what `whenOver` throws, which waits until the container has ended.
 */
export async function followToEnd(
  stack: Stack,
  container: Container,
  parts: { onLine?: (line: string) => void; whenOver: () => Promise<void>; channel?: Channel },
): Promise<{ stdout: string; stderr: string }> {
  const { onLine = () => undefined, whenOver } = parts
  const told = await followLines(parts.channel ?? (await openLog(stack, container)), onLine)
  await whenOver()
  const { stdout, stderr } = await stack.parts.runner.run(stack.project.docker(['logs', container.id]))
  for (const line of linesIn(stdout).slice(told)) onLine(line)
  return { stdout, stderr }
}

function linesIn(text: string): string[] {
  const lines = text.split('\n').map(line => line.replace(/\r$/, ''))
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

/** Hands on each line; `ended` is false for a last line without a newline. */
export async function eachLine(stream: Readable, onLine: (line: string, ended: boolean) => void): Promise<void> {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.replace(/\r$/, ''), true)
  }
  if (rest !== '') onLine(rest, false)
}
