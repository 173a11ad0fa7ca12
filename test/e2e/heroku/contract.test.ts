import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contract, type Facet, type Subject } from '../../contract/suite.js'
import { startHerokuApp } from './bed.js'

const FACETS: readonly Facet[] = [
  'oneOff',
  'processes',
  'releases',
  'maintenance',
  'config',
  'logs',
  'postgres',
  'redis',
]

async function startHeroku(): Promise<Subject> {
  const app = await startHerokuApp({ version: '4.5.3' })
  const state = await mkdtemp(join(tmpdir(), 'mstdn-ops-contract-'))
  // Adapters start programs with this process's own environment.
  const before = { ...process.env }
  Object.assign(process.env, app.env, { XDG_STATE_HOME: state, XDG_CACHE_HOME: state })
  app.log('a line that the app has printed')
  app.log('and another one')
  return {
    flags: { app: app.app },
    env: { MSTDN_OPS_ACCEPT_SELF_SIGNED: 'true' },
    sql: text => app.psql(text),
    stop: async () => {
      process.env = before
      await app.stop()
      await rm(state, { recursive: true })
    },
  }
}

contract('heroku', FACETS, startHeroku)
