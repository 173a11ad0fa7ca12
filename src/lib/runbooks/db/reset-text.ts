import { grouped, plural } from '../../text.js'
import { roomText } from '../replace/room.js'
import type { ResetResult } from './reset.js'
import { unservedLine } from './reset-plan.js'
import { mediaText } from './restored.js'

/** Returns what a reset achieved, for people. */
export function resetText(result: ResetResult): string {
  const { baseline, leftBehind, unserved, stoppedFor, jobsAside: jobs } = result
  const whose = baseline === null ? '' : ` with the posts of ${baseline}`
  return [
    `The instance begins anew${whose}, with the identity that it had.`,
    ...rowsText(result),
    ...(leftBehind === 0 ? [] : [`${plural(leftBehind, 'row')} stayed behind: what they point to is not kept.`]),
    ...(unserved === null ? [] : [unservedLine(unserved)]),
    ...(stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]),
    ...keptText(result),
    ...(jobs === null || jobs.total === 0
      ? []
      : [`${plural(jobs.total, 'pending job')} of that state: in ${jobs.file}.`]),
    ...mediaText(result.goneMedia),
    ...roomText(result.roomUnseen),
    filesText(result),
  ].join('\n')
}

function rowsText({ baseline, kept, lost }: ResetResult): string[] {
  const gone = baseline === null ? 'gone' : 'gone, but for the backup’s'
  return [
    ...kept.filter(({ rows }) => rows > 0).map(({ what, rows }) => `  kept: ${what} (${plural(rows, 'row')})`),
    ...lost.filter(({ rows }) => rows > 0).map(({ what, rows }) => `  ${gone}: ${grouped(rows)} ${what}`),
  ]
}

function keptText({ backup, database, keptUntil }: ResetResult): string[] {
  if (database === null)
    return [`The state before is the backup ${backup}, which mstdn-ops db:restore ${backup} puts back.`]
  const until = keptUntil === null ? 'until mstdn-ops db:discard' : `until ${keptUntil}`
  return [
    ...(backup === null ? [] : [`The backup made before: ${backup}.`]),
    `The replaced database is kept as ${database}, ${until}.`,
  ]
}

function filesText({ database }: ResetResult): string {
  const when =
    database === null ? 'When that backup is not to be put back any more' : 'When the replaced database is gone'
  return `Files of media stay where they are. ${when}: mstdn-ops daily --remove-orphans`
}
