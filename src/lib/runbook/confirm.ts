import { RefusedError, UsageError } from '../errors.js'
import type { Toolbox } from '../toolbox.js'
import type { Consent } from './step.js'

/** The operator's words, from flags. */
export interface Said {
  yes: boolean
  /** `--confirm DOMAIN`. */
  confirm?: string
  /** Whether questions can be asked: a terminal on standard input, and no `--json`. */
  interactive: boolean
}

/**
 * Returns when the operator has agreed to what will be lost.
 *
 * @throws UsageError naming the flag that is missing where no question can be asked; RefusedError when the domain does
 * not match or the answer is no.
 */
export async function agree(toolbox: Toolbox, consent: Consent, said: Said): Promise<void> {
  const asked = !toolbox.dryRun && said.confirm === undefined
  if (consent.kind === 'domain' && !asked) toolbox.output.info(consent.loses)
  if (toolbox.dryRun && said.confirm === undefined) return
  if (consent.kind === 'domain') return agreeByDomain(toolbox, consent.loses, said)
  if (consent.kind === 'none' || said.yes) return
  if (!said.interactive) throw missingFlag('--yes', consent.question)
  const { askYes } = await import('../prompts.js')
  if (!(await askYes(consent.question))) throw refusal('The answer was no.')
}

async function agreeByDomain(toolbox: Toolbox, loses: string, said: Said): Promise<void> {
  const domain = await toolbox.app.domain()
  if (said.confirm === undefined && !said.interactive) throw missingFlag(`--confirm ${domain}`, loses)
  const typed = said.confirm ?? (await askDomain(domain, loses))
  if (typed.trim().toLowerCase() === domain.toLowerCase()) return
  throw refusal(`"${typed}" is not the domain of this instance, ${domain}.`)
}

async function askDomain(domain: string, loses: string): Promise<string> {
  const { askText } = await import('../prompts.js')
  return askText(`${loses}\nType the domain of the instance (${domain}) to go on:`)
}

function missingFlag(flag: string, why: string): UsageError {
  return new UsageError({
    code: 'confirmation-missing',
    message: `Missing required flag: ${flag}`,
    cause: `${why} Without a terminal this must be said by a flag.`,
    next: `Run the command again with ${flag}.`,
  })
}

function refusal(why: string): RefusedError {
  return new RefusedError({
    code: 'not-confirmed',
    message: 'Not confirmed: nothing was changed.',
    cause: why,
    next: 'Run the command again and confirm, or see what it would do with --dry-run.',
  })
}
