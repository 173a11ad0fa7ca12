import type { VariableGroup } from '../../../mastodon/new-instance/environment.js'
import { spellingOf } from '../env-file.js'

const HEAD = `# The settings and secrets of this Mastodon, written by mstdn-ops setup.
# Whoever reads this file can act as the server. Back it up together with the database: mstdn-ops db:backup`

/**
 * Returns the text of the app's env file. Values stand as they are; quotes only where compose would take a character
 * for something else.
 */
export function envText(groups: readonly VariableGroup[]): string {
  const blocks = groups.map(({ title, variables }) =>
    [`# ${title}`, ...variables.map(([name, value]) => `${name}=${spellingOf(value) ?? ''}`)].join('\n'),
  )
  return `${[HEAD, ...blocks].join('\n\n')}\n`
}
