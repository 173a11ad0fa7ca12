import { RefusedError } from '../../errors.js'
import type { Toolbox } from '../../toolbox.js'

/** Each of them keeps media somewhere else than on the disk of the app (config/initializers/paperclip.rb). */
const ELSEWHERE = ['S3_ENABLED', 'SWIFT_ENABLED', 'AZURE_ENABLED']

/** Refuses work on files where all that a one-off process writes, or removes, is lost at its end. */
export function refuseLostFiles(toolbox: Toolbox, message: string, next?: string): void {
  const excuse = toolbox.app.oneOff().losesFiles
  if (excuse === undefined) return
  throw new RefusedError({ code: 'files-not-kept', message, cause: excuse.cause, next: next ?? excuse.next })
}

/** Refuses work on media that lie on a disk which a one-off process does not share. */
export async function refuseLostMedia(toolbox: Toolbox): Promise<void> {
  if (!(await areMediaOutOfReach(toolbox))) return
  const next = 'Keep the media in object storage: set S3_ENABLED to true, and the variables that go with it.'
  refuseLostFiles(toolbox, 'The media are on the disk of the app: no one-off process can reach them.', next)
}

/** Whether media lie on the disk of a process, and one-off processes have one of their own. */
export async function areMediaOutOfReach(toolbox: Toolbox): Promise<boolean> {
  if (toolbox.app.oneOff().losesFiles === undefined) return false
  const config = await toolbox.app.config()
  return !ELSEWHERE.some(name => config.get(name) === 'true')
}
