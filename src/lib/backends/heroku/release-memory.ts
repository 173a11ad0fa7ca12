import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDir } from '../../paths.js'
import type { AppCommand, AppOutcome } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import type { HerokuApp } from './app.js'

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
    const known = await readFile(file, 'utf8').then(JSON.parse, () => undefined)
    if (known !== undefined) return known as AppOutcome
    const outcome = await ask()
    await this.#keep(file, outcome).catch(() => undefined)
    return outcome
  }

  async #slug(): Promise<string | undefined> {
    const [release] = records(await this.#app.api.read(this.#app.path('/releases'), 'version ..; order=desc,max=1'))
    return readText(toRecord(release?.slug).id) || undefined
  }

  #file(slug: string, { argv, env }: AppCommand): string {
    const question = createHash('sha256')
      .update(JSON.stringify([this.#app.name, slug, argv, env]))
      .digest('hex')
    return join(cacheDir(), 'releases', `${question}.json`)
  }

  async #keep(file: string, outcome: AppOutcome): Promise<void> {
    await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
    await writeFile(file, JSON.stringify(outcome), { mode: 0o600 })
  }
}
