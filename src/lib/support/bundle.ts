import { ROLES } from '../backends/backend.js'
import { CHECKS, runChecks } from '../checks/index.js'
import { diagnosisOf } from '../diagnosis/diagnosis.js'
import { lookAtInstance } from '../diagnosis/instance.js'
import { Tally } from '../diagnosis/tally.js'
import { messageOf } from '../errors.js'
import { masked } from '../mask.js'
import { runLines, runStory } from '../runs/story.js'
import { readStatus } from '../status/status.js'
import { printable, printableLine } from '../text.js'
import type { Toolbox } from '../toolbox.js'
import { toolVersion } from '../version.js'
import type { ArchiveFile } from './archive.js'

export interface BundleOptions {
  /** How many of the last lines of each process. */
  lines: number
  /** How many of the last runs. */
  runs: number
}

/** What says more than this in one line is no message. */
const LONGEST_LINE = 4_000

const ABOUT = `What an operator of a Mastodon server shows to others who help.

versions.json    of mstdn-ops, Node.js and Mastodon
status.json      mstdn-ops status --json
doctor.json      mstdn-ops doctor --json
diagnosis.json   mstdn-ops diagnose --json
config.txt       which variables are set; no value
runs/            the last runs: steps, events, what was said
logs.txt         the last lines of web, streaming and Sidekiq

Secrets of the configuration, e-mail addresses, network addresses, tokens and passwords in URLs are taken out. What
people wrote, names of accounts and names of servers may still stand in the logs: look at every file before you send it.
`

/** Returns the files of the bundle, free of secrets. A part that cannot be read says why, and keeps no other away. */
export async function bundleOf(toolbox: Toolbox, options: BundleOptions): Promise<ArchiveFile[]> {
  const parts = await Promise.all([
    partOf('versions.json', () => versions(toolbox)),
    partOf('status.json', () => readStatus(toolbox)),
    partOf('doctor.json', async () => ({ checks: await runChecks(toolbox, CHECKS) })),
    partOf('diagnosis.json', () => diagnosis(toolbox, options)),
    partOf('config.txt', () => variables(toolbox)),
    partOf('logs.txt', () => logs(toolbox, options)),
    ...(await lastRuns(toolbox, options)).map(id => partOf(`runs/${id}.json`, () => run(toolbox, id))),
  ])
  // Last, for only now every secret that was come across is known.
  return [{ name: 'README.txt', text: ABOUT }, ...parts.map(part => cleaned(toolbox, part))]
}

/** A text, or data for JSON. */
interface Part {
  name: string
  content: string | object
}

async function partOf(name: string, read: () => Promise<Part['content']>): Promise<Part> {
  try {
    return { name, content: await read() }
  } catch (error) {
    return { name, content: `It could not be read: ${messageOf(error)}\n` }
  }
}

/** Each string of its own, for what is put in its place must not break JSON. */
function cleaned({ output }: Toolbox, { name, content }: Part): ArchiveFile {
  const clean = (text: string) => printable(masked(output.redactor.text(text)))
  if (typeof content === 'string') return { name, text: clean(content) }
  const text = JSON.stringify(content, (_, value) => (typeof value === 'string' ? clean(value) : value), 2)
  return { name, text: `${output.redactor.text(text)}\n` }
}

async function versions(toolbox: Toolbox): Promise<object> {
  const mastodon = await toolbox.app.version().then(String, messageOf)
  const { kind } = toolbox.backend
  return { 'mstdn-ops': toolVersion(), node: process.version, platform: process.platform, backend: kind, mastodon }
}

async function diagnosis(toolbox: Toolbox, { lines }: BundleOptions): Promise<object> {
  const tally = new Tally()
  const looked = await lookAtInstance(toolbox, lines, tally)
  return diagnosisOf(tally.found, looked, await toolbox.app.version().catch(() => undefined))
}

/** Names alone tell much, and no value can be told from a secret for certain. */
async function variables({ backend }: Toolbox): Promise<string> {
  if (backend.config === undefined) return `The ${backend.kind} backend has no configuration.\n`
  const [running, stored] = await Promise.all([backend.config.running(), backend.config.stored()])
  const names = [...new Set([...running.keys(), ...stored.keys()])].sort()
  const state = (value: string | undefined) => (value === undefined ? 'not set' : value === '' ? 'empty' : 'set')
  const line = (name: string) => {
    const differs = running.get(name) === stored.get(name) ? '' : ` (what runs has another value)`
    return `${printableLine(name)}: ${state(stored.get(name))}${differs}\n`
  }
  return names.map(line).join('')
}

async function lastRuns({ instance }: Toolbox, { runs }: BundleOptions): Promise<string[]> {
  const lines = await runLines(instance.name).catch(() => [])
  return lines.slice(0, runs).map(({ id }) => id)
}

/** Without who ran it, and on which machine. */
async function run({ instance }: Toolbox, id: string): Promise<object> {
  const { host: _host, user: _user, events, ...story } = await runStory(instance.name, id)
  const told = events.filter(({ event }) => event !== 'run')
  return { ...story, events: told }
}

async function logs({ backend }: Toolbox, { lines }: BundleOptions): Promise<string> {
  if (backend.logs === undefined) return `The ${backend.kind} backend has no logs.\n`
  const found: string[] = []
  const onLine = (line: string, source: string, time = '') =>
    found.push(`${source} | ${time} ${line.slice(0, LONGEST_LINE)}\n`)
  // The database's log quotes statements, and with them what people have written to few.
  await backend.logs.read({ roles: ROLES, lines, follow: false, onLine })
  return found.join('')
}
