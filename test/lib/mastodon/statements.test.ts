import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrationsUpTo } from '../../../src/lib/backends/direct/sandbox/migrations.js'
import { demoData } from '../../../src/lib/backends/direct/sandbox/seed.js'
import { type AccountRow, countTies, findAccount, type TiesRow } from '../../../src/lib/mastodon/moderation.js'
import { countPeople, listPeople, type PeopleRow, type PersonRow } from '../../../src/lib/mastodon/people.js'
import { readRegistrations, registrationMode } from '../../../src/lib/mastodon/registrations.js'
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
import {
  findTaken,
  findUser,
  knowsBots,
  makeBot,
  type TakenRow,
  type UserRow,
} from '../../../src/lib/mastodon/users.js'
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

  test('the staff, and who waits, are listed with how they stand', async () => {
    const names = async (circle: 'all' | 'staff' | 'waiting') =>
      (await rows<PersonRow>(listPeople(version, circle, 10))).map(({ username }) => username)
    expect(await names('all')).toEqual(['carol', 'alice', 'bob'])
    expect(await names('staff')).toEqual(version.atLeast('2.1.0') ? ['carol', 'alice'] : ['alice'])
    expect(await names('waiting')).toEqual(version.atLeast('2.8.0') ? ['bob'] : [])
    const owner = (await rows<PersonRow>(listPeople(version, 'staff', 2))).find(({ username }) => username === 'alice')
    const role = hasRoleTable(version) ? 'Owner' : 'admin'
    expect(owner).toMatchObject({ role, confirmed: true, suspended: false, limited: false })
    expect(owner?.last_sign_in).toBeInstanceOf(Date)
    expect(await rows<PersonRow>(listPeople(version, 'all', 1))).toHaveLength(1)
  })

  test('the first account that is not suspended is the one of single-user mode', async () => {
    expect(await one<PeopleRow>(countPeople(version))).toEqual({ people: 3, first: 'alice' })
    const [suspend, back] = version.atLeast('2.9.0')
      ? ['suspended_at = now()', 'suspended_at = NULL']
      : ['suspended = true', 'suspended = false']
    await database.write(`UPDATE accounts SET ${suspend} WHERE username = 'alice' AND domain IS NULL`)
    expect(await one<PeopleRow>(countPeople(version))).toMatchObject({ first: 'bob' })
    const found = await one<AccountRow>(findAccount(version, 'ALICE', null))
    expect(found).toMatchObject({ suspended: true, limited: false })
    expect(found.suspended_at instanceof Date).toBe(version.atLeast('2.9.0'))
    await database.write(`UPDATE accounts SET ${back} WHERE username = 'alice' AND domain IS NULL`)
  })

  test('an account of another server is found with its domain alone, and what hangs on it is counted', async () => {
    expect(await rows(findAccount(version, 'person1', null))).toEqual([])
    const found = await one<AccountRow>(findAccount(version, 'Person1', 'EXAMPLE.net'))
    expect(found).toMatchObject({ username: 'person1', domain: 'example.net', user_id: null, suspended: false })
    const before = await one<TiesRow>(countTies(found.id))
    await database.write(
      'INSERT INTO follows (account_id, target_account_id, created_at, updated_at) VALUES ($1, 2, now(), now()), (3, $1, now(), now())',
      [found.id],
    )
    const ties = await one<TiesRow>(countTies(found.id))
    expect(ties.following_here - before.following_here).toBe(1)
    expect(ties.followers_here - before.followers_here).toBe(1)
    expect([ties.following_elsewhere, ties.followers_elsewhere]).toEqual([0, 0])
  })

  test('a name that is taken is found, and so is an address; an account becomes one of a program', async () => {
    const { email } = await alice()
    const taken = async (name: string, address: string) =>
      (await rows<TakenRow>(findTaken(version, name, address))).map(({ username }) => username)
    expect(await taken('nobody', 'nobody@example.com')).toEqual([])
    expect(await taken('BOB', email.toUpperCase())).toEqual(['alice', 'bob'])
    if (!knowsBots(version)) return
    const { sql, params } = makeBot('Carol')
    await database.write(sql, [...params])
    expect(await rows<TakenRow>(findTaken(version, 'carol', ''))).toMatchObject([{ username: 'carol', bot: true }])
  })

  test('who may sign up is read', async () => {
    const { sql, params } = readRegistrations(version)
    const [row] = await database.query<{ value: string }>(sql, [...params])
    expect(registrationMode(version, row?.value)).toBe(version.atLeast('2.8.0') ? 'approved' : 'closed')
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
