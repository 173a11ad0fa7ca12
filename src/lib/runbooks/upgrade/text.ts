import { humanDuration, plural } from '../../text.js'
import type { Downtime, UpgradeResult } from './options.js'
import { replicaText } from './replicas.js'

/** Returns what was achieved, for people: the downtime, how long each step took, and what is left to do. */
export function upgradedText({
  from,
  to,
  downtime,
  took,
  backup,
  applied,
  replicas,
  kept,
  leftToDo,
}: UpgradeResult): string {
  const steps = Object.entries(took).map(([id, ms]) => `  ${id.padEnd(14)} ${(ms / 1_000).toFixed(1).padStart(7)} s`)
  return [
    `Mastodon ${to} has taken the place of ${from}: ${plural(applied, 'migration')} applied.`,
    downtimeText(downtime),
    ...replicaText(replicas),
    ...(backup === null ? [] : [`The backup of before: ${backup}`]),
    ...(kept.length === 0 ? [] : [`The files of before: ${kept.join(', ')}`]),
    '',
    'Seconds of each step:',
    ...steps,
    ...leftToDo.map(text => `\nLeft to do: ${text}`),
  ].join('\n')
}

/** Returns for how long it did not answer, in a sentence. */
export function downtimeText(downtime: Downtime | null): string {
  if (downtime === null) return 'For how long it did not answer could not be seen.'
  const { milliseconds, outages, whole } = downtime
  const least = whole ? '' : ' at least (the run was broken off for a while)'
  if (outages === 0) return `It answered all the time${whole ? '' : ', as far as could be seen'}.`
  const length = milliseconds < 60_000 ? `${(milliseconds / 1_000).toFixed(1)} s` : humanDuration(milliseconds / 1_000)
  return `It did not answer for ${length}${least}.`
}
