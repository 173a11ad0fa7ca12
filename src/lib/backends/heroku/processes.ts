import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeSynced } from '../../atomic-file.js'
import { messageOf, NotUndoneError, type OperatorError, RefusedError } from '../../errors.js'
import { type AppProcess, type Formation, type Processes, type ProcessSize, ROLES, type Role } from '../backend.js'
import type { Dyno, HerokuApp, ProcessType } from './app.js'

/** Milliseconds in which dynos must be up: the platform gives the web process 60 s to listen. */
const LIMIT_MS = 180_000
const PAUSE_MS = 1_000

/** The dynos of the formation. */
export class HerokuProcesses implements Processes {
  readonly formation: Formation
  readonly #app: HerokuApp
  /** Where the sizes stand that `stop` has taken away. */
  readonly #sizesFile: string

  constructor(app: HerokuApp, sizesFile: string) {
    this.#app = app
    this.#sizesFile = sizesFile
    this.formation = new HerokuFormation(app)
  }

  /** A process type of which none runs stands there as one that is stopped. */
  async list(): Promise<AppProcess[]> {
    const [types, dynos] = await Promise.all([this.#app.processTypes(), this.#app.dynos()])
    const roles = await this.#app.roles(types)
    return ROLES.flatMap(role =>
      types
        .filter(type => roles.get(type.name) === role)
        .flatMap(type =>
          processesOf(
            type,
            role,
            dynos.filter(dyno => dyno.type === type.name),
          ),
        ),
    )
  }

  /** @throws NotUndoneError when a dyno is not up after three minutes. */
  async restart(roles: readonly Role[]): Promise<void> {
    const types = (await this.#app.typesOf(roles)).filter(type => type.quantity > 0)
    const before = new Set((await this.#app.dynos()).map(dyno => dyno.id))
    for (const [at, { name }] of types.entries()) {
      await this.#restartType(name, before).catch((error: unknown) => {
        throw at === 0 ? error : halfRestarted(error)
      })
    }
    if (this.#app.api.dryRun) return
    await untilUp(this.#app, types, dyno => !before.has(dyno.id))
  }

  async #restartType(name: string, before: ReadonlySet<string>): Promise<void> {
    const isRestarted = async () => (await this.#dynosOf([name])).some(dyno => !before.has(dyno.id))
    const change = {
      method: 'DELETE',
      path: this.#app.path(`/formations/${encodeURIComponent(name)}`),
      exact: `restart the ${name} dynos of ${this.#app.name}`,
      byHand: this.#app.byHand(['ps:restart', '--process-type', name]),
    } as const
    await this.#app.api.change(change, isRestarted)
  }

  async stop(roles: readonly Role[]): Promise<void> {
    const types = (await this.#app.typesOf(roles)).filter(type => type.quantity > 0)
    if (types.length === 0) return
    await this.#remember(types)
    await this.formation.scale(types.map(({ name }) => ({ name, quantity: 0 })))
  }

  /** As many as `stop` has taken away; a type that stood at 0 by itself stays there. */
  async start(roles: readonly Role[]): Promise<void> {
    const former = await this.#remembered()
    const types = (await this.#app.typesOf(roles)).filter(({ name, quantity }) => quantity === 0 && name in former)
    if (types.length === 0) return
    await this.formation.scale(types.map(({ name }) => ({ name, quantity: former[name] ?? 0 })))
    if (this.#app.api.dryRun) return
    const started = new Set(types.map(({ name }) => name))
    const left = Object.entries(former).filter(([name]) => !started.has(name))
    await (left.length > 0 ? this.#write(Object.fromEntries(left)) : rm(this.#sizesFile, { force: true }))
  }

  async #dynosOf(names: readonly string[]): Promise<Dyno[]> {
    return (await this.#app.dynos()).filter(dyno => names.includes(dyno.type))
  }

  async #remember(types: readonly ProcessType[]): Promise<void> {
    if (this.#app.api.dryRun) return
    const sizes = Object.fromEntries(types.map(({ name, quantity }) => [name, quantity]))
    await this.#write({ ...(await this.#remembered()), ...sizes })
  }

  async #write(sizes: Record<string, number>): Promise<void> {
    await mkdir(dirname(this.#sizesFile), { recursive: true, mode: 0o700 })
    await writeSynced(`${this.#sizesFile}.part`, JSON.stringify(sizes))
    await rename(`${this.#sizesFile}.part`, this.#sizesFile)
  }

  async #remembered(): Promise<Record<string, number>> {
    try {
      return JSON.parse(await readFile(this.#sizesFile, 'utf8')) as Record<string, number>
    } catch {
      return {}
    }
  }
}

class HerokuFormation implements Formation {
  readonly #app: HerokuApp

  constructor(app: HerokuApp) {
    this.#app = app
  }

  async sizes(): Promise<ProcessSize[]> {
    return (await this.#app.processTypes()).map(({ name, quantity, size }) => ({ name, quantity, size }))
  }

  async scale(sizes: readonly Pick<ProcessSize, 'name' | 'quantity'>[]): Promise<void> {
    const words = sizes.map(({ name, quantity }) => `${name}=${quantity}`)
    const change = {
      method: 'PATCH',
      path: this.#app.path('/formation'),
      body: { updates: sizes.map(({ name, quantity }) => ({ type: name, quantity })) },
      exact: `scale ${this.#app.name} to ${words.join(' ')}`,
      byHand: this.#app.byHand(['ps:scale', ...words]),
    } as const
    const crashed = new Set((await this.#app.dynos()).filter(({ state }) => state === 'crashed').map(({ id }) => id))
    await this.#app.api.change(change, () => this.#is(sizes))
    if (this.#app.api.dryRun) return
    await untilUp(this.#app, sizes, () => true, crashed)
  }

  async #is(sizes: readonly Pick<ProcessSize, 'name' | 'quantity'>[]): Promise<boolean> {
    const now = new Map((await this.sizes()).map(({ name, quantity }) => [name, quantity]))
    return sizes.every(({ name, quantity }) => now.get(name) === quantity)
  }
}

/**
 * Returns once each type has as many dynos as it should, all of them up and none that does not count; those that had
 * crashed before are as well as they were. A look that fails is made again.
 *
 * @throws NotUndoneError when one has crashed since, or after three minutes.
 */
async function untilUp(
  app: HerokuApp,
  types: readonly Pick<ProcessType, 'name' | 'quantity'>[],
  counts: (dyno: Dyno) => boolean,
  crashedBefore: ReadonlySet<string> = new Set(),
): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  for (;;) {
    const dynos = await app.dynos().catch(() => undefined)
    const fresh = dynos?.filter(dyno => !crashedBefore.has(dyno.id)) ?? []
    const waiting = types.find(({ name, quantity }) => {
      const ofType = fresh.filter(dyno => dyno.type === name)
      const all = dynos?.filter(dyno => dyno.type === name).length
      return all !== quantity || !ofType.every(dyno => counts(dyno) && isUp(dyno))
    })
    if (waiting === undefined) return
    const crashed = fresh.find(dyno => dyno.type === waiting.name && counts(dyno) && dyno.state === 'crashed')
    if (crashed || Date.now() > deadline) throw notUp(app, crashed?.name ?? waiting.name, crashed)
    await sleep(PAUSE_MS)
  }
}

/** An Eco dyno that nobody has asked for sleeps. */
function isUp({ state }: Dyno): boolean {
  return state === 'up' || state === 'idle'
}

function processesOf(type: ProcessType, role: Role, dynos: readonly Dyno[]): AppProcess[] {
  const base = { role, name: type.name, health: 'none', command: type.command } as const
  if (dynos.length === 0) return [{ ...base, id: type.name, state: 'stopped', startedAt: undefined }]
  return dynos.map(dyno => ({ ...base, id: dyno.name, state: stateOf(dyno), startedAt: dyno.createdAt, life: dyno.id }))
}

function stateOf(dyno: Dyno): AppProcess['state'] {
  if (isUp(dyno)) return 'running'
  return dyno.state === 'starting' ? 'restarting' : 'stopped'
}

/** Some types run anew and others do not. */
function halfRestarted(error: unknown): unknown {
  if (!(error instanceof RefusedError)) return error
  const { code, next } = error as OperatorError
  const cause = [messageOf(error), error.why].filter(Boolean).join(' ')
  const message = 'Not every process type was restarted.'
  return new NotUndoneError({ code, message, cause, ...(next === undefined ? {} : { next }) })
}

function notUp(app: HerokuApp, name: string, crashed: Dyno | undefined): NotUndoneError {
  return new NotUndoneError({
    code: 'not-healthy',
    message: crashed ? `${name} of ${app.name} has crashed.` : `${name} of ${app.name} is not up after 3 minutes.`,
    next: app.byHand(['logs', '-n', '200']),
  })
}
