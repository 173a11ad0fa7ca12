import { UsageError } from '../../errors.js'
import type { OperationId, ParamsOf } from '../../mastodon/catalogue.js'
import type { Toolbox } from '../../toolbox.js'

export interface TerminalResult {
  /** The lines that were, or in a dry run would be, typed by hand. */
  byHand: string[]
}

/**
 * Gives the terminal to a command of the app and returns its exit code.
 *
 * @throws UsageError where there is no terminal to give.
 */
export async function giveTerminal<K extends OperationId>(
  toolbox: Toolbox,
  operation: K,
  terminal: { interactive: boolean; instead: string },
): Promise<{ exitCode: number; result: TerminalResult }> {
  if (!terminal.interactive && !toolbox.dryRun) throw noTerminal(terminal.instead)
  const { argv, env } = await toolbox.app.command(operation, {} as ParamsOf<K>)
  const exitCode = await toolbox.app.oneOff().interactive({ argv, env, effect: 'write' })
  return { exitCode, result: { byHand: toolbox.dryRun ? toolbox.ledger.byHand() : [] } }
}

/** Returns what a dry run has to say; nothing afterwards, for the terminal showed it all. */
export function terminalText({ byHand }: TerminalResult): string {
  return byHand.length === 0 ? '' : `Would run:\n  ${byHand.join('\n  ')}`
}

function noTerminal(instead: string): UsageError {
  return new UsageError({
    code: 'no-terminal',
    message: 'This needs a terminal, and no --json.',
    cause: 'Standard input or standard error is none, or --json was given.',
    next: instead,
  })
}
