import {
  type Addon,
  type App,
  type Attachment,
  type Build,
  type Formation,
  type Release,
  type Slug,
  stateOf as stateOfAddon,
} from './app.js'
import { type Dyno, stateOf } from './dynos.js'

/** The resources as the Platform API writes them, with the fields of its published schema. */

export function account(app: App): Record<string, unknown> {
  const { id, email } = app.owner
  const at = time(app.createdAt)
  return {
    ...{ id, email, name: 'Operator', verified: true, two_factor_authentication: false, federated: false },
    ...{ allow_tracking: true, beta: false, country_of_residence: null, default_organization: null },
    ...{ default_team: null, identity_provider: null, suspended_at: null, delinquent_at: null },
    ...{ sms_number: null, created_at: at, updated_at: at, last_login: time(new Date()) },
  }
}

export function appOf(app: App): Record<string, unknown> {
  const { id, name, owner, createdAt, updatedAt, maintenance, releases } = app
  const stack = { id: 'f9f9cbd7-2970-41ef-8db5-3df7123b041f', name: 'heroku-24' }
  return {
    ...{ id, name, owner, maintenance, acm: false, archived_at: null, stack, build_stack: stack },
    ...{ buildpack_provided_description: 'Ruby', created_at: time(createdAt), updated_at: time(updatedAt) },
    ...{ released_at: time(releases.at(-1)?.createdAt ?? createdAt), git_url: `https://git.heroku.com/${name}.git` },
    ...{ generation: { id: '61a1e4c8-0b1c-4e0f-a3b5-2f7f2ed9e7a4', name: 'cedar' } },
    ...{ region: { id: '59accabd-516d-4f0e-83e6-6e3757701145', name: 'us' } },
    ...{ internal_routing: null, organization: null, team: null, space: null, repo_size: 0, slug_size: 180_000_000 },
    web_url: `https://${name}-0123456789ab.herokuapp.com/`,
  }
}

export function dynoOf(app: App, dyno: Dyno): Record<string, unknown> {
  const { id, name, type, command, size, release, attachUrl, createdAt, upAt } = dyno
  const state = stateOf(dyno)
  return {
    ...{ id, name, type, command, size, state, release, attach_url: attachUrl, app: reference(app) },
    ...{ created_at: time(createdAt), updated_at: time(state === 'up' ? upAt : createdAt) },
  }
}

export function formationOf(app: App, part: Formation): Record<string, unknown> {
  const times = { created_at: time(app.createdAt), updated_at: time(app.updatedAt) }
  return { ...part, app: reference(app), docker_image: null, ...times }
}

export function releaseOf(app: App, release: Release): Record<string, unknown> {
  const { id, version, description, status, createdAt, slug } = release
  return {
    ...{ id, version, description, status, current: release === app.releases.at(-1) },
    ...{ app: reference(app), slug: { id: slug }, user: app.owner, oci_image: null, output_stream_url: null },
    ...{ addon_plan_names: app.addons.map(addon => addon.plan), eligible_for_rollback: true },
    ...{ created_at: time(createdAt), updated_at: time(createdAt) },
  }
}

export function slugOf({ id, commit }: Slug): Record<string, unknown> {
  const stack = { id: 'f9f9cbd7-2970-41ef-8db5-3df7123b041f', name: 'heroku-24' }
  return { id, commit, commit_description: null, size: 180_000_000, process_types: {}, stack }
}

export function buildOf(app: App, { id, commit, status, createdAt }: Build): Record<string, unknown> {
  const at = time(createdAt)
  const source = { checksum: null, url: 'https://example.com/source.tgz', version: commit, version_description: null }
  const common = { app: { id: app.id }, buildpacks: null, release: null, slug: null, user: app.owner }
  return { id, status, source_blob: source, ...common, output_stream_url: null, created_at: at, updated_at: at }
}

export function addonOf(app: App, addon: Addon): Record<string, unknown> {
  const { id, name, service, plan, createdAt } = addon
  const at = time(createdAt)
  return {
    ...{ id, name, app: reference(app), state: stateOfAddon(addon), actions: [], provider_id: id },
    addon_service: { id: `${service}-service`, name: service, human_name: service, state: 'ga' },
    plan: { id: `${plan}-plan`, name: plan, human_name: plan.split(':')[1], price: priceOf(plan) },
    billing_entity: { ...reference(app), type: 'app' },
    billed_price: priceOf(plan),
    config_vars: attachmentsOf(app, addon).map(attachment => `${attachment.name}_URL`),
    ...{ web_url: `https://addons-sso.heroku.com/apps/${app.id}/addons/${id}`, created_at: at, updated_at: at },
  }
}

export function attachmentOf(app: App, { id, name, namespace, addon, createdAt }: Attachment): Record<string, unknown> {
  const plan = { id: `${addon.plan}-plan`, name: addon.plan }
  return {
    ...{ id, name, namespace, app: reference(app), config_vars: [`${name}_URL`], log_input_url: null },
    addon: { id: addon.id, name: addon.name, app: reference(app), plan },
    ...{ web_url: null, created_at: time(createdAt), updated_at: time(createdAt) },
  }
}

/** What can be ordered, in cents a month. */
export const PLANS: Readonly<Record<string, number>> = {
  'heroku-postgresql:essential-0': 500,
  'heroku-postgresql:essential-1': 900,
  'heroku-postgresql:essential-2': 2000,
  'heroku-postgresql:standard-0': 5000,
  'heroku-redis:mini': 300,
}

/** As the platform lists what a service offers. */
export function planOf(name: string): Record<string, unknown> {
  const [service = ''] = name.split(':')
  return {
    ...{ id: `${name}-plan`, name, human_name: name.split(':')[1], state: 'ga', default: name.endsWith('essential-0') },
    ...{ addon_service: { id: `${service}-service`, name: service }, price: priceOf(name), visible: true },
  }
}

function priceOf(plan: string): { cents: number; unit: string; contract: boolean } {
  return { cents: PLANS[plan] ?? 0, unit: 'month', contract: false }
}

export function attachmentsOf(app: App, addon: Addon): Attachment[] {
  return app.attachments.filter(attachment => attachment.addon === addon)
}

export function reference({ id, name }: { readonly id: string; readonly name: string }): { id: string; name: string } {
  return { id, name }
}

/** As the platform writes moments: without fractions of a second. */
export function time(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z')
}
