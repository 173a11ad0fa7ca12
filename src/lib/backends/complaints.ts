import { printableLine } from '../text.js'

/**
 * Returns what a client complained about, on one line.
 *
 * Warnings about unset variables come in front of the real error. What compose quotes from an environment file may be
 * a secret that nobody has read yet, so quotations behind a complaint about a line are left out.
 */
export function firstLine(outcome: { stdout: string; stderr: string }): string {
  const lines = `${outcome.stderr}\n${outcome.stdout}`.split('\n').map(line => line.trim())
  const complaint = lines.find(line => line !== '' && !line.includes('level=warning')) ?? 'It gave no reason.'
  return printableLine(withoutQuotations(complaint)).slice(0, 400)
}

function withoutQuotations(line: string): string {
  if (!/\.env|env_file|line \d+|variable name|unterminated/i.test(line)) return line
  return line.replace(/(near|in variable name|unterminated quoted value) .*/i, '$1 …')
}
