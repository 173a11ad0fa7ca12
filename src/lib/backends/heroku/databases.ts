import { OutcomeUnknownError, RefusedError, UsageError } from '../../errors.js'
import { printableLine } from '../../text.js'
import type { Excuse, PostgresConnector } from '../backend.js'
import { readText, records, toRecord } from '../json.js'
import type { DatabaseAddon, DatabaseAddons, DatabasePlan, Price } from '../managed-database.js'
import type { HerokuApp } from './app.js'
import { type Attachment, attachmentsOf, CURRENT } from './attachments.js'
import type { DataApi } from './data-api.js'
import { isUnreachable } from './platform-api.js'
import { promoteAddon } from './promote.js'
import { isExcuse } from './servers.js'
import { pauses } from './transfer-wait.js'

const SERVICE = 'heroku-postgresql'

/** How long is waited for a database: minutes on the small plans, more where it gets a server of its own. */
export interface Patience {
  pauseMs: number
  limitMs: number
}
const PATIENCE: Patience = { pauseMs: 5_000, limitMs: 30 * 60_000 }

export interface DatabasesParts {
  data: () => DataApi
  /** Returns the way into the database at the URL of a config var. */
  connect: (url: string | undefined, variable: string) => PostgresConnector | Excuse
  patience?: Patience
}

/** The add-ons heroku-postgresql of an app. */
export class HerokuDatabases implements DatabaseAddons {
  readonly #app: HerokuApp
  readonly #parts: DatabasesParts
  readonly #patience: Patience

  constructor(app: HerokuApp, parts: DatabasesParts) {
    this.#app = app
    this.#parts = parts
    this.#patience = parts.patience ?? PATIENCE
  }

  async list(): Promise<DatabaseAddon[]> {
    const [addons, attachments] = await Promise.all([
      this.#app.api.read(this.#app.path('/addons')),
      attachmentsOf(this.#app),
    ])
    const ofService = records(addons).filter(({ addon_service }) => readText(toRecord(addon_service).name) === SERVICE)
    return ofService.map(raw => addonFrom(raw, attachments))
  }

  async plans(): Promise<DatabasePlan[]> {
    const plans = records(await this.#app.api.read(`/addon-services/${SERVICE}/plans`)).map(planFrom)
    return plans.sort((one, other) => (one.price?.cents ?? Infinity) - (other.price?.cents ?? Infinity))
  }

  async create(plan: string, known?: readonly string[]): Promise<DatabaseAddon> {
    const wanted = fullPlan(plan)
    // Before anything is ordered: without the data API nobody can tell when it is ready.
    const data = this.#parts.data()
    const before = known ?? (await this.list()).map(({ name }) => name)
    const isOurs = ({ name, plan, state }: DatabaseAddon) =>
      plan === wanted && !before.includes(name) && state !== 'deprovisioned'
    const find = async () => (await this.list()).find(isOurs)
    const name = (await find())?.name ?? (await this.#order(wanted, find))
    return name === undefined ? planned(wanted) : this.#untilReady(name, data)
  }

  async promote(addon: string): Promise<void> {
    await promoteAddon(this.#app, this.#parts.data(), addon, this.#patience)
  }

  async destroy(addon: string): Promise<void> {
    const found = await this.#known(addon)
    if (found === undefined) return
    if (found.isCurrent) throw inUse(this.#app, addon)
    const isGone = async () => (await this.#known(addon)) === undefined
    const change = {
      method: 'DELETE',
      path: this.#app.path(`/addons/${encodeURIComponent(addon)}`),
      body: { force: false },
      exact: `destroy ${addon} of ${this.#app.name} with all its data`,
      byHand: this.#app.byHand(['addons:destroy', addon, '--confirm', this.#app.name]),
    } as const
    await this.#app.api.change(change, isGone).finally(() => this.#app.forgetConfig())
    if (!this.#app.api.dryRun) await this.#until(isGone, () => notDone(this.#app, `${addon} is not gone yet`))
  }

  async connector(addon: string): Promise<PostgresConnector> {
    const found = await this.#require(addon)
    const variable = `${found.isCurrent ? CURRENT : found.attachments[0]}_URL`
    this.#app.forgetConfig()
    const way = this.#parts.connect((await this.#app.config()).get(variable), variable)
    if (!isExcuse(way)) return way
    throw new RefusedError({ code: 'database-unreachable', message: `${addon} cannot be reached.`, ...way })
  }

  /** Returns the new add-on's name; undefined in a dry run. */
  async #order(plan: string, find: () => Promise<DatabaseAddon | undefined>): Promise<string | undefined> {
    const change = {
      method: 'POST',
      path: this.#app.path('/addons'),
      body: { plan: { name: plan } },
      exact: `order a database of the plan ${plan} for ${this.#app.name}`,
      byHand: this.#app.byHand(['addons:create', plan]),
    } as const
    const answer = await this.#app.api.change(change, async () => (await find()) !== undefined)
    if (this.#app.api.dryRun) return undefined
    const name = readText(toRecord(answer).name) || (await find())?.name
    if (name === undefined) throw notDone(this.#app, `Heroku did not name the database of the plan ${plan}`)
    return name
  }

  /** Its variable comes with the last of its states, and it answers some time after that. */
  async #untilReady(addon: string, data: DataApi): Promise<DatabaseAddon> {
    const seen: { found?: DatabaseAddon } = {}
    const isReady = async () => {
      const found = await this.#known(addon)
      if (found === undefined || found.state === 'deprovisioned') throw notMade(this.#app, addon)
      seen.found = found
      return found.state === 'provisioned' && !(await isWaiting(data, addon))
    }
    await this.#until(isReady, () => notDone(this.#app, `${addon} is not ready yet`))
    this.#app.forgetConfig()
    return seen.found ?? this.#require(addon)
  }

  /** What was ordered goes on while Heroku cannot be asked. */
  async #until(isSo: () => Promise<boolean>, tooLate: () => OutcomeUnknownError): Promise<void> {
    const deadline = Date.now() + this.#patience.limitMs
    const pause = pauses(this.#patience.pauseMs)
    const look = () =>
      isSo().catch((error: unknown) => {
        if (isUnreachable(error)) return false
        throw error
      })
    while (!(await look())) {
      if (Date.now() > deadline) throw tooLate()
      await pause()
    }
  }

  async #known(addon: string): Promise<DatabaseAddon | undefined> {
    return (await this.list()).find(({ name }) => name === addon)
  }

  async #require(addon: string): Promise<DatabaseAddon> {
    const found = await this.#known(addon)
    if (found) return found
    throw new RefusedError({
      code: 'no-database-addon',
      message: `${this.#app.name} has no database ${printableLine(addon)}.`,
      next: `${this.#app.byHand(['addons'])} lists the add-ons.`,
    })
  }
}

/** One that the data API does not know yet is waited for too (`wait_status`, as `pg:wait` asks). */
async function isWaiting(data: DataApi, addon: string): Promise<boolean> {
  const path = `/client/v11/databases/${encodeURIComponent(addon)}/wait_status`
  const status = await data.read(path).catch(() => ({ 'waiting?': true }))
  return toRecord(status)['waiting?'] === true
}

function addonFrom(raw: Record<string, unknown>, attachments: readonly Attachment[]): DatabaseAddon {
  const name = readText(raw.name)
  const ours = attachments.filter(({ addon, namespace }) => addon.name === name && namespace === null)
  const names = ours.map(attachment => attachment.name)
  return {
    name,
    plan: readText(toRecord(raw.plan).name),
    price: priceFrom(raw.billed_price),
    state: readText(raw.state) as DatabaseAddon['state'],
    attachments: names,
    isCurrent: names.includes(CURRENT),
  }
}

function planFrom(raw: Record<string, unknown>): DatabasePlan {
  return { plan: readText(raw.name), price: priceFrom(raw.price) }
}

function priceFrom(value: unknown): Price | undefined {
  const { cents, unit } = toRecord(value)
  return typeof cents === 'number' ? { cents, unit: readText(unit) || 'month' } : undefined
}

function planned(plan: string): DatabaseAddon {
  return { name: 'none', plan, price: undefined, state: 'planned', attachments: [], isCurrent: false }
}

/** `essential-0` is enough. */
function fullPlan(plan: string): string {
  const full = plan.includes(':') ? plan : `${SERVICE}:${plan}`
  if (/^heroku-postgresql:[a-z0-9-]+$/.test(full)) return full
  throw new UsageError({
    code: 'bad-plan',
    message: `"${printableLine(plan)}" is no plan of ${SERVICE}.`,
    next: `heroku addons:plans ${SERVICE} lists them, like essential-0.`,
  })
}

function inUse(app: HerokuApp, addon: string): RefusedError {
  return new RefusedError({
    code: 'database-in-use',
    message: `DATABASE_URL of ${app.name} leads to ${addon}.`,
    next: 'Promote another database first.',
  })
}

function notMade(app: HerokuApp, addon: string): RefusedError {
  return new RefusedError({
    code: 'database-not-made',
    message: `Heroku could not make the database ${addon}.`,
    next: `${app.byHand(['addons'])}; see https://status.heroku.com, then run the command again.`,
  })
}

function notDone(app: HerokuApp, what: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'database-not-ready',
    message: `${what}.`,
    next: `It goes on by itself: ${app.byHand(['addons'])}`,
  })
}
