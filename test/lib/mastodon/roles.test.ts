import { expect, test } from 'vitest'
import { FIND_ADMINISTRATOR_ROLE, hasRoleTable, LIST_ROLES, readRole } from '../../../src/lib/mastodon/roles.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const { of } = MastodonVersion

test.each([
  ['1.3.0', /u\.admin.*false AS moderator/s],
  ['2.1.0', /u\.admin.*u\.moderator/s],
  ['3.5.13', /u\.admin.*u\.moderator/s],
  ['4.0.0', /user_roles r ON r\.id = u\.role_id/],
  ['4.2.9', /user_roles r ON r\.id = u\.role_id/],
  ['4.7.2', /user_roles r ON r\.id = u\.role_id/],
])('%s reads the role where that release keeps it', (version, pattern) => {
  const { sql, params } = readRole(of(version), '7')
  expect(sql).toMatch(pattern)
  expect(params).toEqual(['7'])
})

test('from 4.0.0 on users.admin is never believed, though it stands there up to 4.2', () => {
  expect(readRole(of('4.2.9'), '7').sql).not.toMatch(/u\.(admin|moderator)/)
})

test('the role is found by what it allows, not by its name', () => {
  expect(FIND_ADMINISTRATOR_ROLE.sql).toMatch(/permissions & 1\) = 1 ORDER BY position DESC, id LIMIT 1/)
  expect(FIND_ADMINISTRATOR_ROLE.sql).not.toMatch(/Owner|Admin'/)
  expect(LIST_ROLES.sql).toContain('id <> -99')
  expect(hasRoleTable(of('3.5.13'))).toBe(false)
})
