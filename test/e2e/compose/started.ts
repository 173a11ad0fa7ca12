import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** The built tool under way, for tests that end it in the middle. */
export interface Started {
  kill(signal: NodeJS.Signals): void
  /** Resolves with what it said on both streams. */
  ended: Promise<string>
  /** What it has said so far. */
  said(): string
}

/** Starts the tool; it is yours to end. */
export function start(root: string, words: readonly string[], env: NodeJS.ProcessEnv): Started {
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...words], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const hear = (chunk: Buffer) => {
    said += chunk.toString()
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  // Not `close`: a process that outlives the tool may hold its streams open.
  const ended = new Promise<string>(resolve => child.on('exit', () => resolve(said)))
  return { kill: signal => child.kill(signal), ended, said: () => said }
}
