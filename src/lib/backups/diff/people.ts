import {
  COUNT_USERS,
  type Columns,
  type LiveAccount,
  type LiveUser,
  liveAccounts,
  liveUsers,
} from '../../mastodon/step-back.js'
import type { Database } from '../../postgres/access.js'
import type { PickedRow } from '../../postgres/extract.js'

export interface PeopleDiff {
  signUps: { count: number; confirmed: number }
  accounts: {
    /** Deleted since the backup, or asked to be (4.7.0 and later). */
    deleted: number
    suspended: number
    /** Suspensions that were lifted. */
    reinstated: number
  }
  /** People whose password, or e-mail address, is another than in the backup. */
  passwords: number
  emails: number
  twoFactor: { turnedOn: number; turnedOff: number }
  /** People who were given another role, or lost theirs; null where the backup keeps roles in another way. */
  roles: number | null
}

/** Compares accounts and users a batch at a time. What is read of them (addresses, hashes) is dropped at once. */
export class People {
  readonly #db: Database
  readonly #columns: Columns
  readonly #accounts = { deleted: 0, suspended: 0, reinstated: 0 }
  readonly #changed = { passwords: 0, emails: 0, roles: 0 }
  readonly #found = { users: 0, confirmed: 0 }
  #rolesCompared = true
  /** Ids of users who are asked for a second factor now, and in the backup have no flag for it. */
  readonly #on = new Set<string>()
  /** Ids of users who are not asked for one now, and were in the backup. */
  readonly #off = new Set<string>()
  readonly #withKey = new Set<string>()

  constructor(db: Database, columns: Columns) {
    this.#db = db
    this.#columns = columns
  }

  async takeAccounts(rows: readonly PickedRow[]): Promise<void> {
    const { sql, params } = liveAccounts(this.#columns, idsOf(rows, 'id'))
    const live = byId(await this.#db.query<LiveAccount>(sql, params))
    for (const row of rows) {
      const now = live.get(row.id ?? '')
      if (now === undefined) continue
      const suspended = isOn(row.suspended) || isOn(row.suspended_at)
      if (now.leaving && !isOn(row.requested_deletion_at)) this.#accounts.deleted += 1
      else if (now.suspended && !suspended) this.#accounts.suspended += 1
      if (!now.suspended && suspended) this.#accounts.reinstated += 1
    }
  }

  async takeUsers(rows: readonly PickedRow[]): Promise<void> {
    const live = await this.#liveUsers(idsOf(rows, 'id'))
    for (const row of rows) {
      const now = live.get(row.id ?? '')
      if (now === undefined) this.#accounts.deleted += 1
      else this.#compare(row, now)
    }
  }

  async takeSecurityKeys(rows: readonly PickedRow[]): Promise<void> {
    const live = await this.#liveUsers(idsOf(rows, 'user_id'))
    for (const { user_id: id } of rows) {
      if (!id) continue
      this.#withKey.add(id)
      if (live.get(id)?.challenged === false) this.#off.add(id)
    }
  }

  async finish(): Promise<PeopleDiff> {
    const [total] = await this.#db.query<{ n: number; confirmed: number }>(COUNT_USERS.sql)
    const turnedOn = [...this.#on].filter(id => !this.#withKey.has(id)).length
    const { passwords, emails, roles } = this.#changed
    const signUps = {
      count: (total?.n ?? 0) - this.#found.users,
      confirmed: (total?.confirmed ?? 0) - this.#found.confirmed,
    }
    return {
      ...{ signUps, accounts: { ...this.#accounts }, passwords, emails },
      twoFactor: { turnedOn, turnedOff: this.#off.size },
      roles: this.#rolesCompared ? roles : null,
    }
  }

  #compare(then: PickedRow, now: LiveUser): void {
    this.#found.users += 1
    if (now.confirmed) this.#found.confirmed += 1
    if (then.encrypted_password !== now.encrypted_password) this.#changed.passwords += 1
    if (then.email !== now.email) this.#changed.emails += 1
    const flag = isOn(then.otp_required_for_login)
    if (now.challenged && !flag) this.#on.add(now.id)
    if (!now.challenged && flag) this.#off.add(now.id)
    this.#compareRoles(then, now)
  }

  #compareRoles(then: PickedRow, now: LiveUser): void {
    const byRow = this.#columns.get('users')?.has('role_id') === true
    if (byRow !== (then.role_id !== undefined)) this.#rolesCompared = false
    const same = byRow
      ? (then.role_id ?? null) === now.role_id
      : isOn(then.admin) === (now.admin ?? false) && isOn(then.moderator) === (now.moderator ?? false)
    if (!same) this.#changed.roles += 1
  }

  async #liveUsers(ids: readonly string[]): Promise<Map<string, LiveUser>> {
    const { sql, params } = liveUsers(this.#columns, ids)
    return byId(await this.#db.query<LiveUser>(sql, params))
  }
}

function idsOf(rows: readonly PickedRow[], column: string): string[] {
  return rows.map(row => row[column]).filter(id => typeof id === 'string')
}

function byId<T extends { id: string }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map(row => [row.id, row]))
}

/** A flag that is set, or a time. */
function isOn(value: string | null | undefined): boolean {
  return value !== undefined && value !== null && value !== 'f'
}
