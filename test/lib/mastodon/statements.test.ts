import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import {
  countAdministrators,
  FIND_ADMINISTRATOR_ROLE,
  hasRoleTable,
  LIST_ROLES,
  type RoleRow,
  readRole,
  type StaffRow,
} from '../../../src/lib/mastodon/roles.js'
import type { Statement } from '../../../src/lib/mastodon/statement.js'
import {
  disableTwoFactor,
  isChallenged,
  isTwoFactorOff,
  readTwoFactor,
  TWO_FACTOR_COLUMNS_STATEMENT,
  type TwoFactorRow,
  twoFactorShape,
} from '../../../src/lib/mastodon/two-factor.js'
import { findUser, type UserRow } from '../../../src/lib/mastodon/users.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'
import type { Database } from '../../../src/lib/postgres/access.js'
import { startPostgres, type TestPostgres } from '../../support/postgres.js'

const ERAS = ['1.3.0', '1.5.1', '2.4.5', '2.9.4', '3.5.13', '4.0.0', '4.2.9', '4.3.8', '4.5.3', '4.7.2']

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server.stop())

async function filled(release: string): Promise<Database> {
  const database = await server.open(await server.createDatabase(`mastodon_${release}`))
  for (const { sql } of migrationsUpTo(release)) await database.write(sql)
  for (const sql of demoData(release, { statuses: 10, remoteAccounts: 8 })) await database.write(sql)
  return database
}

describe.each(ERAS)('on a database of %s', release => {
  const version = MastodonVersion.of(release)
  let database: Database

  const rows = <T extends object>({ sql, params }: Statement) =>
    database.query(sql, [...params]) as Promise<unknown[]> as Promise<T[]>
  const one = async <T extends object>(statement: Statement): Promise<T> => {
    const found = await rows<T>(statement)
    expect(found).toHaveLength(1)
    return found[0] as T
  }
  const alice = () => one<UserRow>(findUser(version, 'ALICE'))

  beforeAll(async () => {
    database = await filled(release)
  })

  afterAll(() => database.close())

  test('a user is found by name and by address, and nobody else is', async () => {
    const found = await alice()
    expect(found).toMatchObject({ username: 'alice', confirmed: true, approved: true })
    expect(found.id).toMatch(/^\d+$/)
    expect(await one<UserRow>(findUser(version, found.email.toUpperCase()))).toEqual(found)
    expect(await rows(findUser(version, 'nobody'))).toEqual([])
    expect(await rows(findUser(version, "' OR true; --"))).toEqual([])
  })

  test('two-factor authentication is read as on, turned off altogether, and read as off', async () => {
    const { id } = await alice()
    const before = await one<TwoFactorRow>(readTwoFactor(version, id))
    expect([isChallenged(before), isTwoFactorOff(before)]).toEqual([true, false])
    expect(before.security_keys > 0).toBe(version.atLeast('3.3.0'))
    for (const { sql, params } of disableTwoFactor(version, id)) await database.write(sql, [...params])
    const after = await one<TwoFactorRow>(readTwoFactor(version, id))
    expect(after).toMatchObject({ required: false, backup_codes: 0, has_secret: false, security_keys: 0 })
    expect(isTwoFactorOff(after)).toBe(true)
  })

  test('the columns of the era are those that the database has', async () => {
    const present = await rows<{ column_name: string }>(TWO_FACTOR_COLUMNS_STATEMENT)
    expect(present.map(row => row.column_name).sort()).toEqual([...twoFactorShape(version).secretColumns].sort())
  })

  test('the administrator is known from the others', async () => {
    const bob = await one<UserRow>(findUser(version, 'bob'))
    expect(await one<StaffRow>(readRole(version, (await alice()).id))).toMatchObject({ administrator: true })
    expect(await one<StaffRow>(readRole(version, bob.id))).toMatchObject({ administrator: false, moderator: false })
  })

  test('an administrator counts who is confirmed and, where that is asked, approved', async () => {
    const count = async () => Number((await one<{ count: number }>(countAdministrators(version))).count)
    const { id } = await alice()
    expect(await count()).toBe(1)
    const obstacles = [`confirmed_at = NULL`, ...(version.atLeast('2.8.0') ? ['approved = false'] : [])]
    for (const obstacle of obstacles) {
      await database.write(`UPDATE users SET ${obstacle} WHERE id = $1`, [id])
      expect(await count(), obstacle).toBe(0)
      const undone = obstacle.replace('NULL', 'now()').replace('false', 'true')
      await database.write(`UPDATE users SET ${undone} WHERE id = $1`, [id])
    }
    expect(await count()).toBe(1)
  })

  const roleTest = async () => {
    const owner = await one<RoleRow>(FIND_ADMINISTRATOR_ROLE)
    expect(owner).toMatchObject({ name: 'Owner', administrator: true })
    const roles = await rows<RoleRow>(LIST_ROLES)
    expect(roles.map(role => role.name)).toEqual(['Owner', 'Admin', 'Moderator'])
    await database.write("UPDATE user_roles SET name = 'Big Boss' WHERE id = $1", [owner.id])
    expect(await one<RoleRow>(FIND_ADMINISTRATOR_ROLE)).toEqual({ ...owner, name: 'Big Boss' })
  }

  if (hasRoleTable(version)) test('the role that allows everything is found by what it allows', roleTest)
})
