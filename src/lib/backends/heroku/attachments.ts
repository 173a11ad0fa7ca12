import { RefusedError } from '../../errors.js'
import { readText, records, toRecord } from '../json.js'
import type { HerokuApp } from './app.js'

/** A name under which the app sees an add-on: `DATABASE` gives `DATABASE_URL`. */
export interface Attachment {
  name: string
  /** Null but for parts of an add-on, like its connection pool or another credential. */
  namespace: string | null
  addon: { id: string; name: string }
  /** The app that pays for the add-on: its backups are listed there. */
  billingApp: string
}

/** The attachment that `pg:promote` moves (heroku 11.10.0, commands/pg/promote.js). */
export const CURRENT = 'DATABASE'

/** Returns the names of all add-ons of the app. */
export async function attachmentsOf(app: HerokuApp): Promise<Attachment[]> {
  return records(await app.api.read(app.path('/addon-attachments'))).map(raw => {
    const addon = toRecord(raw.addon)
    return {
      name: readText(raw.name),
      namespace: readText(raw.namespace) || null,
      addon: { id: readText(addon.id), name: readText(addon.name) },
      billingApp: readText(toRecord(addon.app).name) || app.name,
    }
  })
}

/** Returns the attachment to the whole of an add-on under one of its names, or the add-on's own. */
export function attachmentNamed(all: readonly Attachment[], name: string): Attachment | undefined {
  const whole = all.filter(({ namespace }) => namespace === null)
  return whole.find(attachment => attachment.name === name) ?? whole.find(({ addon }) => addon.name === name)
}

/**
 * Returns the attachment of that name.
 *
 * @throws RefusedError when the app has none: DATABASE_URL may lead to a database that is not the platform's.
 */
export async function requireAttachment(app: HerokuApp, name: string): Promise<Attachment> {
  const found = attachmentNamed(await attachmentsOf(app), name)
  if (found) return found
  throw new RefusedError({
    code: 'no-database-addon',
    message:
      name === CURRENT ? `The database of ${app.name} is none that Heroku runs.` : `${app.name} has no add-on ${name}.`,
    cause: `No add-on is attached to it as ${name}.`,
    next: `${app.byHand(['addons'])} lists the add-ons.`,
  })
}
