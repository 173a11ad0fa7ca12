import { Config, handle, run } from '@oclif/core'
import { errorText, operatorErrorOf } from './lib/base-command.js'
import { ExitCode } from './lib/errors.js'
import { Output } from './lib/output.js'
import { understood } from './lib/words.js'

/** Runs the command that the words name; the exit code is set when this returns. */
export async function start(binUrl: string): Promise<void> {
  const answered = tellSilentEnd()
  process.stdout.on('error', ignoreLostReader)
  process.stderr.on('error', ignoreLostReader)
  try {
    const config = await Config.load(binUrl)
    await run(understood(process.argv.slice(2), { ids: config.commandIDs }), config)
  } catch (thrown) {
    await reportFailure(thrown)
  }
  answered()
}

/** A process that ends in the middle of its work, for want of anything to wait for, must not look like a success. */
function tellSilentEnd(): () => void {
  const tell = () => {
    process.exitCode = ExitCode.unforeseen
    process.stderr.write('Error: the work ended without an answer. This is a bug.\n  Next: mstdn-ops runs\n')
  }
  process.once('exit', tell)
  return () => process.off('exit', tell)
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
