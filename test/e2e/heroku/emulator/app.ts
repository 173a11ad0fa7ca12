import { randomUUID } from 'node:crypto'
import { notFound, Refusal } from './exchange.js'

/** A database or key-value store that an app has. */
export interface Addon {
  readonly id: string
  readonly name: string
  readonly service: 'heroku-postgresql' | 'heroku-redis'
  readonly plan: string
  readonly createdAt: Date
  /** When it can be used, and its variables are set; from the start where it is left out. */
  readonly readyAt?: Date
  /** The platform could not make it. */
  readonly failed?: boolean
  /** What its config variables hold. */
  readonly url: string
  /** PostgreSQL: the database of the server behind it. */
  readonly database?: { readonly name: string; readonly user: string; readonly password: string }
}

/** The name under which an app sees an add-on: `DATABASE` gives `DATABASE_URL`. */
export interface Attachment {
  readonly id: string
  readonly name: string
  /** Of a part of an add-on, like its connection pool. */
  readonly namespace: string | null
  readonly addon: Addon
  readonly createdAt: Date
}

export function stateOf({ readyAt, failed }: Addon): 'provisioning' | 'provisioned' | 'deprovisioned' {
  if (readyAt !== undefined && readyAt > new Date()) return 'provisioning'
  return failed ? 'deprovisioned' : 'provisioned'
}

export interface Release {
  readonly id: string
  readonly version: number
  readonly description: string
  readonly createdAt: Date
  readonly slug: string
  readonly status: 'succeeded' | 'failed'
  /** The app's own variables of that moment, for a rollback. */
  readonly config: ReadonlyMap<string, string>
}

/** What was built of a commit. */
export interface Slug {
  readonly id: string
  /** What it was built from; nothing is known of the first one, unless it is told. */
  commit: string | null
  /** Mastodon's release. */
  readonly version: string
}

/** What the platform was given to build. */
export interface Build {
  readonly id: string
  readonly commit: string
  status: 'pending' | 'succeeded' | 'failed'
  readonly createdAt: Date
}

export interface Formation {
  readonly id: string
  readonly type: string
  readonly command: string
  quantity: number
  size: string
}

export interface AppOptions {
  readonly name: string
  /** Mastodon's release. */
  readonly version: string
  readonly config: Readonly<Record<string, string>>
  readonly formation: readonly { type: string; command: string; quantity: number }[]
  readonly email: string
}

/** One app as the platform knows it. Everything that changes it makes a release where the platform does. */
export class App {
  readonly id = randomUUID()
  readonly name: string
  readonly owner: { readonly id: string; readonly email: string }
  readonly createdAt = new Date(Date.now() - 400 * 86_400_000)
  readonly own: Map<string, string>
  readonly releases: Release[] = []
  readonly slugs: Slug[]
  readonly builds: Build[] = []
  readonly formation: Formation[]
  readonly addons: Addon[] = []
  attachments: Attachment[] = []
  maintenance = false
  updatedAt = new Date()
  /** Called after each release; the dynos restart. */
  onRelease: (release: Release) => void = () => undefined

  constructor(options: AppOptions) {
    this.name = options.name
    this.slugs = [{ id: randomUUID(), commit: null, version: options.version }]
    this.owner = { id: randomUUID(), email: options.email }
    this.own = new Map(Object.entries(options.config))
    this.formation = options.formation.map(part => ({ ...part, id: randomUUID(), size: 'Basic' }))
  }

  /** The variables that a dyno gets: the add-ons' and the app's own. */
  config(): Record<string, string> {
    const ready = this.attachments.filter(({ addon }) => stateOf(addon) === 'provisioned')
    const ofAddons = ready.map(({ name, addon }) => [`${name}_URL`, addon.url])
    return { ...Object.fromEntries(ofAddons), ...Object.fromEntries(this.own) }
  }

  /** Sets and (null) removes variables in one release. Those of an add-on are not the app's to change. */
  changeConfig(changes: Readonly<Record<string, string | null>>): void {
    const names = Object.keys(changes)
    const foreign = names.filter(name => this.attachments.some(attachment => `${attachment.name}_URL` === name))
    if (foreign.length > 0)
      throw new Refusal(422, 'invalid_params', `Cannot overwrite attachment values ${foreign.join(', ')}.`)
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) this.own.delete(name)
      else this.own.set(name, value)
    }
    if (names.length > 0) this.release(describeChange(changes))
  }

  release(description: string, status: Release['status'] = 'succeeded', slug = this.slug().id): Release {
    const release = {
      id: randomUUID(),
      version: (this.releases.at(-1)?.version ?? 0) + 1,
      description,
      status,
      createdAt: new Date(),
      slug,
      config: new Map(this.own),
    }
    this.releases.push(release)
    this.updatedAt = release.createdAt
    this.onRelease(release)
    return release
  }

  /** Goes back to the code and the variables of an earlier release, as a new release. */
  rollBack(version: number): Release {
    const wanted = this.releaseOf(version)
    this.own.clear()
    for (const [name, value] of wanted.config) this.own.set(name, value)
    return this.release(`Rollback to v${version}`, 'succeeded', wanted.slug)
  }

  /** What dynos run now. */
  slug(): Slug {
    const current = this.releases.at(-1)?.slug
    const found = this.slugs.find(({ id }) => id === current) ?? this.slugs[0]
    if (!found) throw notFound('slug', 'slug')
    return found
  }

  /** Puts what was built of a commit into force. */
  deploy(commit: string, version: string): Release {
    const slug = { id: randomUUID(), commit, version }
    this.slugs.push(slug)
    return this.release(`Deploy ${commit.slice(0, 8)}`, 'succeeded', slug.id)
  }

  releaseOf(key: string | number): Release {
    const found = this.releases.find(({ id, version }) => id === key || version === Number(key))
    if (!found) throw notFound('release', 'release')
    return found
  }

  formationOf(type: string): Formation {
    const found = this.formation.find(part => part.type === type || part.id === type)
    if (!found) throw notFound('formation', `process type (${type})`)
    return found
  }

  addonOf(key: string): Addon {
    const found = this.addons.find(({ id, name }) => id === key || name === key)
    if (!found) throw notFound('addon', 'add-on')
    return found
  }

  /** Finds by the attachment's name, its variable, or its add-on's name. */
  attachmentOf(key: string): Attachment {
    const name = key.toUpperCase().replace(/_URL$/, '')
    const found =
      this.attachments.find(attachment => attachment.name === name || attachment.id === key) ??
      this.attachments.find(({ addon }) => addon.name === key || addon.id === key)
    if (!found) throw notFound('attachment', 'add on attachment')
    return found
  }

  attach(addon: Addon, name: string, namespace: string | null = null): Attachment {
    const attachment = { id: randomUUID(), name, namespace, addon, createdAt: new Date() }
    this.attachments.push(attachment)
    return attachment
  }

  detach(name: string): void {
    this.attachments = this.attachments.filter(attachment => attachment.name !== name)
  }
}

/** `Set A config var`, `Set A, B config vars`, `Remove A config var`. */
function describeChange(changes: Readonly<Record<string, string | null>>): string {
  const entries = Object.entries(changes)
  const named = (verb: string, removed: boolean) => {
    const names = entries.filter(([, value]) => (value === null) === removed).map(([name]) => name)
    return names.length === 0 ? [] : [`${verb} ${names.join(', ')} config var${names.length > 1 ? 's' : ''}`]
  }
  return [...named('Set', false), ...named('Remove', true)].join(', ')
}
