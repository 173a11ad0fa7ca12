import { SETTING_STATEMENT } from './catalogue.js'
import type { Statement } from './statement.js'
import type { MastodonVersion } from './version.js'

/** Who may sign up: everybody, everybody whom the staff approves, nobody. */
export type RegistrationMode = 'open' | 'approved' | 'closed'

/** The words of `registrations_mode`. Source: config/settings.yml @v2.8.0. */
const WORDS: Readonly<Record<string, RegistrationMode>> = { open: 'open', approved: 'approved', none: 'closed' }

/** One setting for all releases became another with 2.8.0. Source: config/settings.yml @v2.7.4, @v2.8.0. */
const nameFor = (version: MastodonVersion) => (version.atLeast('2.8.0') ? 'registrations_mode' : 'open_registrations')

/** Reads the setting that says who may sign up: one row of {value}, or none where nobody ever chose. */
export function readRegistrations(version: MastodonVersion): Statement {
  return { sql: SETTING_STATEMENT, params: [nameFor(version)] }
}

/** Reads the setting that says whether who signs up has to give a reason: like {@link readRegistrations}. */
export const READ_REASON: Statement = { sql: SETTING_STATEMENT, params: ['require_invite_text'] }

/**
 * Returns what the value of the setting means, or what holds without one: open up to 4.2.7, closed from 4.2.8 and
 * 4.3.0 on (config/settings.yml).
 */
export function registrationMode(version: MastodonVersion, value: string | undefined): RegistrationMode {
  if (value === undefined) return version.atLeast('4.2.8') ? 'closed' : 'open'
  const word = settingWord(value)
  if (version.atLeast('2.8.0')) return WORDS[word] ?? 'closed'
  return word === 'true' ? 'open' : 'closed'
}

/** Returns the one word of a setting, which is stored as YAML: `--- open`, with or without quotes and an end mark. */
export function settingWord(value: string): string {
  return value
    .replace(/^---\s*/, '')
    .replace(/\s*\.\.\.\s*$/, '')
    .trim()
    .replace(/^(['"])(.*)\1$/, '$2')
    .replace(/^:/, '')
}

/** Whether the release asks for approval by itself where no moderator is there: AutoCloseRegistrationsScheduler, 4.3.0. */
export function closesByItself(version: MastodonVersion): boolean {
  return version.atLeast('4.3.0')
}
