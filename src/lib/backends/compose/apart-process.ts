import type { Channel } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { ApartCommand } from '../apart.js'
import type { AppOutcome } from '../backend.js'
import { firstLine } from '../complaints.js'
import { type ApartEngine, notStarted } from './apart-engine.js'
import type { Container } from './containers.js'
import { followToEnd } from './follow.js'

/** Enough for why a container was not started. */
const KEPT = 4_000

/**
 * Starts a container that was made with its standard input open, on a leash, and returns how it ended; it is removed then.
 * The input is held open by this process alone: when that is killed, it ends, and the container with it. A terminal that
 * goes away ends neither.
 *
 * @throws RefusedError when it could not be started; the reason of `stop`.
 */
export async function startedOnLeash(
  engine: ApartEngine,
  container: Container,
  { onLine, stop }: Pick<ApartCommand, 'onLine' | 'stop'>,
): Promise<AppOutcome> {
  let ending: Promise<void> | undefined
  const end = () => {
    ending ??= engine.remove([container.id])
    ending.catch(() => undefined)
  }
  stop.addEventListener('abort', end)
  try {
    stop.throwIfAborted()
    return await toItsEnd(engine, container, onLine)
  } catch (error) {
    stop.throwIfAborted()
    throw error
  } finally {
    stop.removeEventListener('abort', end)
    end()
    await ending
  }
}

async function toItsEnd(
  engine: ApartEngine,
  container: Container,
  onLine: (line: string) => void,
): Promise<AppOutcome> {
  const { stack } = engine
  const start = stack.project.docker(['start', '-a', '-i', container.id], { effect: 'write' })
  const line = shellLine([start.file, ...start.args])
  stack.parts.ledger?.record({ kind: 'command', exact: line, byHand: line })
  const channel = await stack.parts.runner.open(start)
  const complaint = beginning(channel)
  try {
    // Where the client alone has ended, the container is about to.
    const whenOver = async () => void (await stack.parts.runner.run(stack.project.docker(['wait', container.id])))
    const said = await followToEnd(stack, container, { onLine, whenOver, channel })
    return { ...said, exitCode: await exitCodeOf(engine, container, complaint()), planned: false }
  } finally {
    channel.stdin.end()
  }
}

function beginning({ stderr }: Channel): () => string {
  let text = ''
  stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(0, KEPT)
  })
  return () => text
}

async function exitCodeOf(engine: ApartEngine, { id }: Container, said: string): Promise<number> {
  const outcome = await engine.ask(['inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', id])
  const [status, code] = outcome.stdout.trim().split(' ')
  if (status === 'exited' || status === 'dead') return Number(code)
  const why = status === 'created' ? { stdout: '', stderr: said } : outcome
  throw notStarted('the process', `Its end was not seen: ${firstLine(why)}`)
}
