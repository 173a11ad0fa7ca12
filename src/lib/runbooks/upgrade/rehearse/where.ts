import type { Apart, ApartServer } from '../../../backends/apart.js'
import { lacks } from '../../../open-toolbox.js'
import type { StepContext } from '../../../runbook/step.js'
import type { Toolbox } from '../../../toolbox.js'
import type { RehearsedIn } from './options.js'

const SERVERS: Readonly<Record<RehearsedIn, ApartServer>> = { server: 'live', sandbox: 'own' }

/** What tells how long a migration takes, and whether it has locks enough. The memory that all share is not taken twice. */
const SETTINGS = ['work_mem', 'maintenance_work_mem', 'max_wal_size', 'max_locks_per_transaction']

/** Returns the facet, or refuses with the reason why nothing can be rehearsed here. */
export function apartOf({ backend }: Pick<Toolbox, 'backend'>): Apart {
  if (backend.apart) return backend.apart
  throw lacks(backend, 'apart', 'place apart in which a release could be rehearsed', HOW_ELSE)
}

const HOW_ELSE = 'Restore a backup on another machine, and upgrade that first.'

export function apartServer(where: RehearsedIn): ApartServer {
  return SERVERS[where]
}

/** Returns the toolbox whose PostgreSQL, and whose room for it, are those of the scratch database. */
export function scratchToolbox(
  { toolbox, runId }: Pick<StepContext, 'toolbox' | 'runId'>,
  where: RehearsedIn,
): Toolbox {
  if (where === 'server') return toolbox
  const { postgres, disk } = apartOf(toolbox).own(runId)
  return withServer(toolbox, { postgres, storage: { volumes: async () => [], disk } })
}

/** Returns the toolbox that looks at the room where a server of the rehearsal's own would keep its data. */
export function withRoomOf(toolbox: Toolbox, where: RehearsedIn): Toolbox {
  if (where === 'server') return toolbox
  return withServer(toolbox, { storage: { volumes: async () => [], disk: () => apartOf(toolbox).room() } })
}

function withServer(toolbox: Toolbox, other: Partial<Pick<Toolbox['backend'], 'postgres' | 'storage'>>): Toolbox {
  return { ...toolbox, backend: { ...toolbox.backend, ...other } }
}

/** Returns the settings of the live server that a server of the rehearsal's own gets. */
export async function settingsLike(toolbox: Toolbox): Promise<Record<string, string>> {
  const rows = await (await toolbox.database()).query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1)',
    [SETTINGS],
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}
