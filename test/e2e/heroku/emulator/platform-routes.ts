import { randomUUID } from 'node:crypto'
import type { App } from './app.js'
import type { Dynos } from './dynos.js'
import {
  type Answer,
  accepted,
  created,
  notFound,
  ok,
  type Question,
  Refusal,
  type Route,
  rangeOf,
} from './exchange.js'
import type { Logs } from './logs.js'
import { account, appOf, buildOf, dynoOf, formationOf, releaseOf, slugOf, time } from './shapes.js'

export interface Platform {
  readonly app: App
  readonly dynos: Dynos
  readonly logs: Logs
  readonly token: string
  /** Where this API is reached. */
  readonly url: () => string
}

/** What the API knows of an app beside its add-ons. */
export function platformRoutes(platform: Platform): Route[] {
  return [
    ...accountRoutes(platform),
    ...appRoutes(platform),
    ...configRoutes(platform),
    ...formationRoutes(platform),
    ...dynoRoutes(platform),
    ...releaseRoutes(platform),
    ...buildRoutes(platform),
    ...logRoutes(platform),
  ]
}

function accountRoutes({ app, token }: Platform): Route[] {
  return [
    ['GET', '/account', () => ok(account(app))],
    ['GET', '/account/features', () => ok([])],
    ['GET', '/teams', () => ok([])],
    ['GET', '/oauth/authorizations', () => ok([authorization(app, token)])],
  ]
}

/** The token as an authorization that never expires. */
function authorization(app: App, token: string): Record<string, unknown> {
  const at = time(app.createdAt)
  return {
    ...{ id: randomUUID(), description: 'Long-lived user authorization', scope: ['global'], client: null, grant: null },
    access_token: { id: randomUUID(), token, expires_in: null },
    ...{ refresh_token: null, session: null, user: app.owner, created_at: at, updated_at: at },
  }
}

function appRoutes({ app }: Platform): Route[] {
  const change = ({ body }: Question): Answer => {
    if (typeof body.maintenance === 'boolean') app.maintenance = body.maintenance
    app.updatedAt = new Date()
    return ok(appOf(app))
  }
  return [
    ['GET', '/apps', () => ok([appOf(app)])],
    ['GET', '/users/~/apps', () => ok([appOf(app)])],
    ['GET', '/apps/:app', () => ok(appOf(app))],
    ['PATCH', '/apps/:app', change],
    ['GET', '/apps/:app/collaborators', () => ok([collaborator(app)])],
    ['GET', '/apps/:app/domains', () => ok(domains(app))],
    ['GET', '/apps/:app/sni-endpoints', () => ok([])],
    ['GET', '/apps/:app/buildpack-installations', () => ok(buildpacks)],
    ['GET', '/apps/:app/features', () => ok([])],
    ['GET', '/apps/:app/features/:feature', () => Promise.reject(notFound('feature', 'feature'))],
  ]
}

function collaborator(app: App): Record<string, unknown> {
  const at = time(app.createdAt)
  const common = { id: app.owner.id, user: { ...app.owner, federated: false }, permissions: [], role: 'owner' }
  return { ...common, app: { id: app.id, name: app.name }, created_at: at, updated_at: at }
}

const buildpacks = ['heroku/nodejs', 'heroku/ruby'].map((name, ordinal) => ({
  ordinal,
  buildpack: { name, url: `urn:buildpack:${name}` },
}))

/** The platform's own name, and the instance's. */
function domains(app: App): Record<string, unknown>[] {
  const own = app.config().LOCAL_DOMAIN ?? 'mastodon.example'
  const at = time(app.createdAt)
  const common = { app: { id: app.id, name: app.name }, acm_status: null, acm_status_reason: null, sni_endpoint: null }
  return [
    { id: randomUUID(), hostname: `${app.name}-0123456789ab.herokuapp.com`, kind: 'heroku', cname: null },
    { id: randomUUID(), hostname: own, kind: 'custom', cname: 'infinite-pine-0123.herokudns.com' },
  ].map(domain => ({ ...domain, ...common, status: 'succeeded', created_at: at, updated_at: at }))
}

function configRoutes({ app }: Platform): Route[] {
  const change = ({ body }: Question): Answer => {
    const wrong = Object.entries(body).find(([, value]) => value !== null && typeof value !== 'string')
    if (wrong) throw new Refusal(422, 'invalid_params', `Config var ${wrong[0]} must be a string.`)
    app.changeConfig(body as Record<string, string | null>)
    return ok(app.config())
  }
  return [
    ['GET', '/apps/:app/config-vars', () => ok(app.config())],
    ['PATCH', '/apps/:app/config-vars', change],
  ]
}

function formationRoutes({ app, dynos }: Platform): Route[] {
  const list = () => app.formation.map(part => formationOf(app, part))
  const changeAll = ({ body }: Question): Answer => {
    for (const update of body.updates as FormationUpdate[]) applyUpdate(app, update.type, update)
    dynos.scale()
    return ok(list())
  }
  const changeOne = ({ body, params }: Question): Answer => {
    applyUpdate(app, params.type ?? '', body as unknown as FormationUpdate)
    dynos.scale()
    return ok(formationOf(app, app.formationOf(params.type ?? '')))
  }
  return [
    ['GET', '/apps/:app/formation', () => ok(list())],
    ['GET', '/apps/:app/formation/:type', ({ params }) => ok(formationOf(app, app.formationOf(params.type ?? '')))],
    ['PATCH', '/apps/:app/formation', changeAll],
    ['PATCH', '/apps/:app/formation/:type', changeOne],
  ]
}

interface FormationUpdate {
  readonly type: string
  /** The client sends a text, and `+1` for one more. */
  readonly quantity?: string | number
  readonly size?: string
}

function applyUpdate(app: App, type: string, { quantity, size }: FormationUpdate): void {
  const part = app.formationOf(type)
  const text = String(quantity ?? part.quantity)
  const wanted = /^[+-]/.test(text) ? part.quantity + Number(text) : Number(text)
  if (!Number.isInteger(wanted) || wanted < 0) throw new Refusal(422, 'invalid_params', `Invalid quantity ${text}.`)
  part.quantity = wanted
  part.size = size ?? part.size
  app.updatedAt = new Date()
}

function dynoRoutes({ app, dynos }: Platform): Route[] {
  const restart = (which?: Parameters<Dynos['restart']>[0]): Answer => {
    dynos.restart(which)
    return accepted()
  }
  const start = (question: Question): Answer => {
    const dyno = startOneOff(dynos, question)
    return { ...created(dynoOf(app, dyno)), lost: () => dynos.startWithoutClient(dyno.name) }
  }
  const ofName = ({ params }: Question) => restart({ name: dynos.dynoOf(params.dyno ?? '').name })
  const ofType = ({ params }: Question) => restart({ type: params.type ?? '' })
  return [
    ['GET', '/apps/:app/dynos', () => ok(dynos.list().map(dyno => dynoOf(app, dyno)))],
    ['GET', '/apps/:app/dynos/:dyno', ({ params }) => ok(dynoOf(app, dynos.dynoOf(params.dyno ?? '')))],
    ['POST', '/apps/:app/dynos', start],
    ['DELETE', '/apps/:app/dynos', () => restart()],
    ['DELETE', '/apps/:app/dynos/:dyno', ofName],
    ['POST', '/apps/:app/dynos/:dyno/actions/stop', ofName],
    ['DELETE', '/apps/:app/formations/:type', ofType],
    ['POST', '/apps/:app/formations/:type/actions/stop', ofType],
  ]
}

function startOneOff(dynos: Dynos, { body }: Question) {
  if (typeof body.command !== 'string' || body.command === '')
    throw new Refusal(422, 'invalid_params', 'A command is required.')
  const attach = body.attach === true
  return dynos.startOneOff({
    ...{ command: body.command, attach, terminal: attach && body.force_no_tty !== true },
    env: texts(body.env),
    type: typeof body.type === 'string' ? body.type : 'run',
    size: typeof body.size === 'string' ? body.size : 'Basic',
  })
}

function texts(given: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries((given ?? {}) as Record<string, unknown>).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [[name, String(value)]],
    ),
  )
}

function releaseRoutes({ app }: Platform): Route[] {
  const list = ({ headers }: Question): Answer => {
    const { max, descending } = rangeOf(headers.range)
    const ordered = descending ? [...app.releases].reverse() : app.releases
    const status = ordered.length > max ? 206 : 200
    return { status, body: ordered.slice(0, max).map(release => releaseOf(app, release)) }
  }
  const rollBack = ({ body }: Question): Answer =>
    created(releaseOf(app, app.rollBack(app.releaseOf(String(body.release)).version)))
  const one = ({ params }: Question) => app.releaseOf(params.release ?? '')
  return [
    ['GET', '/apps/:app/releases', list],
    ['POST', '/apps/:app/releases', rollBack],
    ['GET', '/apps/:app/releases/:release', question => ok(releaseOf(app, one(question)))],
    ['GET', '/apps/:app/releases/:release/config-vars', question => ok(Object.fromEntries(one(question).config))],
  ]
}

function buildRoutes({ app }: Platform): Route[] {
  const slug = ({ params }: Question): Answer => {
    const found = app.slugs.find(({ id }) => id === params.slug)
    if (!found) throw notFound('slug', 'slug')
    return ok(slugOf(found))
  }
  return [
    ['GET', '/apps/:app/slugs/:slug', slug],
    ['GET', '/apps/:app/builds', () => ok([...app.builds].reverse().map(build => buildOf(app, build)))],
  ]
}

function logRoutes({ logs, url }: Platform): Route[] {
  const open = ({ body }: Question): Answer => {
    const id = logs.open({
      dyno: typeof body.dyno === 'string' ? body.dyno : undefined,
      source: typeof body.source === 'string' ? body.source : undefined,
      lines: Number(body.lines ?? 100),
      tail: body.tail === true,
    })
    const at = time(new Date())
    return created({ id, logplex_url: `${url()}/logplex/${id}`, created_at: at, updated_at: at })
  }
  return [
    ['POST', '/apps/:app/log-sessions', open],
    ['GET', '/logplex/:session', ({ params }) => stream(logs, params.session ?? '')],
  ]
}

function stream(logs: Logs, session: string): Answer {
  return { status: 200, stream: response => logs.stream(session, response) }
}
