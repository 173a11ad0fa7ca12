import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeSynced } from '../../atomic-file.js'
import { cacheDir } from '../../paths.js'
import type { AppCommand, AppOutcome } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import { randomNonce } from '../nonce.js'
import type { HerokuApp } from './app.js'

/** From here on a shell speaks: the program was not found, could not be started, or was killed. */
const NO_ANSWER = 126

/** Answers that depend on the deployed code alone, kept by its slug: a one-off dyno takes seconds. */
export class ReleaseMemory {
  readonly #app: HerokuApp

  constructor(app: HerokuApp) {
    this.#app = app
  }

  /** Returns the answer from an earlier time on the same code, or asks and keeps it. */
  async recall(command: AppCommand, ask: () => Promise<AppOutcome>): Promise<AppOutcome> {
    const slug = await this.#slug()
    if (slug === undefined) return ask()
    const file = this.#file(slug, command)
    const known = await keptIn(file)
    if (known !== undefined) return known
    const outcome = await ask()
    const isAnswer = outcome.exitCode < NO_ANSWER && !outcome.planned
    if (isAnswer && (await this.#isStill(slug))) await keep(file, outcome).catch(() => undefined)
    return outcome
  }

  /** The newest release may have failed, or be in its release phase still: dynos run the current one. */
  async #slug(): Promise<string | undefined> {
    const range = 'version ..; order=desc,max=10'
    const releases = records(await this.#app.api.read(this.#app.path('/releases'), range))
    const current = releases.find(release => release.current === true)
    return readText(toRecord(current?.slug).id) || undefined
  }

  /** Where another deploy came in between, which of the two has answered is not known. */
  async #isStill(slug: string): Promise<boolean> {
    return this.#slug().then(
      now => now === slug,
      () => false,
    )
  }

  #file(slug: string, { argv, env }: AppCommand): string {
    const question = createHash('sha256')
      .update(JSON.stringify([this.#app.name, slug, argv, env]))
      .digest('hex')
    return join(cacheDir(), 'releases', `${question}.json`)
  }
}

/** Returns the outcome in the file; undefined where there is none, or something else. */
async function keptIn(file: string): Promise<AppOutcome | undefined> {
  try {
    const { stdout, stderr, exitCode } = toRecord(JSON.parse(await readFile(file, 'utf8')))
    if (typeof stdout !== 'string' || typeof stderr !== 'string' || typeof exitCode !== 'number') return undefined
    return { stdout, stderr, exitCode, planned: false }
  } catch {
    return undefined
  }
}

/** Other runs may read and write the same answer at the same time. */
async function keep(file: string, outcome: AppOutcome): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${randomNonce()}`
  try {
    await writeSynced(temporary, JSON.stringify(outcome))
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
