import { Args, Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { showOnce } from '../../lib/reveal.js'
import { assertVariableNames } from '../../lib/runbooks/config/names.js'
import { masked, type Variable, variablesOf } from '../../lib/runbooks/config/values.js'
import { plural } from '../../lib/text.js'

interface ConfigGetResult {
  where: string
  variables: Variable[]
}

export default class ConfigGet extends OpsCommand<ConfigGetResult> {
  static override strict = false
  static override summary = 'Show the configuration of Mastodon: as it is stored, and as what runs sees it.'
  static override description = 'Secrets are masked unless --reveal is given. Without a name all variables are shown.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> LOCAL_DOMAIN SMTP_SERVER',
    '<%= config.bin %> <%= command.id %> OTP_SECRET --reveal',
  ]
  static override args = { key: Args.string({ description: 'the name of a variable; several may be given' }) }
  static override flags = { reveal: Flags.boolean({ summary: 'Show secrets in clear.' }) }

  /** In clear, past the redactor; undefined unless it was asked for. */
  #revealed: ConfigGetResult | undefined

  protected override async execute(): Promise<ConfigGetResult> {
    const { argv, flags } = await this.parse(ConfigGet)
    const names = argv as string[]
    assertVariableNames(names)
    const toolbox = await this.toolbox()
    const variables = await variablesOf(toolbox, names)
    const where = toolbox.backend.config?.where ?? ''
    if (flags.reveal) this.#revealed = { where, variables }
    return { where, variables: variables.map(masked) }
  }

  protected override render(result: ConfigGetResult): string {
    if (this.#revealed === undefined) return textOf(result.variables)
    showOnce(textOf(this.#revealed.variables))
    return ''
  }

  protected override toSuccessJson(result: unknown): unknown {
    return { ...(result as object), ...this.#revealed }
  }
}

function textOf(variables: readonly Variable[]): string {
  const differing = variables.filter(variable => variable.differs).length
  const hint = `${plural(differing, 'variable')} ${differing === 1 ? 'differs' : 'differ'} from what runs. To put the stored values into force: mstdn-ops restart`
  return [...variables.map(lineOf), ...(differing > 0 ? ['', hint] : [])].join('\n')
}

function lineOf({ name, stored, running, differs }: Variable): string {
  const line = stored === null ? `${name} (not set)` : `${name}=${stored}`
  if (!differs) return line
  return `${line}   (running: ${running === null ? 'not set' : running})`
}
