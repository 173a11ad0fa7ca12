import type { Readable } from 'node:stream'
import type { Container } from './containers.js'
import type { Stack } from './stack.js'

/**
 * Sends what a container prints to `onLine` until it ends, and returns all of it, from its beginning.
 *
 * The text may be cut when the connection to the engine is lost; whether the container ended is asked elsewhere.
 */
export async function followLogs(
  stack: Stack,
  container: Container,
  onLine: (line: string) => void = () => undefined,
): Promise<{ stdout: string; stderr: string }> {
  const channel = await stack.parts.runner.open(stack.project.docker(['logs', '-f', container.id]))
  channel.stdin.end()
  const [stdout, stderr] = await Promise.all([
    collected(channel.stdout, onLine),
    collected(channel.stderr),
    channel.ended,
  ])
  return { stdout, stderr }
}

/** Returns the whole text of a stream, its lines handed on as they come. */
async function collected(stream: Readable, onLine?: (line: string) => void): Promise<string> {
  let text = ''
  await eachLine(stream, (line, ended) => {
    text += ended ? `${line}\n` : line
    onLine?.(line)
  })
  return text
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
