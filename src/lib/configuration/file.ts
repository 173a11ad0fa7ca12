import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml'
import { recipientProblem } from '../backups/recipient.js'
import { BACKENDS, type ConfigFile, type Mistake } from '../instance.js'
import { upstreamProblem } from './environment.js'

const text = v.pipe(v.string('must be text'), v.nonEmpty('must not be empty'))
const texts = v.array(text, 'must be a list of texts')
const count = v.pipe(
  v.number('must be a number'),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
)
/** Begins a message that stands in place of the value: it may be a secret in the wrong place. */
const UNSHOWN = 'unshown: '
const PLANS = ['mini', 'basic', 'essential-0', 'essential-1', 'essential-2'] as const

const budget = v.strictObject({
  rows: v.optional(count),
  bytes: v.optional(count),
  heroku_plan: v.optional(v.picklist(PLANS, `allowed: ${PLANS.join(', ')}`)),
  warn_at: v.optional(
    v.pipe(v.number('must be a number'), v.minValue(1, 'must be 1 to 100'), v.maxValue(100, 'must be 1 to 100')),
  ),
})
const kept = v.pipe(
  v.number('must be a number'),
  v.integer('must be a whole number'),
  v.minValue(0, 'must be at least 0'),
)
const keep = v.strictObject({ daily: v.optional(kept), weekly: v.optional(kept), monthly: v.optional(kept) })
const backups = v.strictObject({
  dir: v.optional(text),
  recipient: v.optional(
    v.pipe(
      text,
      v.check(
        value => recipientProblem(value) === undefined,
        issue => `${UNSHOWN}${recipientProblem(issue.input) ?? ''}`,
      ),
    ),
  ),
  keep: v.optional(keep),
})
const roles = v.strictObject({ web: v.optional(texts), sidekiq: v.optional(texts), streaming: v.optional(texts) })
const upstream = v.pipe(
  text,
  v.check(
    value => upstreamProblem(value) === undefined,
    'must be a repository for git: an https:// URL without a login, or an absolute folder',
  ),
)
const instance = v.strictObject({
  backend: v.optional(v.picklist(BACKENDS, `allowed: ${BACKENDS.join(', ')}`)),
  project_dir: v.optional(text),
  files: v.optional(texts),
  project_name: v.optional(text),
  profiles: v.optional(texts),
  docker_host: v.optional(text),
  docker_context: v.optional(text),
  roles: v.optional(roles),
  app: v.optional(v.pipe(text, v.regex(/^[a-z0-9][a-z0-9-]{1,40}$/, 'must be the name of an app on Heroku'))),
  checkout: v.optional(text),
  upstream: v.optional(upstream),
  database_url: v.optional(text),
  redis_url: v.optional(text),
  accept_self_signed: v.optional(v.boolean('must be true or false')),
  sandbox_dir: v.optional(text),
  domain: v.optional(v.pipe(text, v.regex(/^[a-z0-9.-]+$/, 'must be a domain like example.social, without https://'))),
  mastodon_version: v.optional(v.pipe(text, v.regex(/^v?\d+\.\d+/, 'must be a version like 4.3.2'))),
  budget: v.optional(budget),
  backups: v.optional(backups),
})
const schema = v.strictObject({
  default: v.optional(text),
  instances: v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]+$/, 'names are made of letters, digits, dots and dashes')),
    instance,
    'must hold named instances',
  ),
})

/** Reads a configuration file; every mistake comes back with file, line and what is allowed. */
export function readConfigFile(path: string, source: string): ConfigFile {
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number) => `${path}:${lines.linePos(offset).line}`
  if (document.errors.length > 0) {
    return {
      instances: {},
      mistakes: document.errors.map(error => ({ place: place(error.pos[0]), problem: firstLine(error.message) })),
    }
  }
  const result = v.safeParse(schema, document.toJS() ?? {})
  if (!result.success) {
    const placed = result.issues.map(issue => ({ issue, offset: offsetOf(document, keysOf(issue)) }))
    const inOrder = placed.sort((a, b) => a.offset - b.offset)
    return { instances: {}, mistakes: inOrder.map(({ issue, offset }) => mistakeOf(issue, place(offset))) }
  }
  const settings = settingsOf(result.output, dirname(resolve(path)))
  const unknownDefault = checkDefault(result.output, document, place)
  return { ...settings, mistakes: [...unknownDefault, ...checkFolders(settings, document, place)] }
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message
}

function keysOf(issue: v.BaseIssue<unknown>): string[] {
  return (issue.path ?? []).map(item => String(item.key))
}

function mistakeOf(issue: v.BaseIssue<unknown>, where: string): Mistake {
  const name = keysOf(issue).join('.') || 'the file'
  if (issue.type === 'strict_object') return unknownKey(where, name, issue)
  if (issue.received === 'undefined') return { place: where, problem: `${name} is missing` }
  if (issue.message.startsWith(UNSHOWN))
    return { place: where, problem: `${name} ${issue.message.slice(UNSHOWN.length)}` }
  const [, allowed] = /^allowed: (.*)$/.exec(issue.message) ?? []
  const got = `${name} is ${issue.received}`
  return allowed ? { place: where, problem: got, allowed } : { place: where, problem: `${got}: ${issue.message}` }
}

function unknownKey(where: string, name: string, issue: v.BaseIssue<unknown>): Mistake {
  if (issue.expected === 'never') return { place: where, problem: `${name} is not a setting`, allowed: keysAt(name) }
  if (issue.received === 'undefined') return { place: where, problem: `${name} is missing` }
  return { place: where, problem: `${name} must hold settings` }
}

function keysAt(name: string): string {
  if (/^instances\.[^.]+\.budget\./.test(name)) return Object.keys(budget.entries).join(', ')
  if (/^instances\.[^.]+\.backups\.keep\./.test(name)) return Object.keys(keep.entries).join(', ')
  if (/^instances\.[^.]+\.backups\./.test(name)) return Object.keys(backups.entries).join(', ')
  if (/^instances\.[^.]+\.roles\./.test(name)) return Object.keys(roles.entries).join(', ')
  if (/^instances\.[^.]+\./.test(name)) return Object.keys(instance.entries).join(', ')
  return Object.keys(schema.entries).join(', ')
}

/** Returns where the key (or the nearest thing above it) stands in the file. */
function offsetOf(document: Document, path: readonly string[]): number {
  let node: unknown = document.contents
  let offset = 0
  for (const key of path) {
    if (!isMap(node)) break
    const pair = node.items.find(
      item => isPair(item) && String((item.key as { value?: unknown } | null)?.value) === key,
    )
    if (pair === undefined) break
    if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0]
    node = pair.value
  }
  return offset
}

type Parsed = v.InferOutput<typeof schema>

function checkDefault(parsed: Parsed, document: Document, place: (offset: number) => string): Mistake[] {
  if (parsed.default === undefined || parsed.default in parsed.instances) return []
  const allowed = Object.keys(parsed.instances).join(', ')
  return [
    {
      place: place(offsetOf(document, ['default'])),
      problem: `default is "${parsed.default}", which is no instance of this file`,
      allowed,
    },
  ]
}

/** The lock of one instance does not keep another from its folder: each clears away what is unfinished there. */
function checkFolders(
  { instances }: Omit<ConfigFile, 'mistakes'>,
  document: Document,
  place: (offset: number) => string,
): Mistake[] {
  const seen = new Map<string, string>()
  return Object.entries(instances).flatMap(([name, { backups }]) => {
    const other = backups?.dir && seen.get(backups.dir)
    if (backups?.dir && !other) seen.set(backups.dir, name)
    if (!other) return []
    const path = ['instances', name, 'backups', 'dir']
    return [
      { place: place(offsetOf(document, path)), problem: `${path.join('.')} is the folder of "${other}" already` },
    ]
  })
}

/** Folders are relative to the file, not to where the command was typed. */
function settingsOf(parsed: Parsed, base: string): Omit<ConfigFile, 'mistakes'> {
  const instances = Object.entries(parsed.instances).map(([name, raw]) => [name, settingOf(raw, base)] as const)
  return { ...(parsed.default ? { default: parsed.default } : {}), instances: Object.fromEntries(instances) }
}

function settingOf(raw: v.InferOutput<typeof instance>, base: string): ConfigFile['instances'][string] {
  const settings = {
    backend: raw.backend,
    projectDir: raw.project_dir && resolve(base, raw.project_dir),
    files: raw.files,
    projectName: raw.project_name,
    profiles: raw.profiles,
    dockerHost: raw.docker_host,
    dockerContext: raw.docker_context,
    roles: raw.roles,
    databaseUrl: raw.database_url,
    redisUrl: raw.redis_url,
    app: raw.app,
    checkout: raw.checkout && resolve(base, raw.checkout),
    upstream: raw.upstream,
    acceptSelfSigned: raw.accept_self_signed,
    sandboxDir: raw.sandbox_dir && resolve(base, raw.sandbox_dir),
    domain: raw.domain,
    mastodonVersion: raw.mastodon_version,
    budget: raw.budget && {
      rows: raw.budget.rows,
      bytes: raw.budget.bytes,
      herokuPlan: raw.budget.heroku_plan,
      warnAt: raw.budget.warn_at,
    },
    backups: raw.backups && { ...raw.backups, ...(raw.backups.dir && { dir: resolve(base, raw.backups.dir) }) },
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}
