import { reindexWords } from '../../mastodon/health.js'
import { plural, shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { roomText } from '../replace/room.js'
import type { RestoreResult } from './restore-result.js'

/** Returns what a restore achieved, for people. */
export function restoredText(result: RestoreResult): string {
  const { backup, stateOf, rows, stoppedFor, feedsBuilt, searchStale } = result
  const stopped = stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]
  return [
    `The instance is in the state of ${stateOf ?? 'the dump'} again (${backup}, ${plural(rows, 'row')}).`,
    ...stopped,
    keptText(result),
    ...jobsText(result),
    ...dueText(result),
    ...(feedsBuilt ? ['The home feeds were built anew.'] : []),
    ...mediaText(result.goneMedia),
    ...roomText(result.roomUnseen),
    ...(searchStale === null ? [] : [`The search index is of the replaced state: ${searchStale}`]),
  ].join('\n')
}

function jobsText({ jobsAside: jobs, jobsReplayed }: RestoreResult): string[] {
  if (jobs === null || jobs.total === 0) return []
  const many = `${plural(jobs.total, 'pending job')} of the replaced state`
  return [jobsReplayed ? `${many}: put back, to be run in this one.` : `${many}: set aside, in ${jobs.file}.`]
}

function dueText({ duePosts }: RestoreResult): string[] {
  if (duePosts === null || duePosts === 0) return []
  const many = plural(duePosts, 'scheduled post was', 'scheduled posts were')
  return [`${many} due since the backup was made, and removed: what was published would be published again.`]
}

/** Returns what is known of cached media whose files are gone, as lines. */
export function mediaText(goneMedia: RestoreResult['goneMedia']): string[] {
  if (goneMedia === null) return []
  if ('unknown' in goneMedia)
    return [`Whether cached media of other servers are gone cannot be known: ${goneMedia.unknown}`]
  const { looked, whole, gone, domains } = goneMedia
  if (looked === 0) return []
  const of = `Of ${plural(looked, 'cached file')} of other servers’ media${whole ? '' : ' (a sample)'}`
  if (gone === 0) return [`${of} none is gone.`]
  const lines = domains.map(domain => `  ${shellLine(['mstdn-ops', 'media:refresh', '--domain', domain, '--force'])}`)
  return [`${of} ${plural(gone, 'is', 'are')} gone. They are fetched again server by server:`, ...lines]
}

function keptText({ kept, keptAs, keptUntil }: RestoreResult): string {
  if (keptAs === 'backup')
    return `The state before is the backup ${kept}, which mstdn-ops db:restore ${kept} puts back.`
  const until = keptUntil === null ? 'until mstdn-ops db:discard' : `until ${keptUntil}`
  return `The replaced database is kept as ${keptAs === 'addon' ? 'the add-on ' : ''}${kept}, ${until}.`
}

/** Returns the command that fills the search index anew; null where there is no search to be filled. */
export async function staleSearch({ app }: Toolbox): Promise<string | null> {
  const words = reindexWords(await app.version())
  if ((await app.config()).get('ES_ENABLED') !== 'true' || words === undefined) return null
  return `mstdn-ops run -- ${words.join(' ')}`
}
