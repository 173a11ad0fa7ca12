import { expect, test } from 'vitest'
import { readRegistrations, registrationMode } from '../../../src/lib/mastodon/registrations.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion

test.each([
  ['1.3.0', '--- true\n...\n', 'open'],
  ['2.7.4', '--- false\n...\n', 'closed'],
  ['2.8.0', '--- open\n', 'open'],
  ['3.5.13', "--- 'approved'\n", 'approved'],
  ['4.5.3', '--- none\n...\n', 'closed'],
  ['4.5.3', '--- :open\n', 'open'],
  ['4.5.3', '--- ""\n', 'closed'],
])('on %s %j means %s', (version, value, mode) => {
  expect(registrationMode(of(version), value)).toBe(mode)
})

test.each([
  ['1.3.0', 'open'],
  ['4.2.7', 'open'],
  ['4.2.8', 'closed'],
  ['4.3.0', 'closed'],
])('on %s a server where nobody ever chose is %s', (version, mode) => {
  expect(registrationMode(of(version), undefined)).toBe(mode)
})

test('one setting became another with 2.8.0', () => {
  expect(readRegistrations(of('2.7.4')).params).toEqual(['open_registrations'])
  expect(readRegistrations(of('2.8.0')).params).toEqual(['registrations_mode'])
})
