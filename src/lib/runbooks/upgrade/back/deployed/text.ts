import { plural } from '../../../../text.js'
import { downtimeText } from '../../text.js'
import type { DeployedBackResult } from './deployed.js'

/** Returns what was achieved, for people. */
export function deployedBackText({ from, to, code, downtime, restored, leftToDo }: DeployedBackResult): string {
  const head = `Mastodon ${to} serves again in the place of ${from}: the code of ${code}, with the config vars of now.`
  const jobs = restored?.jobsAside ?? null
  const lines =
    restored === null
      ? []
      : [
          `The database is in the state of the backup of before: ${restored.backup}`,
          `What was in it until now is the backup ${restored.kept}.`,
          ...(jobs === null || jobs.total === 0
            ? []
            : [`${plural(jobs.total, 'pending job')} set aside: ${jobs.file}`]),
        ]
  return [head, downtimeText(downtime), ...lines, ...leftToDo.map(text => `Left to do: ${text}`)].join('\n')
}
