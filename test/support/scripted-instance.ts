import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Backend, Config, ConfigChanges, Processes } from '../../src/lib/backends/backend.js'
import { OutcomeUnknownError, RefusedError } from '../../src/lib/errors.js'
import type { Instance } from '../../src/lib/instance.js'
import { Ledger } from '../../src/lib/ledger.js'
import { MastodonApp } from '../../src/lib/mastodon/app.js'
import { Output } from '../../src/lib/output.js'
import type { Database } from '../../src/lib/postgres/access.js'
import { Runner } from '../../src/lib/runner.js'
import type { Toolbox } from '../../src/lib/toolbox.js'

type Environment = Record<string, string>

/** What a scripted instance consists of: files in a folder, so that it outlives the process that is killed. */
export interface ScriptedState {
  stored: Environment
  running: Environment
  /** How often the processes were started anew. */
  starts: number
  /** A write starts the processes anew by itself. */
  atOnce?: boolean
  /** How many more looks see them start. */
  starting?: number
}

export function readState(dir: string): ScriptedState {
  return JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as ScriptedState
}

export function writeState(dir: string, state: ScriptedState): void {
  writeFileSync(join(dir, 'state.json'), JSON.stringify(state))
}

/**
 * The parts that can be made to fail, by name: the next call of each throws once. Of a write the connection can be lost
 * before it takes effect, and after.
 */
export type Fault = 'keep' | 'write' | 'restart' | 'putBack' | 'forget' | 'lost before write' | 'lost after write'

export function planFault(dir: string, fault: Fault): void {
  writeFileSync(join(dir, `fault-${fault}`), '')
}

function failOnce(dir: string, fault: Fault): void {
  const file = join(dir, `fault-${fault}`)
  if (!existsSync(file)) return
  rmSync(file)
  if (fault.startsWith('lost')) throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
  throw new RefusedError({ code: 'planned', message: `${fault} was made to fail` })
}

/** A toolbox over an instance with configuration and processes, and a database that knows two push subscriptions. */
export function scriptedToolbox(dir: string, dryRun = false): Toolbox {
  const ledger = new Ledger()
  const output = new Output({ quiet: true, logLevel: 'error' })
  const backend = scriptedBackend(dir, ledger, dryRun)
  const database = async () => scriptedDatabase()
  const instance: Instance = {
    name: 'scripted',
    projectDir: dir,
    projectDirGiven: true,
    domain: 'mastodon.example',
    mastodonVersion: '4.5.3',
    budget: {},
    backups: {},
    ambient: { inDyno: false },
  }
  return {
    ...{ instance, backend, ledger, output, dryRun, database },
    runner: new Runner({ output, ledger, dryRun }),
    clock: { now: () => new Date() },
    app: new MastodonApp({ instance, backend, database, output }),
    redis: () => Promise.reject(new Error('no Redis here')),
    letGoOfDatabase: async () => undefined,
    letGoOfRedis: async () => undefined,
    close: async () => undefined,
  }
}

function scriptedBackend(dir: string, ledger: Ledger, dryRun: boolean): Backend {
  return {
    kind: 'scripted',
    title: `scripted instance in ${dir}`,
    name: 'scripted',
    preflight: async () => undefined,
    config: scriptedConfig(dir, ledger, dryRun),
    processes: scriptedProcesses(dir, ledger, dryRun),
    close: async () => undefined,
  }
}

function scriptedConfig(dir: string, ledger: Ledger, dryRun: boolean): Config {
  const copy = (key: string) => join(dir, `kept-${key}`)
  return {
    ...(readState(dir).atOnce ? { appliesAtOnce: true } : {}),
    where: 'the scripted file',
    running: async () => new Map(Object.entries(readState(dir).running)),
    stored: async () => new Map(Object.entries(readState(dir).stored)),
    own: async () => new Map(Object.entries(readState(dir).stored)),
    writable: async () => undefined,
    write: async (changes: ConfigChanges) => {
      ledger.record({ kind: 'file', exact: `write ${Object.keys(changes).join()}`, byHand: 'edit' })
      if (dryRun) return
      failOnce(dir, 'write')
      failOnce(dir, 'lost before write')
      const merged = Object.entries({ ...readState(dir).stored, ...changes }).filter(([, value]) => value !== null)
      store(dir, Object.fromEntries(merged) as Environment)
      failOnce(dir, 'lost after write')
    },
    keep: async key => {
      if (!dryRun) failOnce(dir, 'keep')
      if (!dryRun && !existsSync(copy(key))) writeFileSync(copy(key), JSON.stringify(readState(dir).stored))
      return copy(key)
    },
    putBack: async key => {
      failOnce(dir, 'putBack')
      if (!existsSync(copy(key))) return
      store(dir, JSON.parse(readFileSync(copy(key), 'utf8')) as Environment)
    },
    forget: async key => {
      failOnce(dir, 'forget')
      rmSync(copy(key), { force: true })
    },
  }
}

function store(dir: string, stored: Environment): void {
  const state = readState(dir)
  const changed = JSON.stringify(stored) !== JSON.stringify(state.stored)
  const anew = state.atOnce && changed ? { running: stored, starts: state.starts + 1 } : {}
  writeState(dir, { ...state, stored, ...anew })
}

/** Returns the state of the process as one look sees it: a look may see it start. */
function look(dir: string): 'running' | 'restarting' {
  const state = readState(dir)
  const starting = state.starts > 0 ? (state.starting ?? 0) : 0
  if (starting > 0) writeState(dir, { ...state, starting: starting - 1 })
  return starting > 0 ? 'restarting' : 'running'
}

function scriptedProcesses(dir: string, ledger: Ledger, dryRun: boolean): Processes {
  return {
    list: async () => [
      {
        ...{ role: 'web', name: 'web', id: 'web-1', health: 'healthy' },
        state: look(dir),
        startedAt: new Date(readState(dir).starts),
      },
    ],
    restart: async () => {
      ledger.record({ kind: 'command', exact: 'restart', byHand: 'restart' })
      if (dryRun) return
      const state = readState(dir)
      writeState(dir, { ...state, running: state.stored, starts: state.starts + 1 })
      failOnce(dir, 'restart')
    },
    stop: async () => undefined,
    start: async () => undefined,
  }
}

function scriptedDatabase(): Database {
  return {
    ...{ name: 'scripted', where: 'nowhere', dryRun: false, pooled: false },
    query: async <T extends object>() => [{ count: 2 }] as unknown as T[],
    write: async () => 0,
    transaction: work => work(),
    snapshot: work => work(),
    serverVersionNum: async () => 150_000,
    close: async () => undefined,
  }
}
