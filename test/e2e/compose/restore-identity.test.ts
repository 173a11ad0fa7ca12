import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { people, type Stack, startStack } from './bed/bed.js'
import { since } from './bed/images.js'
import { BrokenRun } from './broken-run.js'
import { accepts, greatestIds, nextIds, Outside, type Seen } from './outside.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const PATIENCE = 300_000
const NAMES = Object.keys(people)
const RELEASES = FULL ? ['2.4.5', '4.3.8', '4.5.3', '4.7.2'] : ['4.5.3']

/** Ids and URIs of rows that an instance has given out, whatever became of the rows. */
interface Given {
  accounts: string[]
  users: string[]
  statuses: string[]
  media: string[]
  uris: string[]
}

const KINDS = ['accounts', 'users', 'statuses', 'media', 'uris'] as const

/** Twenty people sign up, each writes a post with a picture, and the last of them deletes all of it again. */
async function goOn(stack: Stack, outside: Outside, name: string): Promise<Given> {
  const rows = async (sql: string) => (await stack.psql(sql)).split('\n')
  const accounts = await rows(`INSERT INTO accounts (username, created_at, updated_at)
    SELECT '${name}' || n, now(), now() FROM generate_series(1, 20) n RETURNING id`)
  const mine = `FROM accounts WHERE username LIKE '${name}%'`
  const users = await rows(`INSERT INTO users (account_id, email, created_at, updated_at)
    SELECT id, username || '@example.com', now(), now() ${mine} RETURNING id`)
  const statuses = await rows(`INSERT INTO statuses (account_id, text, local, created_at, updated_at)
    SELECT id, '${name}', true, now(), now() ${mine} RETURNING id`)
  const media =
    await rows(`INSERT INTO media_attachments (account_id, file_file_name, remote_url, created_at, updated_at)
    SELECT id, 'a.png', '', now(), now() ${mine} RETURNING id`)
  const posts = await rows(
    `UPDATE statuses SET uri = 'https://${stack.domain}/statuses/' || id WHERE text = '${name}' RETURNING uri`,
  )
  const actors = await Promise.all([1, 20].map(n => outside.json<{ id: string }>(`/users/${name}${n}`)))
  await stack.psql(`DELETE FROM media_attachments WHERE id = ${media.at(-1)}; DELETE FROM statuses WHERE id = ${statuses.at(-1)};
    DELETE FROM users WHERE id = ${users.at(-1)}; DELETE FROM accounts WHERE id = ${accounts.at(-1)}`)
  return { accounts, users, statuses, media, uris: [...posts, ...actors.map(({ id }) => id)] }
}

/** Each test goes on where the one before it ended. */
describe.each(RELEASES)('who the instance is after a restore of %s', { timeout: PATIENCE }, version => {
  let stack: Stack
  let story: BrokenRun
  let outside: Outside
  let backup: string
  let given: Given
  const before = new Map<string, Seen>()

  beforeAll(async () => {
    stack = await startStack({ version, ...(FULL ? {} : { variant: 'lean', streaming: false }) })
    story = new BrokenRun(stack)
    outside = new Outside(stack)
    if (since(version, '4.5.0')) await stack.psql(`UPDATE accounts SET id_scheme = 0 WHERE id = ${people.alice}`)
    const keys = await stack.oneOff(['rake', 'standin:keys'])
    expect(keys.code, keys.stderr).toBe(0)
    for (const name of NAMES) before.set(name, await outside.seen(name))
    const made = await story.tool('db:backup', '--json')
    expect(made.exitCode, made.stderr).toBe(0)
    backup = JSON.parse(made.stdout).result.path
    given = await goOn(stack, outside, 'before')
  }, PATIENCE)
  afterAll(async () => {
    story?.remove()
    await stack?.stop()
  })

  async function kept(): Promise<string> {
    const name = await stack.psql("SELECT datname FROM pg_database WHERE datname LIKE 'mstdn_ops_kept%'")
    expect(name).toMatch(/^mstdn_ops_kept_\w+$/)
    return name
  }

  test('the people of the backup have the addresses and the keys that they had, and what they sign is accepted', async () => {
    const restored = await story.tool('db:restore', backup, '--confirm', stack.domain, '--drain', '1s')
    expect(restored.exitCode, restored.stderr).toBe(0)
    expect(await stack.psql("SELECT count(*) FROM accounts WHERE username LIKE 'before%'")).toBe('0')
    for (const name of NAMES) {
      const [old, now] = [before.get(name) as Seen, await outside.seen(name)]
      expect(now.actor).toEqual(old.actor)
      expect(accepts(old.actor, now.signed), name).toBe(true)
      const another = before.get(name === 'bob' ? 'alice' : 'bob') as Seen
      expect(accepts(another.actor, now.signed), name).toBe(false)
    }
  })

  test('no table gives out an id that the replaced database had used', async () => {
    const [next, used] = [await nextIds(stack), await greatestIds(stack, await kept())]
    expect(next.size).toBeGreaterThan(30)
    for (const [table, id] of next) expect(BigInt(id) > BigInt(used.get(table) ?? 0), table).toBe(true)
  })

  test('new people, posts and media have other ids and URIs than those that are gone, deleted ones too', async () => {
    const written = await outside.json<{ post: string }>('/standin/post')
    expect(given.statuses).not.toContain(written.post)
    const now = await goOn(stack, outside, 'after')
    for (const kind of KINDS) {
      expect(now[kind].length, kind).toBeGreaterThanOrEqual(20)
      expect(
        now[kind].filter(one => given[kind].includes(one)),
        kind,
      ).toEqual([])
    }
    const old = new Set((await stack.psql('SELECT uri FROM statuses WHERE uri IS NOT NULL', await kept())).split('\n'))
    expect(now.uris.filter(uri => old.has(uri))).toEqual([])
  })
})
