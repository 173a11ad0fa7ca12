import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Backend } from '../../src/lib/backends/backend.js'
import { openBackend } from '../../src/lib/backends/index.js'
import { type InstanceFlags, resolveInstance } from '../../src/lib/instance.js'
import { Ledger } from '../../src/lib/ledger.js'
import { Output } from '../../src/lib/output.js'
import { Runner } from '../../src/lib/runner.js'

/** The capabilities of the seam, as `Backend` names them. */
export const FACETS = [
  'oneOff',
  'processes',
  'releases',
  'maintenance',
  'config',
  'logs',
  'files',
  'storage',
  'postgres',
  'redis',
] as const
export type Facet = (typeof FACETS)[number]

/** A server that an adapter is tried on. */
export interface Subject {
  /** What an operator would say and set to mean it. */
  readonly flags: InstanceFlags
  readonly env?: Readonly<Record<string, string>>
  /** Runs SQL by a way of its own, not the adapter's; returns unaligned rows. */
  sql(text: string): Promise<string>
  /** Returns what runs beside the servers where they run, one line each: relays that stay are seen here. */
  bystanders?(): Promise<string[]>
  /** Returns the stored configuration as it lies there, where it is a text with comments. */
  configText?(): Promise<string>
  stop(): Promise<void>
}

/** A subject with an adapter opened on it. */
export interface Opened extends Subject {
  readonly backend: Backend
}

/** Opens the adapter as every command does. */
export async function openSubject(subject: Subject): Promise<Backend> {
  const output = new Output({ logLevel: 'error' })
  const ledger = new Ledger()
  const instance = await resolveInstance(subject.flags, { ...process.env, ...subject.env })
  return openBackend(instance, { output, ledger, runner: new Runner({ output, ledger }) })
}

/** Returns the facet; its absence fails the test. */
export function facetOf<K extends Facet>(backend: Backend, name: K): NonNullable<Backend[K]> {
  const found = backend[name]
  if (found === undefined) throw new Error(`this backend has no ${name}`)
  return found as NonNullable<Backend[K]>
}

/** A process of its own that uses the subject and is meant to be killed. */
export interface Doomed {
  /** Resolves with the first line that it prints. */
  readonly firstLine: Promise<string>
  /** Ends it as `kill -9` does: nothing of it can clean up. */
  kill(): Promise<void>
}

/** Starts `doomed.ts` with this work on the subject. */
export function startDoomed(subject: Subject, work: readonly string[]): Doomed {
  const script = fileURLToPath(new URL('doomed.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(subject.flags), ...work], {
    env: { ...process.env, ...subject.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  return {
    firstLine: lineOf(child),
    kill: () => {
      child.kill('SIGKILL')
      return ended
    },
  }
}

function lineOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    let complaint = ''
    child.stderr?.on('data', chunk => {
      complaint += chunk
    })
    child.stdout?.on('data', chunk => {
      said += chunk
      if (said.includes('\n')) resolve(said.slice(0, said.indexOf('\n')))
    })
    child.once('close', code => reject(new Error(`it ended too early, with ${code}: ${said}${complaint}`)))
  })
}
