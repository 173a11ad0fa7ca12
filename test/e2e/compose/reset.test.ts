import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TAKE_BACK as TAKE_BACK_LOGGED } from '../pending-migrations.js'
import { people, type Stack, startStack } from './bed/bed.js'
import { since } from './bed/images.js'
import { BrokenRun } from './broken-run.js'
import { accepts, greatestIds, nextIds, Outside, type Seen } from './outside.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 300_000
const TAKE_BACK = TAKE_BACK_LOGGED.replace('TRUNCATE applied_log;\n', '')
const OTHERS = 'another:application'
const TOKEN = 'token-of-alice'
const NAMES = Object.keys(people).filter(name => name !== 'mallory')

/** Alice has a token of an app, is followed from elsewhere, and has the address of before 4.5; bob has the one since. */
async function furnish(stack: Stack): Promise<void> {
  await stack.psql(`
    INSERT INTO follows (account_id, target_account_id, created_at, updated_at)
      SELECT id, ${people.alice}, now(), now() FROM accounts WHERE id BETWEEN 106 AND 108;
    INSERT INTO oauth_applications (name, uid, secret, redirect_uri, superapp, created_at, updated_at)
      VALUES ('bot', 'bot-uid', 'bot-secret', 'urn:x', false, now(), now());
    INSERT INTO oauth_access_tokens (token, resource_owner_id, application_id, scopes, created_at)
      SELECT '${TOKEN}', ${people.alice}, id, 'read', now() FROM oauth_applications WHERE uid = 'bot-uid';`)
  if (since(stack.version, '4.5.0')) await stack.psql(`UPDATE accounts SET id_scheme = 0 WHERE id = ${people.alice}`)
  const { code, stderr } = await stack.oneOff(['rake', 'standin:keys'])
  expect(code, stderr).toBe(0)
}

/** What is to be the same in the old and the new database. */
const KEPT = [
  'SELECT to_jsonb(u) FROM users u ORDER BY id',
  'SELECT to_jsonb(f) FROM follows f ORDER BY id',
  'SELECT to_jsonb(t) FROM oauth_access_tokens t ORDER BY id',
  'SELECT to_jsonb(b) FROM domain_blocks b ORDER BY id',
  "SELECT to_jsonb(a) - 'statuses_count' FROM accounts a WHERE domain IS NULL ORDER BY id",
  'SELECT to_jsonb(a) FROM accounts a WHERE id IN (SELECT account_id FROM follows) AND domain IS NOT NULL ORDER BY id',
  'SELECT version FROM schema_migrations ORDER BY version',
]

const options = { drop: [], withoutFollows: false, drainSeconds: 0 }

const RELEASES = FULL ? ['2.4.5', '4.3.8', '4.5.3', '4.7.2'] : ['4.5.3']

/** Each test goes on where the one before it ended. */
describe.each(RELEASES)('db:reset of %s', { timeout: PATIENCE }, version => {
  let stack: Stack
  let story: BrokenRun
  let outside: Outside
  const before = new Map<string, Seen>()

  beforeAll(async () => {
    stack = await startStack({ version, ...(FULL ? {} : { variant: 'lean', streaming: false }) })
    story = new BrokenRun(stack)
    outside = new Outside(stack)
    await furnish(stack)
    for (const name of NAMES) before.set(name, await outside.seen(name))
  }, PATIENCE)
  afterAll(async () => {
    story?.remove()
    await stack?.stop()
  })

  const posts = () => stack.psql('SELECT count(*) FROM statuses')
  const databases = (like: string) => stack.psql(`SELECT datname FROM pg_database WHERE datname LIKE '${like}'`)

  test.each([
    ['a backup that is none', ['--to', 'nowhere'], 'db:backup'],
    ['no administrator', since(version, '4.0.0') ? ['--drop', 'tokens,roles'] : ['--drop', 'users'], '--drop'],
    ['another domain', [], '--dry-run'],
  ])('is refused for %s', async (why, flags, next) => {
    const domain = why === 'another domain' ? 'other.example' : stack.domain
    const { exitCode, stderr } = await story.tool('db:reset', '--confirm', domain, ...flags)
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining(next) })
  })

  test('a plan counts what is kept, what is lost and who is left without posts, and changes nothing', async () => {
    const { exitCode, stderr, stdout } = await story.tool('db:reset', '--without-follows', '--dry-run')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain('users 4')
    expect(stderr).toContain('40 posts of people here')
    expect(stderr).toContain('3 followers on 3 other servers silently stop receiving posts.')
    expect(stdout).toContain('COPY accounts FROM STDIN')
    expect(stdout).not.toContain('COPY follows')
    expect({ posts: await posts(), made: await databases('mstdn_ops%') }).toEqual({ posts: '160', made: '' })
  })

  /** With reduced counts it is killed when all is copied and nothing is known of it, and resumed. */
  async function carryOut() {
    if (FULL) {
      const { stdout, stderr } = await story.tool('db:reset', '--confirm', stack.domain, '--drain', '1s', '--json')
      return JSON.parse(stdout || stderr)
    }
    const end = await story.breakAt('db:reset', options, { step: 'copy', boundary: 'acted' })
    expect({ killed: end.killed, posts: await posts() }).toEqual({ killed: true, posts: '160' })
    const { stdout, stderr } = await story.tool('resume', '--json')
    return JSON.parse(stdout || stderr).report
  }

  test('the posts are gone, and everything by which others know the server is as it was', async () => {
    await stack.redis('SET', OTHERS, 'kept')
    const planned = await story.tool('db:reset', '--dry-run', '--json')
    const { result, changes } = await carryOut()
    const copies = (lines: string[]) =>
      lines.filter(line => line.startsWith('COPY ')).map(line => line.replace(/mstdn_ops_new_\w+/, 'NEW'))
    expect(copies(changes)).toEqual(copies(JSON.parse(planned.stdout).changes))
    expect(await posts()).toBe('0')
    const kept = await databases('mstdn_ops_kept%')
    expect(result).toMatchObject({ database: kept, leftBehind: 0, unserved: null })
    expect(result.lost).toContainEqual({ what: 'posts of people here', rows: 40 })
    for (const sql of KEPT) expect(await stack.psql(sql), sql).toBe(await stack.psql(sql, kept))
    expect(await stack.redis('GET', OTHERS)).toBe('kept')
    expect(await databases('mstdn_ops_new%')).toBe('')
  })

  test('every account has the address and the key that it had, and who knew that accepts what it signs', async () => {
    for (const name of NAMES) {
      const [old, now] = [before.get(name) as Seen, await outside.seen(name)]
      expect(now.actor).toEqual(old.actor)
      expect(accepts(old.actor, now.signed)).toBe(true)
      const others = before.get(name === 'bob' ? 'alice' : 'bob') as Seen
      expect(accepts(others.actor, now.signed)).toBe(false)
    }
    if (since(version, '4.5.0')) {
      expect(before.get('alice')?.actor.id).toBe(`https://${stack.domain}/users/alice`)
      expect(before.get('bob')?.actor.id).toBe(`https://${stack.domain}/ap/users/${people.bob}`)
    }
  })

  test('an app goes on with its token', async () => {
    const authorized = await outside.json('/api/v1/accounts/verify_credentials', [`Authorization: Bearer ${TOKEN}`])
    expect(authorized).toEqual({ id: String(people.alice) })
    const stranger = await outside.json('/api/v1/accounts/verify_credentials', ['Authorization: Bearer x'])
    expect(stranger).toHaveProperty('error')
  })

  test('no id is given out that the replaced database had used', async () => {
    const kept = await databases('mstdn_ops_kept%')
    const [next, used] = [await nextIds(stack), await greatestIds(stack, kept)]
    expect(next.size).toBeGreaterThan(30)
    for (const [table, id] of next) expect(BigInt(id) > BigInt(used.get(table) ?? 0), table).toBe(true)
    const written = await outside.json<{ post: string }>('/standin/post')
    expect(BigInt(written.post) > BigInt(used.get('statuses') ?? 0)).toBe(true)
  })

  test('files of the posts are left alone while rollback may need them', async () => {
    const { exitCode, stderr } = await story.tool('daily', '--remove-orphans')
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringContaining('db:discard') })
  })

  test('rollback brings everything back, and no id of the time between comes again', async () => {
    const between = await stack.psql('SELECT max(id) FROM statuses')
    const { exitCode, stderr } = await story.tool('rollback', '--confirm', stack.domain, '--drain', '1s')
    expect(exitCode, stderr).toBe(0)
    expect({ posts: await posts(), follows: await stack.psql('SELECT count(*) FROM follows') }).toEqual({
      ...{ posts: '160', follows: '9' },
    })
    const written = await outside.json<{ post: string }>('/standin/post')
    expect(BigInt(written.post) > BigInt(between)).toBe(true)
    expect((await story.tool('db:discard', '--yes')).exitCode).toBe(0)
    expect(await databases('mstdn_ops%')).toBe('')
    await stack.psql(`DELETE FROM statuses WHERE id = ${written.post}`)
  })

  /** Something of each kind happens after a backup, of the last-but-one schema where that is asked for. */
  async function baseline(isOlder: boolean, isMigratedAside = false) {
    if (isOlder) await stack.psql(TAKE_BACK)
    const made = await story.tool('db:backup', '--json')
    const { name, path } = JSON.parse(made.stdout).result
    if (isOlder) expect((await story.tool('db:migrate', '--yes')).exitCode).toBe(0)
    await stack.psql(`
      INSERT INTO statuses (account_id, text, created_at, updated_at) VALUES (${people.alice}, 'later', now(), now());
      DELETE FROM follows WHERE id = (SELECT min(id) FROM follows);
      DELETE FROM users WHERE account_id = ${people.mallory};
      INSERT INTO domain_blocks (domain, created_at, updated_at) VALUES ('later.example', now(), now())`)
    return { name, to: { path, isOlder, ...(isMigratedAside && { isMigratedAside }) } }
  }

  async function putBack() {
    expect((await story.tool('rollback', '--confirm', stack.domain, '--drain', '1s')).exitCode).toBe(0)
    expect((await story.tool('db:discard', '--yes')).exitCode).toBe(0)
    await stack.psql(
      `DELETE FROM statuses WHERE text = 'later'; DELETE FROM domain_blocks WHERE domain = 'later.example'`,
    )
  }

  /** What was written since is gone, and of mallory, who left since, nothing comes back: ten posts. */
  async function expectBaseline() {
    expect(await posts()).toBe('150')
    expect(await stack.psql(`SELECT count(*) FROM statuses WHERE account_id = ${people.mallory}`)).toBe('0')
    const kept = await databases('mstdn_ops_kept%')
    for (const sql of KEPT) expect(await stack.psql(sql), sql).toBe(await stack.psql(sql, kept))
    const seen = await outside.seen('alice')
    expect(seen.actor).toEqual((before.get('alice') as Seen).actor)
    expect(accepts((before.get('alice') as Seen).actor, seen.signed)).toBe(true)
    expect(await databases('mstdn_ops_new%')).toBe('')
  }

  test('with a backup it begins with the posts of that, killed in the middle and resumed', async () => {
    const { name, to } = await baseline(false)
    const both = await story.tool('db:reset', '--to', name, '--empty')
    expect(both.exitCode, both.stderr).toBe(2)
    const planned = await story.tool('db:reset', '--to', 'latest', '--dry-run')
    expect(planned.stderr).toContain(`Comes from the backup ${name}`)
    expect(planned.stderr).toContain('1 account deleted or suspended since')
    const end = await story.breakAt('db:reset', { ...options, to }, { step: 'merge', boundary: 'acted' })
    expect({ killed: end.killed, posts: await posts() }).toEqual({ killed: true, posts: '161' })
    const { exitCode, stderr, stdout } = await story.tool('resume', '--json')
    expect(exitCode, stderr).toBe(0)
    expect(JSON.parse(stdout).report.result).toMatchObject({ baseline: name, leftBehind: 0 })
    await expectBaseline()
    if (FULL) await putBack()
  })

  /** Migrated before it takes the live one's place, or after that, as where the app has a DATABASE_URL. */
  const broken: ['kill' | 'failure', string, boolean][] = [true, false].flatMap(aside => [
    ...['swap', aside ? 'migrate-aside' : 'migrate', 'merge', 'raise-ids'].map(
      step => ['kill', step, aside] as ['kill', string, boolean],
    ),
    ...['swap', 'merge'].map(step => ['failure', step, aside] as ['failure', string, boolean]),
  ])
  describe.each(FULL && version === '4.5.3' ? ['an older'] : [])('with a backup of %s schema', () => {
    test('it is migrated first', async () => {
      const { name } = await baseline(true)
      const { exitCode, stderr } = await story.tool(
        'db:reset',
        '--to',
        name,
        '--confirm',
        stack.domain,
        '--drain',
        '1s',
      )
      expect(exitCode, stderr).toBe(0)
      await expectBaseline()
      await putBack()
    })

    test.each(broken)('a %s after %s ends wholly (migrated aside: %s)', async (by, step, aside) => {
      const { to } = await baseline(true, aside)
      await story.breakAt(
        'db:reset',
        { ...options, to },
        { step, boundary: 'acted', ...(by === 'failure' ? { by } : {}) },
      )
      if (by === 'kill') {
        const { exitCode, stderr } = await story.tool('resume', '--json')
        expect(exitCode, stderr).toBe(0)
        await expectBaseline()
        await putBack()
        return
      }
      expect({ posts: await posts(), left: await databases('mstdn_ops%') }).toEqual({ posts: '161', left: '' })
      await story.expectOver('undone')
      await stack.psql(
        `DELETE FROM statuses WHERE text = 'later'; DELETE FROM domain_blocks WHERE domain = 'later.example'`,
      )
    })
  })
})
