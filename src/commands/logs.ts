import { Flags } from '@oclif/core'
import { ROLES } from '../lib/backends/backend.js'
import { OpsCommand } from '../lib/base-command.js'
import { UsageError } from '../lib/errors.js'
import { lacks } from '../lib/open-toolbox.js'

interface LogLine {
  source: string
  line: string
}

export default class Logs extends OpsCommand<{ lines: LogLine[] }> {
  static override summary = "Show what Mastodon's processes wrote."
  static override examples = [
    '<%= config.bin %> <%= command.id %> -n 100',
    '<%= config.bin %> <%= command.id %> -f --role sidekiq',
  ]
  static override flags = {
    follow: Flags.boolean({ char: 'f', summary: 'Go on with new lines until Ctrl-C.' }),
    lines: Flags.integer({ char: 'n', min: 0, default: 50, summary: 'How many of the last lines of each process.' }),
    role: Flags.option({ options: ROLES, multiple: true, summary: 'Only of these; may be given more than once.' })(),
  }

  protected override async execute(): Promise<{ lines: LogLine[] }> {
    const { flags } = await this.parse(Logs)
    if (flags.follow && this.jsonEnabled()) throw endless()
    const { backend } = await this.toolbox()
    if (backend.logs === undefined) throw lacks(backend, 'logs', 'logs', 'Read them where the processes run.')
    const lines: LogLine[] = []
    await backend.logs.read({
      ...{ roles: flags.role ?? ROLES, lines: flags.lines, follow: flags.follow },
      ...(flags.follow ? { signal: untilInterrupted() } : {}),
      onLine: (line, source) => (this.jsonEnabled() ? lines.push({ source, line }) : this.#show(line, source)),
    })
    return { lines }
  }

  #show(line: string, source: string): void {
    this.output.result(`${source} | ${line}`)
  }

  /** The lines were shown as they came. */
  protected override render(): string {
    return ''
  }
}

/** Ctrl-C is how following ends: no failure. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort())
  process.once('SIGTERM', () => controller.abort())
  return controller.signal
}

function endless(): UsageError {
  return new UsageError({
    code: 'endless-json',
    message: '--follow has no end, and --json prints one result at the end.',
    next: 'Leave one of the two out.',
  })
}
