import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { settingText, siteSettings } from '../../../../src/lib/mastodon/new-instance/site.js'
import { answersOf } from '../../../../src/lib/setup/answers.js'

const least = { domain: 'example.social', owner: 'alice', 'owner-email': 'alice@example.org' }
const settings = (more: Record<string, unknown> = {}) =>
  Object.fromEntries(siteSettings(answersOf({ ...least, ...more }).answers).map(({ name, value }) => [name, value]))

it('closes the registrations without mail, and asks for a reason where somebody decides', () => {
  expect(settings()).toEqual({
    site_title: 'example.social',
    site_contact_username: 'alice',
    site_contact_email: 'alice@example.org',
    registrations_mode: 'none',
    require_invite_text: false,
  })
  expect(settings({ 'smtp-server': 'smtp.example.org' })).toMatchObject({
    registrations_mode: 'approved',
    require_invite_text: true,
  })
})

it.each(['none', 'No', 'yes', 'a: b', '#1', "it's", '12', '1_000', 'é 😀', '- a', '!ruby/object:Kernel {}', true])(
  '%s is the same in the YAML that Ruby reads',
  async value => {
    const text = await settingText(value)
    expect(text).toMatch(/^--- .+\n$/)
    expect(parse(text, { version: '1.1' })).toBe(value)
  },
)
