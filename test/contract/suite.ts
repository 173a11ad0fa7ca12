import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../src/lib/backends/backend.js'
import { configContract } from './config.js'
import { oneOffContract } from './one-off.js'
import {
  filesContract,
  logsContract,
  maintenanceContract,
  processesContract,
  releasesContract,
  storageContract,
} from './processes.js'
import { postgresContract, redisContract } from './servers.js'
import { FACETS, type Facet, type Opened, openSubject, type Subject } from './subject.js'

export type { Facet, Subject } from './subject.js'

/** What is asserted of each capability; `now` returns the opened subject once the tests run. */
const CONTRACTS: Readonly<Record<Facet, (now: Now) => void>> = {
  oneOff: oneOffContract,
  processes: processesContract,
  releases: releasesContract,
  maintenance: maintenanceContract,
  config: configContract,
  logs: logsContract,
  files: filesContract,
  storage: storageContract,
  postgres: postgresContract,
  redis: redisContract,
}

export type Now = () => Opened

/**
 * The promises of the seam, which every adapter keeps. An adapter is added by one call that says how to start a server
 * for it and which facets it has; a facet that comes or goes unsaid fails the suite.
 */
export function contract(name: string, facets: readonly Facet[], start: () => Promise<Subject>): void {
  const absent = FACETS.filter(facet => !facets.includes(facet))
  describe(`${name}${absent.length > 0 ? ` (without ${absent.join(', ')})` : ''}`, () => {
    let subject: Subject | undefined
    let backend: Backend | undefined
    beforeAll(async () => {
      subject = await start()
      backend = await openSubject(subject)
    }, 300_000)
    afterAll(async () => {
      await backend?.close()
      await subject?.stop()
    }, 120_000)
    const now: Now = () => {
      if (subject === undefined || backend === undefined) throw new Error('the subject did not start')
      return { ...subject, backend }
    }
    identityContract(now, facets)
    for (const facet of facets) describe(facet, () => CONTRACTS[facet](now))
  })
}

function identityContract(now: Now, facets: readonly Facet[]): void {
  test('names itself and has the facets that it is said to have', async () => {
    const { backend } = now()
    await backend.preflight()
    expect(FACETS.filter(facet => backend[facet] !== undefined)).toEqual(FACETS.filter(one => facets.includes(one)))
    for (const text of [backend.kind, backend.title, backend.name]) expect(text).not.toBe('')
    for (const facet of FACETS) if (facets.includes(facet)) expect(backend.without?.[facet]).toBeUndefined()
    for (const { cause, next } of Object.values(backend.without ?? {})) expect(cause && next).toBeTruthy()
  })
}
