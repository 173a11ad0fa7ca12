import { messageOf } from '../../errors.js'
import { newestRelease, securityReleases, supportEnds, supportedReleases } from '../releases.js'
import { MastodonVersion } from '../version.js'

/** Mastodon's own list of newer releases. Source: config/mastodon.yml @v4.6.5; UPDATE_CHECK_URL replaces it (4.2.0). */
const UPDATE_CHECK = 'https://api.joinmastodon.org/update-check'
const PATIENCE_MS = 10_000
/** Some hundred times what the answer takes. */
const LARGEST_BYTES = 256 * 1024

/** A release that is newer than the installed one. */
export interface AvailableRelease {
  version: string
  kind: 'patch' | 'minor' | 'major'
  /** Whether it fixes security problems of the installed release; null where that is not known. */
  security: boolean | null
  /** Where its notes are; null where the answer names no https address. */
  notes: string | null
  /** YYYY-MM-DD on which the support of its series ends, where it is known. */
  supportEnds: string | null
  /** Who told: the project's own list, or the table that this version of mstdn-ops has. */
  source: 'update-check' | 'table'
}

export interface Availability {
  installed: string
  /** Oldest first. */
  available: readonly AvailableRelease[]
  /** The address that was asked. */
  asked: string | null
  /** Why there is no answer, so that the table alone tells; null where there is one. */
  problem: string | null
}

export interface AskOptions {
  /** UPDATE_CHECK_URL of the instance: empty, the check is switched off; absent, the project's own address is asked. */
  url?: string | undefined
  timeoutMs?: number
}

/**
 * Returns the releases that are newer than the installed one: those that the project's own list names, and those in
 * the table that it does not name. Never fails: without an answer the table alone tells, and the problem is named.
 */
export async function availableReleases(installed: MastodonVersion, options: AskOptions = {}): Promise<Availability> {
  const address = options.url ?? UPDATE_CHECK
  const answer = await answerOf(address, installed, options.timeoutMs ?? PATIENCE_MS)
  const told = 'problem' in answer ? [] : answer.releases
  const known = fromTable(installed).filter(row => !told.some(({ version }) => isAsNew(version, row.version)))
  const available = [...told, ...known].sort((a, b) => MastodonVersion.compare(of(a.version), of(b.version)))
  const problem = 'problem' in answer ? answer.problem : null
  return { installed: installed.toString(), available, asked: address === '' ? null : withoutLogin(address), problem }
}

const { of } = MastodonVersion

/** It is shown. */
function withoutLogin(address: string): string {
  return URL.canParse(address) && hasLogin(new URL(address)) ? new URL(address).origin : address
}

function hasLogin({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

/** Of the same series, and no older. */
function isAsNew(told: string, other: string): boolean {
  return of(told).series === of(other).series && !of(told).isOlderThan(of(other))
}

type Answer = { releases: AvailableRelease[] } | { problem: string }

async function answerOf(address: string, installed: MastodonVersion, timeoutMs: number): Promise<Answer> {
  if (address === '') return { problem: 'it is switched off: UPDATE_CHECK_URL is empty' }
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return { problem: 'UPDATE_CHECK_URL is no web address' }
  if (hasLogin(url)) return { problem: 'UPDATE_CHECK_URL holds a user name or a password, which are not sent' }
  url.searchParams.set('version', withoutMetadata(installed))
  try {
    return await ask(url, installed, timeoutMs)
  } catch (error) {
    return { problem: problemOf(error, timeoutMs) }
  }
}

/** What a fork or a build adds is left out, as Mastodon does (app/services/software_update_check_service.rb @v4.6.5). */
function withoutMetadata(version: MastodonVersion): string {
  return version.toString().split('+', 1)[0] ?? ''
}

async function ask(url: URL, installed: MastodonVersion, timeoutMs: number): Promise<Answer> {
  const headers = { Accept: 'application/json', 'User-Agent': 'mstdn-ops update check' }
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) })
  if (response.status !== 200) {
    await response.body?.cancel()
    return { problem: `it answered with status ${response.status}` }
  }
  const text = await limited(response)
  if (text === undefined) return { problem: `it answered with more than ${LARGEST_BYTES / 1024} KiB` }
  const notices = await readNotices(text)
  if (notices === undefined) return { problem: 'its answer is not what Mastodon expects of it' }
  return { releases: notices.map(notice => releaseOf(notice, installed)).filter(release => release !== undefined) }
}

/** @returns undefined for a body that is longer than any answer should be. */
async function limited(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > LARGEST_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

interface Notice {
  version: string
  urgent: boolean
  releaseNotes?: string | null | undefined
}

/** The shape is Mastodon's: `updatesAvailable`, a list of version, urgent, type, releaseNotes (same source). */
async function readNotices(text: string): Promise<Notice[] | undefined> {
  const { array, boolean, check, looseObject, nullish, object, optional, pipe, safeParse, string } = await import(
    'valibot'
  )
  const version = pipe(
    string(),
    check(name => MastodonVersion.parse(name) !== undefined),
  )
  const notice = looseObject({ version, urgent: optional(boolean(), false), releaseNotes: nullish(string()) })
  const parsed = safeParse(object({ updatesAvailable: array(notice) }), jsonOf(text))
  return parsed.success ? parsed.output.updatesAvailable : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function releaseOf(notice: Notice, installed: MastodonVersion): AvailableRelease | undefined {
  const version = of(notice.version)
  if (!version.isNewerThan(installed)) return undefined
  return {
    ...described(version, installed),
    security: notice.urgent || fixesFor(installed, version) === true,
    notes: link(notice.releaseNotes),
    source: 'update-check',
  }
}

function link(address: string | null | undefined): string | null {
  const url = address && URL.canParse(address) ? new URL(address) : undefined
  return url?.protocol === 'https:' ? url.href : null
}

function described(version: MastodonVersion, installed: MastodonVersion) {
  const kind = version.major !== installed.major ? 'major' : version.minor !== installed.minor ? 'minor' : 'patch'
  return { version: version.toString(), kind, supportEnds: supportEnds(version) ?? null } as const
}

/** The newest release of the installed series, of each that is supported, and of all. */
function fromTable(installed: MastodonVersion): AvailableRelease[] {
  const named = [newestRelease(installed.series), ...supportedReleases(), newestRelease()]
  const newer = named.filter(version => version?.isNewerThan(installed)).map(String)
  return [...new Set(newer)].map(of).map(version => ({
    ...described(version, installed),
    security: version.series === installed.series ? fixesFor(installed, version) : null,
    notes: null,
    source: 'table',
  }))
}

/** True where it is known that one on the way does, whatever the list says; the table says nothing of the others. */
function fixesFor(installed: MastodonVersion, version: MastodonVersion): boolean | null {
  return securityReleases(installed, version).length > 0 ? true : null
}

function problemOf(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `it did not answer within ${timeoutMs / 1000} s`
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return `it could not be reached (${messageOf(cause) || messageOf(error)})`
}
