import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import type { App, Formation } from './app.js'
import { type Container, type ContainerOptions, startContainer } from './container.js'
import { notFound, Refusal } from './exchange.js'
import type { Faults } from './faults.js'
import type { FormationProcesses } from './formation-processes.js'
import type { Logs } from './logs.js'
import type { Rendezvous } from './rendezvous.js'

export interface Dyno {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly command: string
  readonly size: string
  readonly release: { readonly id: string; readonly version: number }
  readonly createdAt: Date
  readonly attachUrl: string | null
  /** From when on it is `up`; before, `starting`. */
  upAt: Date
}

/** A one-off that was asked for, and how it ended. */
export interface Run {
  readonly dyno: string
  readonly command: string
  readonly attached: boolean
  /** The release whose variables it had. */
  readonly version: number
  readonly startedAt: Date
  /** Not there while it runs. `killed`: by whom. */
  ended?: { readonly exitCode: number; readonly killed?: 'disconnect' | 'stop' | 'memory'; readonly at: Date }
}

export interface OneOffOptions {
  readonly command: string
  readonly attach: boolean
  readonly env: Readonly<Record<string, string>>
  readonly terminal: boolean
  readonly type: string
  readonly size: string
}

/** Where the processes of one-offs run. */
export interface Place {
  /** Returns the image of a release of Mastodon. */
  readonly imageOf: (version: string) => string
  readonly labels: Readonly<Record<string, string>>
  /** What containers of this app are called before their dyno's name. */
  readonly prefix: string
  readonly files: readonly string[]
  readonly tmp?: string
  /** Variables of the test bed, not of the app. */
  readonly env: Readonly<Record<string, string>>
}

export interface DynosOptions {
  readonly app: App
  readonly logs: Logs
  readonly faults: Faults
  readonly rendezvous: Rendezvous
  readonly rendezvousPort: () => number
  readonly place: Place
  /** How many one-offs may run at a time. */
  readonly limit: number
  /** Runs what the formation's dynos are for; records only where it is left out. */
  readonly formation?: FormationProcesses
}

/** Dynos by their name, or by their process type. */
export type Which = { readonly name: string; readonly type?: never } | { readonly type: string; readonly name?: never }

const BOOT_MS = 150
/** How long a one-off waits for its client (the platform's error R13). */
const ATTACH_MS = 60_000

interface OneOff {
  readonly dyno: Dyno
  readonly options: OneOffOptions
  container?: Container
  run?: Run
  killed?: NonNullable<Run['ended']>['killed']
  waiting?: NodeJS.Timeout
}

/** The dynos of an app: those of its formation, which are records, and one-offs, which are processes. */
export class Dynos {
  readonly runs: Run[] = []
  readonly #options: DynosOptions
  #formation: Dyno[] = []
  readonly #oneOffs = new Map<string, OneOff>()

  constructor(options: DynosOptions) {
    this.#options = options
  }

  list(): Dyno[] {
    return [...this.#formation, ...[...this.#oneOffs.values()].map(({ dyno }) => dyno)]
  }

  dynoOf(key: string): Dyno {
    const found = this.list().find(({ id, name }) => id === key || name === key)
    if (!found) throw notFound('dyno', 'dyno')
    return found
  }

  /** Replaces the formation's dynos that fit, or all. One-offs of that name or type are ended. */
  restart(which?: Which): void {
    const fits = (dyno: Dyno) => (which === undefined ? true : dyno.name === which.name || dyno.type === which.type)
    const { app } = this.#options
    this.#formation = this.#formation.map(dyno =>
      fits(dyno) ? this.#boot(app.formationOf(dyno.type), dyno.name) : dyno,
    )
    this.#tellFormation()
    if (which) void this.#stopOneOffs(fits)
  }

  /** Brings the dynos to what the formation says. */
  scale(): void {
    this.#formation = this.#options.app.formation.flatMap(part =>
      Array.from({ length: part.quantity }, (_, index) => {
        const name = `${part.type}.${index + 1}`
        return this.#formation.find(dyno => dyno.name === name) ?? this.#boot(part, name)
      }),
    )
    this.#tellFormation()
  }

  #tellFormation(): void {
    const { app, formation } = this.#options
    formation?.bring(this.#formation, { version: app.slug().version, env: app.config() })
  }

  #boot({ type, command, size }: Formation, name: string): Dyno {
    const dyno = this.#dyno({ name, type, command, size, attachUrl: null, upAt: new Date(Date.now() + BOOT_MS) })
    const { logs } = this.#options
    logs.add('heroku', name, `Starting process with command \`${command}\``)
    setTimeout(() => logs.add('heroku', name, 'State changed from starting to up'), BOOT_MS).unref()
    return dyno
  }

  #dyno(part: Omit<Dyno, 'id' | 'release' | 'createdAt'>): Dyno {
    const latest = this.#options.app.releases.at(-1)
    const release = { id: latest?.id ?? randomUUID(), version: latest?.version ?? 0 }
    return { id: randomUUID(), createdAt: new Date(), release, ...part }
  }

  /** Makes a one-off. An attached one starts when its client has come, as on the platform. */
  startOneOff(options: OneOffOptions): Dyno {
    this.#refuseAboveLimit()
    const secret = randomBytes(16).toString('hex')
    const attachUrl = options.attach ? `rendezvous://127.0.0.1:${this.#options.rendezvousPort()}/${secret}` : null
    const { command, type, size } = options
    const dyno = this.#dyno({ name: this.#freeName(type), type, command, size, attachUrl, upAt: new Date(8.64e15) })
    const oneOff: OneOff = { dyno, options }
    this.#oneOffs.set(dyno.name, oneOff)
    this.#options.logs.add('heroku', dyno.name, `Starting process with command \`${command}\``)
    if (options.attach) this.#awaitClient(oneOff, secret)
    else this.#startDetached(oneOff)
    return dyno
  }

  #refuseAboveLimit(): void {
    const { limit } = this.#options
    if (this.#oneOffs.size >= limit)
      throw new Refusal(422, 'cannot_run_above_limit', `Cannot run more than ${limit} Free size dynos.`)
  }

  #freeName(type: string): string {
    const name = `${type}.${randomInt(1000, 9999)}`
    return this.#oneOffs.has(name) ? this.#freeName(type) : name
  }

  #awaitClient(oneOff: OneOff, secret: string): void {
    const { rendezvous, faults, logs } = this.#options
    const { dyno, options } = oneOff
    const fault = faults.forAttach(options.command)
    oneOff.waiting = setTimeout(() => {
      rendezvous.forget(secret)
      logs.add('heroku', dyno.name, 'Error R13 (Attach error) -> Failed to attach to process')
      this.#oneOffs.delete(dyno.name)
    }, ATTACH_MS)
    rendezvous.expect(secret, {
      fault,
      terminal: options.terminal,
      start: () => this.#start(oneOff, fault?.kind === 'killed' ? (fault.milliseconds ?? 0) : undefined),
      lost: () => this.#lost(oneOff),
    })
  }

  #lost(oneOff: OneOff): void {
    clearTimeout(oneOff.waiting)
    if (oneOff.container) void this.#kill(oneOff, 'disconnect')
    else this.#oneOffs.delete(oneOff.dyno.name)
  }

  /**
   * Starts an attached one-off whose client never learned of it. Whether the platform does so is not known: this is
   * the worse case, in which a request that the client repeats runs the command twice.
   */
  startWithoutClient(name: string): void {
    const oneOff = this.#oneOffs.get(name)
    if (oneOff === undefined || oneOff.container) return
    this.#options.rendezvous.forget(oneOff.dyno.attachUrl?.split('/').at(-1) ?? '')
    const { input, output } = this.#start(oneOff)
    input.end()
    output.resume()
  }

  #startDetached(oneOff: OneOff): void {
    const { input, output } = this.#start(oneOff)
    input.end()
    createInterface(output).on('line', line => this.#options.logs.add('app', oneOff.dyno.name, line))
  }

  #start(oneOff: OneOff, killAfterMs?: number): Container {
    clearTimeout(oneOff.waiting)
    const container = startContainer(this.#containerOptions(oneOff))
    oneOff.container = container
    void container.started.then(() => {
      this.#started(oneOff)
      if (killAfterMs !== undefined) setTimeout(() => void this.#kill(oneOff, 'memory'), killAfterMs)
    })
    void container.ended.catch(() => 255).then(code => this.#ended(oneOff, code))
    return container
  }

  #started(oneOff: OneOff): void {
    const { dyno, options } = oneOff
    dyno.upAt = new Date()
    oneOff.run = {
      dyno: dyno.name,
      command: options.command,
      attached: options.attach,
      version: dyno.release.version,
      startedAt: dyno.upAt,
    }
    this.runs.push(oneOff.run)
    this.#options.logs.add('heroku', dyno.name, 'State changed from starting to up')
  }

  #containerOptions({ dyno, options }: OneOff): ContainerOptions {
    const { app, place } = this.#options
    return {
      name: `${place.prefix}-${dyno.name}`,
      image: place.imageOf(app.slug().version),
      labels: place.labels,
      command: options.command,
      files: place.files,
      ...(place.tmp === undefined ? {} : { tmp: place.tmp }),
      terminal: options.terminal,
      env: { ...place.env, ...app.config(), DYNO: dyno.name, PORT: '5000', ...options.env },
    }
  }

  #ended(oneOff: OneOff, code: number): void {
    const { dyno, run, killed } = oneOff
    const { logs } = this.#options
    const exitCode = killed ? 137 : code
    if (run) run.ended = { exitCode, ...(killed ? { killed } : {}), at: new Date() }
    this.#oneOffs.delete(dyno.name)
    if (killed === 'memory') logs.add('heroku', dyno.name, 'Error R15 (Memory quota vastly exceeded)')
    if (killed) logs.add('heroku', dyno.name, 'Stopping process with SIGKILL')
    logs.add('heroku', dyno.name, `Process exited with status ${exitCode}`)
    logs.add('heroku', dyno.name, 'State changed from up to complete')
  }

  async #kill(oneOff: OneOff, by: NonNullable<Run['ended']>['killed']): Promise<void> {
    if (oneOff.run?.ended) return
    oneOff.killed ??= by
    await oneOff.container?.kill()
  }

  async #stopOneOffs(fits: (dyno: Dyno) => boolean): Promise<void> {
    const wanted = [...this.#oneOffs.values()].filter(({ dyno }) => fits(dyno))
    await Promise.all(wanted.map(oneOff => this.#stopOneOff(oneOff)))
  }

  async #stopOneOff(oneOff: OneOff): Promise<void> {
    clearTimeout(oneOff.waiting)
    if (oneOff.container) await this.#kill(oneOff, 'stop')
    else this.#oneOffs.delete(oneOff.dyno.name)
  }

  /** Ends every one-off. */
  close(): Promise<void> {
    return this.#stopOneOffs(() => true)
  }
}

export function stateOf({ upAt }: Dyno): 'starting' | 'up' {
  return upAt.getTime() > Date.now() ? 'starting' : 'up'
}
