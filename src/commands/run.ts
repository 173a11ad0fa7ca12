import { fstatSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { UsageError } from '../lib/errors.js'

interface RunResult {
  stdout: string
  stderr: string
  /** The lines that were, or in a dry run would be, typed by hand. */
  byHand: string[]
  dryRun: boolean
}

export default class Run extends OpsCommand<RunResult> {
  static override summary = "Run a command in the app's environment, and pass its exit code through."
  static override description =
    'Standard output and error stay apart, and what is piped in is passed on. The command starts in the root folder of ' +
    'Mastodon with its variables. The exit code is 8 when the end of the command was not seen.'
  static override usage = '<%= command.id %> [--fresh] [-n] -- COMMAND…'
  static override examples = [
    '<%= config.bin %> <%= command.id %> -- bin/tootctl media usage',
    '<%= config.bin %> <%= command.id %> --json -- cat lib/mastodon/version.rb',
  ]
  static override strict = false
  static override flags = {
    fresh: Flags.boolean({ summary: 'In a new process, with the configuration as it is stored now.' }),
    'no-stdin': Flags.boolean({ char: 'n', summary: 'Pass nothing on from standard input.' }),
  }
  #streamed = false

  protected override async execute(): Promise<RunResult> {
    const { flags } = await this.parse(Run)
    const argv = this.#words()
    const toolbox = await this.toolbox()
    const oneOff = toolbox.app.oneOff()
    const stdin = flags['no-stdin'] ? undefined : await pipedIn()
    this.#streamed = !this.jsonEnabled() && !this.output.quiet && !toolbox.dryRun
    const outcome = await oneOff.run({
      ...{ argv, effect: 'write', fresh: flags.fresh, once: true },
      ...(stdin === undefined ? {} : { stdin }),
      ...(this.#streamed ? { onLine: line => this.output.result(line) } : {}),
    })
    this.passThrough(outcome.exitCode)
    const byHand = toolbox.ledger.byHand()
    if (!this.jsonEnabled()) this.#tellRest(outcome.stderr, byHand, toolbox.dryRun)
    return { stdout: outcome.stdout, stderr: outcome.stderr, byHand, dryRun: toolbox.dryRun }
  }

  /** Everything after `--`, so that no flag of the command is taken for one of ours. */
  #words(): string[] {
    const at = this.argv.indexOf('--')
    const words = at < 0 ? [] : this.argv.slice(at + 1)
    if (words.length > 0) return words
    throw new UsageError({
      code: 'no-command',
      message: 'There is no command to run.',
      cause: 'The command stands after two dashes.',
      next: 'mstdn-ops run -- bin/tootctl help',
    })
  }

  /** On standard error, so that standard output is the command's alone. */
  #tellRest(stderr: string, byHand: readonly string[], dryRun: boolean): void {
    if (stderr !== '') this.output.error(stderr.replace(/\n$/, ''))
    if (!dryRun && byHand.length > 0) this.output.info(`By hand this would have been:\n  ${byHand.join('\n  ')}`)
  }

  protected override render({ stdout, byHand, dryRun }: RunResult): string {
    if (dryRun) return `Would run:\n  ${byHand.join('\n  ')}`
    return this.#streamed ? '' : stdout.replace(/\n$/, '')
  }
}

/** Returns what a pipe or a file hands in; undefined for a terminal and for /dev/null. */
async function pipedIn(): Promise<string | undefined> {
  const stat = fstatSync(0)
  if (!stat.isFIFO() && !stat.isFile() && !stat.isSocket()) return undefined
  return text(process.stdin)
}
