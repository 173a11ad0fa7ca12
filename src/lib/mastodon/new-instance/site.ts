import type { Answers } from '../../setup/questions.js'

/** A row of `settings`: the value as it is, a text or a yes or no. */
export interface SiteSetting {
  name: string
  value: string | boolean
}

const MODES: Readonly<Record<string, string>> = { open: 'open', approved: 'approved', closed: 'none' }

/** Returns the settings of a new site. Source: app/models/form/admin_settings.rb @v4.2.0, @v4.7.0. */
export function siteSettings(answers: Answers): SiteSetting[] {
  const { title = '', description = '', owner = '', registrations = '' } = answers
  const settings: SiteSetting[] = [
    { name: 'site_title', value: title },
    { name: 'site_short_description', value: description },
    { name: 'site_contact_username', value: owner },
    { name: 'site_contact_email', value: answers['contact-email'] ?? '' },
    { name: 'registrations_mode', value: MODES[registrations] ?? 'none' },
    { name: 'require_invite_text', value: registrations === 'approved' },
  ]
  return settings.filter(({ value }) => value !== '')
}

/**
 * Returns the value as the column holds it: a YAML document (app/models/setting.rb, all versions). Ruby reads YAML 1.1,
 * where an unquoted `no` is no text.
 */
export async function settingText(value: string | boolean): Promise<string> {
  const { stringify } = await import('yaml')
  return `--- ${stringify(value, { lineWidth: 0, version: '1.1' })}`
}

export const UPDATE_SETTING = 'UPDATE settings SET value = $2, updated_at = now() WHERE var = $1'
export const INSERT_SETTING = 'INSERT INTO settings (var, value, created_at, updated_at) VALUES ($1, $2, now(), now())'
