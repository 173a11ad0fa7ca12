import type { Maintenance, Release, Releases } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import type { ReleaseBuild } from '../release-build.js'
import type { HerokuApp } from './app.js'

/** Every state of code and config vars that was in force, as the platform numbers them. */
export class HerokuReleases implements Releases {
  readonly build: ReleaseBuild
  readonly #app: HerokuApp

  constructor(app: HerokuApp, build: ReleaseBuild) {
    this.#app = app
    this.build = build
  }

  async current(): Promise<{ label: string } | undefined> {
    const [release] = await this.list(1)
    return release && { label: release.label }
  }

  async list(limit: number): Promise<Release[]> {
    const range = `version ..; order=desc,max=${limit}`
    return records(await this.#app.api.read(this.#app.path('/releases'), range)).map(releaseFrom)
  }
}

function releaseFrom(raw: Record<string, unknown>): Release {
  return {
    label: `v${String(raw.version ?? '')}`,
    at: new Date(readText(raw.created_at)),
    user: readText(toRecord(raw.user).email),
    description: readText(raw.description),
    current: raw.current === true,
  }
}

/** The platform's page for visitors; worker dynos and the database go on. */
export class HerokuMaintenance implements Maintenance {
  readonly #app: HerokuApp

  constructor(app: HerokuApp) {
    this.#app = app
  }

  async isOn(): Promise<boolean> {
    return toRecord(await this.#app.api.read(this.#app.path())).maintenance === true
  }

  async set(on: boolean): Promise<void> {
    const change = {
      method: 'PATCH',
      path: this.#app.path(),
      body: { maintenance: on },
      exact: `turn the maintenance mode of ${this.#app.name} ${on ? 'on' : 'off'}`,
      byHand: this.#app.byHand([`maintenance:${on ? 'on' : 'off'}`]),
    } as const
    await this.#app.api.change(change, async () => (await this.isOn()) === on)
  }
}
