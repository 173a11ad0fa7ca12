import { accountsLeftBehind } from '../../../mastodon/upgrade/left-behind.js'
import { MastodonVersion } from '../../../mastodon/version.js'
import { plural } from '../../../text.js'
import type { Toolbox } from '../../../toolbox.js'

/** Returns in a sentence what the former release cannot do for accounts that the newer one has made; undefined where there are none. */
export async function leftBehindText(
  toolbox: Toolbox,
  { from, to }: { from: string; to: string },
): Promise<string | undefined> {
  const versions = { older: MastodonVersion.of(to), newer: MastodonVersion.of(from) }
  const left = await accountsLeftBehind(await toolbox.database(), versions)
  if (left === 0) return undefined
  const have = plural(left, 'local account has', 'local accounts have')
  return `${have} keys that ${to} does not know: other servers will not take what these send, until ${from} serves again.`
}
