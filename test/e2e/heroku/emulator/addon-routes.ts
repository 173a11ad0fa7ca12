import { randomUUID } from 'node:crypto'
import type { Addon, App, Attachment } from './app.js'
import { type Answer, created, ok, type Question, Refusal, type Route } from './exchange.js'
import type { Faults } from './faults.js'
import { addonOf, attachmentOf, attachmentsOf, PLANS, planOf } from './shapes.js'

/** Makes what stands behind a new add-on. */
export type Provision = (plan: string) => Promise<Pick<Addon, 'url' | 'database'>>

const COLOURS = ['AMBER', 'AQUA', 'BLUE', 'BRONZE', 'COBALT', 'GREEN', 'IVORY', 'JADE', 'ONYX', 'PINK']

/** Milliseconds that a new add-on takes. */
const PROVISIONING_MS = 700

/** Add-ons and their attachments, up to what `pg:promote` needs. */
export function addonRoutes(app: App, provision: Provision, faults: Faults): Route[] {
  const attachments = () => ok(app.attachments.map(attachment => attachmentOf(app, attachment)))
  return [
    ['GET', '/addons', () => ok(app.addons.map(addon => addonOf(app, addon)))],
    ['GET', '/apps/:app/addons', () => ok(app.addons.map(addon => addonOf(app, addon)))],
    ['GET', '/apps/:app/addons/:addon', ({ params }) => ok(addonOf(app, app.addonOf(params.addon ?? '')))],
    ['POST', '/apps/:app/addons', question => add(app, provision, faults, question)],
    ['GET', '/addon-services/:service/plans', ({ params }) => ok(plansOf(params.service ?? ''))],
    ['DELETE', '/apps/:app/addons/:addon', question => remove(app, question)],
    ['GET', '/addon-attachments', attachments],
    ['GET', '/apps/:app/addon-attachments', attachments],
    ['POST', '/addon-attachments', question => attach(app, faults, question)],
    ['POST', '/actions/addon-attachments/resolve', question => resolveAttachment(app, question)],
    ['POST', '/actions/addons/resolve', ({ body }) => ok([addonOf(app, app.addonOf(String(body.addon)))])],
  ]
}

function resolveAttachment(app: App, { body }: Question): Answer {
  const found = app.attachmentOf(String(body.addon_attachment))
  return ok([attachmentOf(app, found)])
}

async function add(app: App, provision: Provision, faults: Faults, { body }: Question): Promise<Answer> {
  const plan = wantedPlan(body.plan)
  const service = plan.split(':')[0] as Addon['service']
  const made = newAddon(service, plan, await provision(plan))
  const readyAt = new Date(Date.now() + PROVISIONING_MS)
  const addon: Addon = { ...made, readyAt, failed: faults.takes('provision-fails') }
  app.addons.push(addon)
  const { name = freeName(app, addon) } = (body.attachment ?? {}) as { name?: string }
  app.attach(addon, name)
  app.release(`Attach ${name} (@ref:${addon.name})`)
  return created(addonOf(app, addon))
}

function plansOf(service: string): Record<string, unknown>[] {
  const names = Object.keys(PLANS).filter(name => name.startsWith(`${service}:`))
  return names.map(planOf)
}

function wantedPlan(given: unknown): string {
  const text = typeof given === 'string' ? given : String((given as { name?: string } | undefined)?.name)
  if (!text.startsWith('heroku-postgresql')) throw new Refusal(404, 'not_found', "Couldn't find that add-on service.")
  const plan = text.includes(':') ? text : `${text}:essential-0`
  if (!(plan in PLANS)) throw new Refusal(422, 'invalid_params', `Couldn't find the add-on plan ${plan}.`)
  return plan
}

/** An add-on with a name such as the platform makes. */
export function newAddon(service: Addon['service'], plan: string, part: Pick<Addon, 'url' | 'database'>): Addon {
  const id = randomUUID()
  const word = service === 'heroku-redis' ? 'redis-contoured' : 'postgresql-angular'
  return { id, name: `${word}-${Number.parseInt(id.slice(0, 4), 16)}`, service, plan, createdAt: new Date(), ...part }
}

function freeName(app: App, addon: Addon): string {
  const taken = app.attachments.map(attachment => attachment.name)
  const prefix = addon.service.replace('-', '_').toUpperCase()
  return COLOURS.map(colour => `${prefix}_${colour}`).find(name => !taken.includes(name)) ?? `${prefix}_GRAY`
}

function remove(app: App, { params }: Question): Answer {
  const addon = app.addonOf(params.addon ?? '')
  const names = app.attachments.filter(attachment => attachment.addon === addon).map(({ name }) => name)
  for (const name of names) app.detach(name)
  app.addons.splice(app.addons.indexOf(addon), 1)
  app.release(`Detach ${names.join(', ')} (@ref:${addon.name})`)
  return ok(addonOf(app, addon))
}

/** Gives an add-on one more name, or (confirmed) moves a name to it: two releases then, as the platform makes them. */
function attach(app: App, faults: Faults, { body }: Question): Answer {
  const wanted = body as { addon?: { name?: string }; name?: string; namespace?: string | null; confirm?: string }
  const addon = app.addonOf(wanted.addon?.name ?? String(body.addon))
  const name = wanted.name ?? freeName(app, addon)
  const taken = app.attachments.find(attachment => attachment.name === name)
  if (taken) replace(app, taken, wanted.confirm)
  const attachment = app.attach(addon, name, wanted.namespace ?? null)
  app.release(`Attach ${name} (@ref:${addon.name})`, faults.takes('release-fails') ? 'failed' : 'succeeded')
  return created(attachmentOf(app, attachment))
}

function replace(app: App, { name, addon }: Attachment, confirm: string | undefined): void {
  if (attachmentsOf(app, addon).length === 1)
    throw new Refusal(
      422,
      'invalid_params',
      `Cannot destroy last attachment to billing app for resource ${addon.name}.`,
    )
  if (confirm !== app.name)
    throw new Refusal(423, 'confirmation_required', `${name} is already attached to ${app.name} as ${addon.name}.`)
  app.detach(name)
  app.release(`Detach ${name} (@ref:${addon.name})`)
}
