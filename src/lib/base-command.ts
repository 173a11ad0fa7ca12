import { Command, Flags, type Interfaces } from '@oclif/core'
import { ExitCode, OperatorError, UnforeseenError, UsageError } from './errors.js'
import { BACKENDS } from './instance.js'
import type { ToBe } from './open-toolbox.js'
import { LOG_LEVELS, type LogLevel, Output } from './output.js'
import { renderReport } from './report.js'
import type { RunReport } from './runbook/run.js'
import type { Runbook } from './runbook/step.js'
import type { Toolbox } from './toolbox.js'

/** The flag of commands that destroy something. */
export const confirmFlag = {
  confirm: Flags.string({
    helpValue: 'DOMAIN',
    summary: "Agree to what will be lost, by the instance's domain. --yes does not replace it.",
  }),
}

/** The parent of every command: global flags, one way to print a result, one way to fail. */
export abstract class OpsCommand<Result extends object> extends Command {
  static override enableJsonFlag = true
  static override baseFlags = {
    instance: Flags.string({
      char: 'i',
      helpValue: 'NAME',
      helpGroup: 'GLOBAL',
      summary: 'The instance to work on, by its name in mstdn-ops.yaml.',
    }),
    backend: Flags.option({
      options: BACKENDS,
      helpGroup: 'GLOBAL',
      summary: 'Where the instance runs; detected where it is not said.',
    })(),
    app: Flags.string({
      char: 'a',
      helpValue: 'APP',
      helpGroup: 'GLOBAL',
      summary: 'The app on Heroku.',
    }),
    'project-dir': Flags.string({
      char: 'C',
      aliases: ['project-directory'],
      helpValue: 'DIR',
      helpGroup: 'GLOBAL',
      summary: 'The folder of the compose project.',
    }),
    'dry-run': Flags.boolean({
      helpGroup: 'GLOBAL',
      summary: 'Show the exact commands and SQL that would write; read, but change nothing.',
    }),
    yes: Flags.boolean({ char: 'y', helpGroup: 'GLOBAL', summary: 'Answer yes to plain questions.' }),
    quiet: Flags.boolean({
      char: 'q',
      env: 'MSTDN_OPS_QUIET',
      helpGroup: 'GLOBAL',
      summary: 'Say nothing unless something is wrong.',
    }),
    'log-level': Flags.option({
      options: LOG_LEVELS,
      env: 'MSTDN_OPS_LOG_LEVEL',
      default: 'info' as LogLevel,
      helpGroup: 'GLOBAL',
      summary: 'How much is said on stderr.',
    })(),
  }

  #flags: GlobalFlags = {}
  #output: Output | undefined
  #toolbox: Promise<Toolbox> | undefined
  #exitCode = 0

  /** Does the work and returns the result: what `--json` prints, and what {@link render} turns into text. */
  protected abstract execute(): Promise<Result>

  /** Returns the text for people; what only text needs is loaded here. */
  protected abstract render(result: Result): string | Promise<string>

  override async run(): Promise<Result & { exitCode: number }> {
    const result = await this.execute()
    const complete = { ...this.output.redactor.data(result), exitCode: this.#exitCode }
    const wanted = !this.output.quiet || this.#exitCode !== 0
    if (!this.jsonEnabled() && wanted) this.#print(await this.render(complete))
    process.exitCode = this.#exitCode
    return complete
  }

  /** Made on first use, which is after the flags were parsed, or when parsing them failed. */
  get output(): Output {
    const { quiet, 'log-level': logLevel } = this.#flags
    this.#output ??= new Output({ quiet, json: this.jsonEnabled(), logLevel })
    return this.#output
  }

  protected override async parse<
    F extends Interfaces.OutputFlags<F>,
    B extends Interfaces.OutputFlags<B>,
    A extends Interfaces.OutputArgs<A>,
  >(options?: Interfaces.Input<F, B, A>, argv?: string[]): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv)
    this.#flags = parsed.flags as unknown as GlobalFlags
    return parsed
  }

  /** Set where the instance is yet to be made: what it will be. */
  protected toBe: ToBe | undefined

  /** The toolbox of the chosen instance, opened on first use. */
  protected toolbox(): Promise<Toolbox> {
    this.#toolbox ??= this.#openToolbox()
    return this.#toolbox
  }

  async #openToolbox(): Promise<Toolbox> {
    const { openToolbox } = await import('./open-toolbox.js')
    const { instance, backend, app, 'project-dir': projectDir, 'dry-run': dryRun = false } = this.#flags
    const { toBe } = this
    return openToolbox({ instance, backend, app, projectDir }, { output: this.output, dryRun, ...(toBe && { toBe }) })
  }

  /** Carries out a runbook after the operator agreed to it. */
  protected async change<O extends object, R extends object>(
    runbook: Runbook<O, R>,
    options: O,
  ): Promise<RunReport<R>> {
    const toolbox = await this.toolbox()
    const { runRunbook } = await import('./runbook/run.js')
    const { agree } = await import('./runbook/confirm.js')
    const consent = await runbook.consent?.(toolbox, options)
    if (consent) await agree(toolbox, consent, this.said)
    return runRunbook(toolbox, runbook, options)
  }

  /** What the operator said by flags, and whether questions can be asked. */
  protected get said(): { yes: boolean; confirm?: string; interactive: boolean } {
    const interactive = process.stdin.isTTY === true && process.stderr.isTTY === true && !this.jsonEnabled()
    const { yes = false, confirm } = this.#flags
    return { yes, interactive, ...(confirm === undefined ? {} : { confirm }) }
  }

  /** The check ran and the answer is bad: exit code 7 with the normal result. */
  protected badAnswer(): void {
    this.#exitCode = ExitCode.badAnswer
  }

  /** Passes a remote process's own code through. */
  protected passThrough(exitCode: number): void {
    this.#exitCode = exitCode
  }

  #print(text: string): void {
    if (text !== '') this.output.result(text)
  }

  override async catch(thrown: Error): Promise<void> {
    const error = operatorErrorOf(thrown)
    process.exitCode = error.exitCode
    if (this.jsonEnabled()) {
      this.logJson(this.output.redactor.data(error.toJSON()))
    } else {
      this.output.error(errorText(error))
      if (error.exitCode === ExitCode.unforeseen && thrown.stack) this.output.debug(thrown.stack)
    }
  }

  protected override async finally(): Promise<void> {
    await this.#toolbox?.then(toolbox => toolbox.close()).catch(() => undefined)
  }
}

/** A command that changes something: its result is the report of its run. */
export abstract class ChangeCommand<R extends object = object> extends OpsCommand<RunReport<R>> {
  /** Returns one or a few sentences that say what was achieved. */
  protected abstract achieved(result: R): string

  protected override render(report: RunReport<R>): string {
    return renderReport(report, result => this.achieved(result))
  }
}

interface GlobalFlags {
  instance?: string
  backend?: string
  app?: string
  'project-dir'?: string
  'dry-run'?: boolean
  yes?: boolean
  quiet?: boolean
  'log-level'?: LogLevel
  confirm?: string
}

/** Returns the error as the operator should meet it: oclif's own complaints about words become usage errors. */
export function operatorErrorOf(thrown: Error): OperatorError {
  if (thrown instanceof OperatorError) return thrown
  const oclif = (thrown as { oclif?: { exit?: number } }).oclif
  if (oclif?.exit === 2) {
    return new UsageError({
      code: 'usage',
      message: usageText(thrown.message),
      next: 'Run the command with --help to see what it takes.',
    })
  }
  return new UnforeseenError({
    code: 'unforeseen',
    message: thrown.message,
    cause: 'This is a bug, or something nobody foresaw.',
    next: 'Run it again with --log-level debug and report what you see.',
  })
}

function usageText(message: string): string {
  return message.replace(/\s*See more help with --help$/, '').trim()
}

/** Returns what failed, why, and what to do next, each on lines of its own. */
export function errorText(error: OperatorError): string {
  const why = error.why?.split('\n').map(line => `  ${line}`)
  const next = error.next?.replaceAll('\n', '\n        ')
  return [`Error: ${error.message}`, ...(why ?? []), ...(next ? [`  Next: ${next}`] : [])].join('\n')
}
