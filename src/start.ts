import { Config, handle, run } from '@oclif/core'
import { errorText, operatorErrorOf } from './lib/base-command.js'
import { Output } from './lib/output.js'

/** Runs the command that the words name; the exit code is set when this returns. */
export async function start(binUrl: string): Promise<void> {
  process.stdout.on('error', ignoreLostReader)
  process.stderr.on('error', ignoreLostReader)
  try {
    const config = await Config.load(binUrl)
    await run(askedFor(process.argv.slice(2)), config)
  } catch (thrown) {
    await reportFailure(thrown)
  }
}

/** `mstdn-ops` and `mstdn-ops help …` are other words for `--help`. */
function askedFor(words: readonly string[]): string[] {
  if (words.length === 0) return ['--help']
  return words[0] === 'help' ? [...words.slice(1), '--help'] : [...words]
}

/** Failures that no command could catch: an unknown command, a broken installation. */
async function reportFailure(thrown: unknown): Promise<void> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const exit = (error as { oclif?: { exit?: number } }).oclif?.exit
  if (exit === 0) return handle(error)
  const operatorError = operatorErrorOf(error)
  process.exitCode = operatorError.exitCode
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(operatorError.toJSON(), null, 2)}\n`)
  else new Output().error(errorText(operatorError))
}

/** A reader that went away (a pipe into `head`: EPIPE; a lost terminal: EIO) ends the printing, not the work. */
function ignoreLostReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
}
