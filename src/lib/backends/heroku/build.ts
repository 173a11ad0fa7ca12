import { setTimeout as sleep } from 'node:timers/promises'
import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import { explanationOf } from '../../mastodon/known-problems.js'
import type { Outcome } from '../../runner.js'
import { printableLine, shellLine } from '../../text.js'
import type { Config } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import type { Built, Ref, ReleaseBuild, Sources, SourcesWanted } from '../release-build.js'
import type { HerokuApp } from './app.js'
import type { Git } from './git.js'
import { preparedSources } from './sources.js'

/** Milliseconds: the platform ends a build after 15 minutes, and a release phase may follow. */
const BUILD_MS = 3_600_000
const PAUSE_MS = 2_000
/** Milliseconds after a push in which its release has to be seen. */
const SEEN_MS = 60_000
/** So many of the build's last lines tell why it failed. */
const TOLD_LINES = 12

/** Deploys by `git push`; each build makes a release, which is in force at once. */
export class HerokuBuild implements ReleaseBuild {
  readonly #app: HerokuApp
  readonly #git: Git
  readonly #config: Config
  readonly #upstream: string
  readonly #checkout: () => Promise<string | undefined>

  constructor(
    app: HerokuApp,
    parts: { git: Git; config: Config; upstream: string; checkout: () => Promise<string | undefined> },
  ) {
    this.#app = app
    this.#git = parts.git
    this.#config = parts.config
    this.#upstream = parts.upstream
    this.#checkout = parts.checkout
  }

  /** What begins with a dash would be an option of git's. */
  async find(name: string, given?: string): Promise<(Ref & { versionFile: string }) | undefined> {
    const checkout = given ?? (await this.#checkout())
    if (checkout === undefined || name === '' || name.startsWith('-') || name.includes('\0')) return undefined
    const words = ['rev-parse', '--quiet', '--verify', `${name}^{commit}`]
    const commit = (await this.#git.readIn(checkout, words))?.trim()
    if (commit === undefined) return undefined
    const versionFile = await this.#git.readIn(checkout, ['show', `${commit}:lib/mastodon/version.rb`])
    return { name, commit, versionFile: versionFile ?? '' }
  }

  async prepare(wanted: SourcesWanted, onProgress: (text: string) => void): Promise<Sources> {
    const { commit: deployed } = await this.inForce()
    const checkout = wanted.checkout ?? (await this.#checkout())
    const origins = { git: this.#git, upstream: this.#upstream, deployed, onProgress }
    return preparedSources(origins, { ...wanted, ...(checkout === undefined ? {} : { checkout }) })
  }

  async inForce(): Promise<Built> {
    const current = toRecord(await this.#current())
    const image = readText(toRecord(current.oci_image).id)
    const slug = readText(toRecord(current.slug).id)
    const commit = slug === '' ? '' : readText(toRecord(await this.#app.api.read(this.#slugPath(slug))).commit)
    const label = `v${String(current.version ?? '')}`
    return { id: readText(current.id), label, slug: slug || image, commit: commit || undefined }
  }

  /** Apps that are images have no slug: there the release's own words tell. */
  async isInForce(commit: string): Promise<boolean> {
    const found = await this.inForce()
    if (found.commit !== undefined) return found.commit === commit
    const { description } = toRecord(await this.#current())
    const [, short] = /^Deploy ([0-9a-f]{7,40})$/.exec(readText(description)) ?? []
    return short !== undefined && commit.startsWith(short)
  }

  async untilOver(): Promise<void> {
    const deadline = Date.now() + BUILD_MS
    while (await this.#isUnderWay()) {
      if (Date.now() > deadline) throw endless(this.#app)
      await sleep(PAUSE_MS)
    }
  }

  async push(sources: Sources, onLine: (line: string) => void): Promise<void> {
    if (await this.isInForce(sources.commit)) return
    const last: string[] = []
    const outcome = await this.#push(sources, line => {
      const text = printableLine(line.replace(/^remote: ?/, '')).trimEnd()
      last.push(text)
      if (last.length > 400) last.shift()
      onLine(text)
    })
    if (outcome.planned) return
    await this.untilOver()
    if (await this.#comesIntoForce(sources.commit, outcome)) return
    throw notBuilt(this.#app, outcome, last)
  }

  async goBack(to: Built, key: string): Promise<void> {
    const now = await this.inForce()
    if (now.slug !== to.slug) {
      await this.#config.keep(key, await this.#namesIn(now, to))
      await this.#rollBack(to)
    }
    // The platform's way back takes the variables of then along.
    await this.#config.putBack(key)
    await this.#config.forget(key)
  }

  #push({ commit, branch, head, forced }: Sources, onLine: (line: string) => void): Promise<Outcome> {
    const ref = `refs/heads/${branch}`
    const force = forced && head !== null ? [`--force-with-lease=${ref}:${head}`] : []
    const words = ['push', ...force, this.#git.url, `${commit}:${ref}`]
    const byHand = shellLine(['git', '-C', this.#git.folder, ...words])
    return this.#git.run(words, { asLogin: true, effect: 'write', byHand }, onLine)
  }

  /** Its release may be seen a moment later than the end of the push. */
  async #comesIntoForce(commit: string, { exitCode }: Outcome): Promise<boolean> {
    const deadline = Date.now() + (exitCode === 0 ? SEEN_MS : 0)
    for (;;) {
      if (await this.isInForce(commit)) return true
      if (Date.now() > deadline) return false
      await sleep(PAUSE_MS)
    }
  }

  /** A release that waits for its release phase is not in force yet. */
  async #isUnderWay(): Promise<boolean> {
    const range = 'created_at ..; order=desc,max=10'
    const builds = records(await this.#app.api.read(this.#app.path('/builds'), range))
    return [...builds, ...(await this.#releases())].some(({ status }) => status === 'pending')
  }

  async #current(): Promise<Record<string, unknown> | undefined> {
    return (await this.#releases()).find(release => release.current === true)
  }

  async #releases(): Promise<Record<string, unknown>[]> {
    return records(await this.#app.api.read(this.#app.path('/releases'), 'version ..; order=desc,max=10'))
  }

  /** Of the app's own variables: those of add-ons are not the app's to set. */
  async #namesIn(...releases: readonly Built[]): Promise<string[]> {
    const paths = releases.map(({ label }) =>
      this.#app.path(`/releases/${encodeURIComponent(label.slice(1))}/config-vars`),
    )
    const found = await Promise.all(paths.map(path => this.#app.api.read(path)))
    return [...new Set(found.flatMap(vars => Object.keys(toRecord(vars))))]
  }

  async #rollBack(to: Built): Promise<void> {
    const change = {
      method: 'POST',
      path: this.#app.path('/releases'),
      body: { release: to.id },
      exact: `roll ${this.#app.name} back to ${to.label}`,
      byHand: this.#app.byHand(['releases:rollback', to.label]),
    } as const
    await this.#app.api.change(change, async () => (await this.inForce()).slug === to.slug)
    this.#app.forgetConfig()
  }

  #slugPath(slug: string): string {
    return this.#app.path(`/slugs/${encodeURIComponent(slug)}`)
  }
}

function notBuilt(app: HerokuApp, { exitCode }: Outcome, lines: readonly string[]): RefusedError {
  const known = lines.filter(line => explanationOf(line) !== undefined).slice(-TOLD_LINES)
  const last = lines.filter(line => line.trim() !== '').slice(-TOLD_LINES)
  const told = [...new Set([...known, ...last])]
  return new RefusedError({
    code: 'build-failed',
    message: `The push to ${app.name} ${exitCode === 0 ? 'made no release that is in force' : 'failed'}; the former release is in force.`,
    cause: told.join('\n') || 'git gave no reason.',
    next: 'Mend what the build says, and try again.',
  })
}

function endless(app: HerokuApp): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'build-not-over',
    message: `A build on ${app.name} does not end.`,
    next: `${app.byHand(['releases'])}, then: mstdn-ops resume`,
  })
}
