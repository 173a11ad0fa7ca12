import { plural } from '../../../text.js'
import { downtimeText } from '../text.js'
import type { BackResult } from './back.js'

/** Returns what was achieved, for people. */
export function backText({ from, to, downtime, restored, leftToDo }: BackResult): string {
  const head = `Mastodon ${to} serves again in the place of ${from}.`
  if (restored === null) return [head, downtimeText(downtime), STAYS, ...leftToDo].join('\n')
  const { backup, kept, jobsAside: jobs } = restored
  const pending =
    jobs === null || jobs.total === 0 ? [] : [`${plural(jobs.total, 'pending job')} set aside: ${jobs.file}`]
  return [
    `${head} The instance is in the state of the backup of before: ${backup}`,
    downtimeText(downtime),
    `The database of ${from} is kept as ${kept}, until mstdn-ops db:discard.`,
    ...pending,
    ...leftToDo,
  ].join('\n')
}

const STAYS = 'The migrations that were applied stay; the next upgrade goes on from there.'
