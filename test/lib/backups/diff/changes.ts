import { type Era, eraOf, insert, stamped, when } from '../../../../src/lib/backends/direct/sandbox/seed/era.js'

/** Values that would end a row, a field, the data or the line of a terminal where somebody forgot to escape them. */
export const HOSTILE = 'a\tb\nc\\d\\N\r\\.\u001b[31m"\'$1 COPY'

const literal = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`

/** The newest row of the backup whose time this server has set. */
export const NEWEST = '2029-12-30 23:00:00.123'

/** Local accounts beside those of the demo data: 1 is alice, 2 bob, 3 carol, and from 101 on they are remote. */
const [DORA, EVE, FINN, GUS, HANA, IVY, JACK] = [11, 12, 13, 14, 15, 16, 17]

/** What happens before the backup: people, a boost, blocks, and hostile text wherever people can write. */
export function before(release: string): string[] {
  const era = eraOf(release)
  return [
    ...[DORA, EVE, FINN, GUS, HANA].flatMap(id => person(era, id)),
    suspend(era, GUS, true),
    `UPDATE accounts SET note = ${literal(`${HOSTILE}\n\\.\nCOPY public.users (id) FROM stdin;\n1\n`)}`,
    `UPDATE accounts SET username = ${literal(HOSTILE)} || id WHERE id IN (3, 103)`,
    `UPDATE statuses SET text = ${literal(`${HOSTILE}\n\\.\n\nCOPY public.statuses (id) FROM stdin;\n1\n`)}`,
    post(era, { id: 9011, boosts: true }),
    post(era, { id: 9012, boosts: true }),
    ...[9013, 9014, 9015].map(id => post(era, { id })),
    ...pairs('blocks', [1, 101], [1, 102], [101, 1]),
    ...pairs('mutes', [1, 101], [102, 1]),
    `UPDATE follows SET created_at = '${NEWEST}' WHERE account_id = 1 AND target_account_id = 105`,
    "UPDATE accounts SET created_at = '9999-01-01' WHERE domain IS NOT NULL",
    ...['kept', 'lifted'].flatMap(name => domainBlocks(name)),
    ...(era.has('2.1.0') ? [ACTION_LOGS, ACTION] : []),
    ...(era.has('3.0.0') ? [`UPDATE statuses SET deleted_at = now() WHERE id = 9015`] : []),
  ]
}

/** What happens after it; {@link expected} says what is to be counted. */
export function since(release: string): string[] {
  const era = eraOf(release)
  return [...posts(era), ...people(era), ...relations(era)]
}

function posts(era: Era): string[] {
  return [
    post(era, { id: 9021, at: '2029-12-31 01:00:00' }),
    post(era, { id: 9022, at: '2029-12-31 02:00:00.5', visibility: 1 }),
    post(era, { id: 9023, at: '2029-12-31 03:00:00', visibility: 2 }),
    post(era, { id: 9024, boosts: true }),
    post(era, { id: 9025, author: 101 }),
    'DELETE FROM statuses WHERE id IN (9011, 9013)',
    era.has('3.0.0')
      ? 'UPDATE statuses SET deleted_at = now() WHERE id = 9014'
      : 'DELETE FROM statuses WHERE id = 9014',
  ]
}

function people(era: Era): string[] {
  return [
    ...person(era, IVY),
    ...person(era, JACK),
    `UPDATE users SET confirmed_at = now() WHERE account_id = ${IVY}`,
    `DELETE FROM users WHERE account_id IN (${DORA}, ${EVE})`,
    `DELETE FROM accounts WHERE id = ${DORA}`,
    suspend(era, EVE, true),
    suspend(era, FINN, true),
    suspend(era, GUS, false),
    ...(era.has('4.7.0') ? [`UPDATE accounts SET requested_deletion_at = now() WHERE id = ${HANA}`] : []),
    "UPDATE users SET encrypted_password = '$2a$10$new', email = 'new@social.example' WHERE account_id = 2",
    `UPDATE users SET encrypted_password = '$2a$10$newer' WHERE account_id = ${FINN}`,
    'UPDATE users SET otp_required_for_login = true WHERE account_id = 3',
    'UPDATE users SET otp_required_for_login = false WHERE account_id = 1',
    ...(era.has('3.3.0') ? ['DELETE FROM webauthn_credentials', securityKey()] : []),
    `UPDATE users SET ${era.has('4.0.0') ? 'role_id = NULL' : 'admin = false'} WHERE account_id = 1`,
  ]
}

function relations(era: Era): string[] {
  return [
    'DELETE FROM blocks WHERE account_id = 1 AND target_account_id = 102',
    'DELETE FROM mutes WHERE account_id = 1',
    ...pairs('blocks', [1, 103], [1, 104], [102, 1]),
    ...pairs('mutes', [3, 102], [103, 1]),
    "DELETE FROM account_domain_blocks WHERE domain LIKE 'lifted%'",
    "DELETE FROM domain_blocks WHERE domain LIKE 'lifted%'",
    ...domainBlocks('made'),
    // Followed again, which makes a new row for the same.
    'DELETE FROM follows WHERE account_id = 1 AND target_account_id IN (105, 106)',
    'DELETE FROM follows WHERE account_id IN (101, 103) AND target_account_id = 1',
    ...pairs('follows', [1, 105], [2, 105], [104, 2], [107, 2], [2, 3]),
    insert('reports', { account_id: '1', target_account_id: '101', ...stamped() }),
    ...(era.has('2.1.0') ? [ACTION, ACTION] : []),
  ]
}

/** What a comparison of {@link before} with {@link since} finds, its times left out. */
export function expected(release: string) {
  const era = eraOf(release)
  return {
    posts: {
      written: { count: 3, open: 2, oldest: '2029-12-31T01:00:00.000Z', newest: '2029-12-31T03:00:00.000Z' },
      deleted: 2,
    },
    boosts: { made: 1, takenBack: 1 },
    signUps: { count: 2, confirmed: 1 },
    accounts: { deleted: era.has('4.7.0') ? 3 : 2, suspended: 1, reinstated: 1 },
    ...{ passwords: 2, emails: 1, roles: 1 },
    twoFactor: { turnedOn: era.has('3.3.0') ? 2 : 1, turnedOff: 1 },
    relations: {
      blocks: { made: 2, removed: 1 },
      mutes: { made: 1, removed: 1 },
      peoplesDomainBlocks: { made: 1, removed: 1 },
      serversDomainBlocks: { made: 1, removed: 1 },
      follows: { made: 2, removed: 1 },
      followers: { made: 2, removed: 2 },
      reports: { made: 1, removed: 0 },
      moderation: { made: era.has('2.1.0') ? 2 : 0, removed: 0 },
    },
    notCompared: [],
  }
}

function person(era: Era, id: number): string[] {
  const times = stamped("now() - interval '1 hour'")
  const key = when(era.has('1.3.0', '4.7.0'), { public_key: "''" })
  return [
    insert('accounts', { id: `${id}`, username: `'person' || ${id}`, ...times, ...key }),
    insert('users', { id: `${id}`, account_id: `${id}`, email: literal(`${HOSTILE}${id}`), ...times }),
  ]
}

function post(era: Era, { id, at = '2029-12-30 00:00:00', visibility = 0, boosts = false, author = 1 }: Post): string {
  return insert('statuses', {
    ...{ id: `${id}`, account_id: `${author}`, visibility: `${visibility}`, ...stamped(`timestamp '${at}'`) },
    text: "'A post'",
    uri: era.has('1.6.0') || author > 100 ? `'https://social.example/statuses/${id}'` : 'NULL',
    ...when(boosts, { reblog_of_id: '(SELECT max(id) FROM statuses WHERE account_id > 100 AND reblog_of_id IS NULL)' }),
    ...when(era.has('1.6.0'), { local: `${author < 100}` }),
  })
}

interface Post {
  id: number
  /** UTC. */
  at?: string
  visibility?: number
  boosts?: boolean
  author?: number
}

function suspend(era: Era, id: number, on: boolean): string {
  if (!era.has('2.9.0')) return `UPDATE accounts SET suspended = ${on} WHERE id = ${id}`
  return `UPDATE accounts SET suspended_at = ${on ? 'now()' : 'NULL'} WHERE id = ${id}`
}

function securityKey(): string {
  const columns = { external_id: "'new'", public_key: "'new'", nickname: "'new'", user_id: '2', sign_count: '0' }
  return insert('webauthn_credentials', { ...columns, ...stamped() })
}

function pairs(table: string, ...rows: [number, number][]): string[] {
  return rows.map(([from, to]) => insert(table, { account_id: `${from}`, target_account_id: `${to}`, ...stamped() }))
}

function domainBlocks(name: string): string[] {
  const domain = literal(`${name}${HOSTILE}.example`)
  return [
    insert('account_domain_blocks', { account_id: '1', domain, ...stamped() }),
    insert('domain_blocks', { domain, ...stamped() }),
  ]
}

/** As db/schema.rb of 2.1.0 has it; the demo data has no such table. */
const ACTION_LOGS = `CREATE TABLE admin_action_logs (id bigserial PRIMARY KEY, account_id bigint,
  action varchar NOT NULL DEFAULT '', target_type varchar, target_id bigint, recorded_changes text NOT NULL DEFAULT '',
  created_at timestamp NOT NULL, updated_at timestamp NOT NULL)`
const ACTION = insert('admin_action_logs', { account_id: '1', action: "'suspend'", ...stamped() })
