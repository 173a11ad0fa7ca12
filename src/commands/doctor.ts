import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { CHECKS, type CheckResult, runChecks } from '../lib/checks/index.js'
import { UsageError } from '../lib/errors.js'
import { plural } from '../lib/text.js'

interface Diagnosis {
  state: 'ok' | 'warn' | 'bad'
  checks: CheckResult[]
}

const MARKS = { ok: '✔ ok  ', warn: '! warn', bad: '✘ BAD ', 'not-applicable': '- n/a ' } as const

export default class Doctor extends OpsCommand<Diagnosis> {
  static override summary = 'Look for what is wrong with the instance, and say what to do about it.'
  static override description = 'Changes nothing. Ends with 7 when something is bad; warnings end with 0.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --only queues --only migrations',
    '<%= config.bin %> <%= command.id %> --quiet',
  ]
  static override flags = {
    only: Flags.string({
      multiple: true,
      helpValue: 'ID',
      summary: `Only this check: ${CHECKS.map(({ id }) => id).join(', ')}.`,
    }),
    all: Flags.boolean({ summary: 'Show also what there is nothing to look at for.' }),
  }

  #all = false

  protected override async execute(): Promise<Diagnosis> {
    const { flags } = await this.parse(Doctor)
    const chosen = flags.only === undefined ? CHECKS : chosenChecks(flags.only)
    const checks = await runChecks(await this.toolbox(), chosen)
    const state = checks.some(each => each.state === 'bad')
      ? 'bad'
      : checks.some(each => each.state === 'warn')
        ? 'warn'
        : 'ok'
    if (state === 'bad') this.badAnswer()
    this.#all = flags.all || flags.only !== undefined
    return { state, checks }
  }

  protected override render({ checks }: Diagnosis): string {
    const count = (state: CheckResult['state']) => checks.filter(each => each.state === state).length
    const head = `${plural(count('bad'), 'problem')}, ${plural(count('warn'), 'warning')}, ${count('ok')} ok, ${count('not-applicable')} not applicable.`
    const shown = checks.filter(each => this.#all || each.state !== 'not-applicable')
    return [head, '', ...shown.flatMap(checkLines)].join('\n')
  }
}

function chosenChecks(ids: readonly string[]) {
  const unknown = ids.filter(id => !CHECKS.some(check => check.id === id))
  if (unknown.length === 0) return CHECKS.filter(check => ids.includes(check.id))
  throw new UsageError({
    code: 'unknown-check',
    message: `There is no check "${unknown.join('", "')}".`,
    next: `Choose from: ${CHECKS.map(({ id }) => id).join(', ')}.`,
  })
}

function checkLines({ state, id, title, message, fix }: CheckResult): string[] {
  const tell = state === 'ok' || state === 'not-applicable' ? [] : fix === undefined ? [] : [`         Fix: ${fix}`]
  return [`${MARKS[state]}  ${title} (${id})`, `         ${message}`, ...tell]
}
