import type { PostgresConnector } from '../../backends/backend.js'
import type { Captures } from '../../backends/managed-database.js'
import { lacks } from '../../open-toolbox.js'
import type { StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

/** Returns the facet. @throws RefusedError where the platform makes no backups. */
export function capturesOf({ backend }: Toolbox): Captures {
  if (backend.captures) return backend.captures
  throw lacks(backend, 'captures', 'backups of the platform’s own')
}

/** Leads to the live database. */
export async function liveDatabase({ toolbox }: StepContext): Promise<PostgresConnector> {
  if (toolbox.backend.postgres) return toolbox.backend.postgres
  throw lacks(toolbox.backend, 'postgres', 'PostgreSQL')
}
