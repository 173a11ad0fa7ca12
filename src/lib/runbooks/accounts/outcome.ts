import type { AppOutcome } from '../../backends/backend.js'

/** Returns the last lines of what a process printed: enough to see what it complained of. */
export function lastLines({ stdout, stderr }: Pick<AppOutcome, 'stdout' | 'stderr'>): string {
  const lines = [...stdout.split('\n'), ...stderr.split('\n')].map(line => line.trim()).filter(Boolean)
  return lines.slice(-3).join(' / ') || 'nothing'
}

/** Returns the sentence that says how Mastodon's own command ended. */
export function saying(outcome: AppOutcome): string {
  return `Mastodon's own command ended with code ${outcome.exitCode} and said: ${lastLines(outcome)}`
}
