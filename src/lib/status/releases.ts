import { lacks } from '../open-toolbox.js'
import type { Toolbox } from '../toolbox.js'

/** A release as it is shown; null is what the backend does not keep. */
export interface ReleaseLine {
  label: string
  /** ISO 8601. */
  at: string | null
  user: string | null
  description: string | null
  current: boolean
}

/**
 * Returns the newest releases first; the current one alone where no list is kept.
 *
 * @throws RefusedError where nothing is known of releases.
 */
export async function releaseLines({ backend }: Toolbox, limit: number): Promise<ReleaseLine[]> {
  const { releases } = backend
  if (releases === undefined) throw lacks(backend, 'releases', 'releases', 'See what is installed: mstdn-ops status')
  if (releases.list) return (await releases.list(limit)).map(release => ({ ...release, at: release.at.toISOString() }))
  const current = await releases.current()
  return current === undefined
    ? []
    : [{ label: current.label, at: null, user: null, description: current.image ?? null, current: true }]
}
