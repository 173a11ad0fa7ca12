import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CliResult, cli } from '../../support/cli.js'
import { engineGoneAfter, scriptedPath } from '../../support/scripted-path.js'
import { type Stack, startStack } from './bed/bed.js'

let stack: Stack
let scratch: string
let untouched: string
beforeAll(async () => {
  stack = await startStack({ version: '4.5.3' })
  scratch = mkdtempSync(join(tmpdir(), 'mstdn-ops-bad-'))
  untouched = await fingerprint()
})
afterAll(async () => {
  await stack.stop()
  rmSync(scratch, { recursive: true, force: true })
})

/** What no refused command may change: people, roles, the configuration file, the containers. */
async function fingerprint(): Promise<string> {
  const users = await stack.psql('SELECT md5(string_agg(u::text, chr(10) ORDER BY id)) FROM users u')
  const roles = await stack.psql('SELECT md5(string_agg(r::text, chr(10) ORDER BY id)) FROM user_roles r')
  const containers = (await stack.containers()).filter(({ oneOff }) => !oneOff).map(({ id }) => id)
  return JSON.stringify([
    users,
    roles,
    readFileSync(join(stack.projectDir, '.env.production'), 'utf8'),
    containers.sort(),
  ])
}

function run(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  return cli(words, { cwd: stack.projectDir, env })
}

/** A clear error: the code, what failed, and what to do next; no stack trace. */
function expectRefusal(result: CliResult, exitCode: number, message: RegExp): void {
  expect(result.stderr + result.stdout).toMatch(message)
  expect(result.stderr).toMatch(/Next: /)
  expect(result.stderr).not.toMatch(/\n\s+at .*:\d+:\d+/)
  expect(result.exitCode, result.stderr).toBe(exitCode)
}

describe('wrong words and wrong places', () => {
  afterEach(async () => expect(await fingerprint()).toBe(untouched))

  it.each([
    ['an unknown instance', ['-i', 'nowhere', 'rows'], 2, /no instance "nowhere"/],
    ['an unknown command', ['frobnicate'], 2, /frobnicate/],
    ['an unknown flag', ['rows', '--frobnicate'], 2, /--frobnicate/],
    ['a missing argument', ['accounts:make-admin'], 2, /user/],
    ['an unknown backend', ['--backend', 'kubernetes', 'rows'], 2, /kubernetes/],
    ['a folder without a project', ['-C', '/usr', 'rows'], 2, /No Mastodon was found in \/usr/],
    ['an unknown user', ['accounts:make-admin', 'nobody'], 3, /no local user "nobody"/],
    ['a name of another server', ['accounts:make-admin', 'bob@example.net'], 3, /no local user "bob@example.net"/],
    ['words that can be no name', ['accounts:make-admin', 'x; touch /tmp/p'], 2, /no account name/],
    ['a wrong domain', ['keys:vapid', '--replace', '--confirm', 'other.example'], 3, /other\.example/],
    ['no terminal for the domain', ['keys:vapid', '--replace'], 2, /--confirm mastodon\.example/],
    ['no terminal for a yes', ['feeds:clear'], 2, /--yes/],
    ['no terminal for a console', ['console'], 2, /terminal/],
    ['no terminal for a shell', ['shell'], 2, /terminal/],
    ['--yes in place of the domain', ['keys:vapid', '--replace', '--yes'], 2, /--confirm mastodon\.example/],
    ['an unknown scheduler', ['jobs:run', 'no_such_scheduler'], 3, /no_such_scheduler/],
  ])('%s', async (_what, words, exitCode, message) => {
    expectRefusal(await run(words as string[]), exitCode as number, message as RegExp)
  })

  it('names a broken configuration file with its line', async () => {
    const file = join(scratch, 'broken.yaml')
    writeFileSync(file, 'instances:\n  main:\n    backend: [compose\n')
    expectRefusal(await run(['rows'], { MSTDN_OPS_CONFIG: file }), 2, /broken\.yaml:\d+: /)
  })

  it('prints one JSON object, and nothing else on stdout, for a failure under --json', async () => {
    const result = await run(['accounts:make-admin', 'nobody', '--json'])
    expect(JSON.parse(result.stdout)).toEqual({
      error: {
        code: 'no-such-user',
        message: expect.any(String),
        cause: expect.any(String),
        next: expect.any(String),
        exitCode: 3,
      },
    })
    expect(result.exitCode).toBe(3)
  })
})

describe('an engine or a client that is not as it should be', () => {
  afterEach(async () => expect(await fingerprint()).toBe(untouched))

  it('refuses compose v1 with one sentence that says what to install', async () => {
    const { env } = scriptedPath({
      docker:
        '[ "$1" = compose ] && { echo "docker: \'compose\' is not a docker command." >&2; exit 1; }\nPATH="$REAL_PATH" exec docker "$@"',
      'docker-compose': 'echo 1.29.2',
    })
    expectRefusal(await run(['rows', '--backend', 'compose'], env), 3, /compose v?1|1\.29\.2/)
  })

  it('says that docker is missing', async () => {
    const { dir } = scriptedPath({ node: `exec ${process.execPath} "$@"` })
    expectRefusal(await run(['rows', '--backend', 'compose'], { PATH: dir }), 3, /docker/)
  })

  it('says that no engine answers', async () => {
    expectRefusal(
      await run(['rows', '--backend', 'compose'], { DOCKER_HOST: 'unix:///nowhere.sock' }),
      3,
      /engine|daemon/i,
    )
  })

  it('names garbage that comes in place of the database protocol, and does not hang', async () => {
    const { env } = scriptedPath({
      docker:
        'case "$*" in *"exec -i"*) echo "OCI runtime exec failed: something odd"; exit 126;; esac\nPATH="$REAL_PATH" exec docker "$@"',
    })
    const started = Date.now()
    const result = await run(['rows'], env)
    expect(result.exitCode, result.stderr).toBe(3)
    expect(Date.now() - started).toBeLessThan(30_000)
  })
})

describe('garbage from a server that is reached directly', () => {
  let server: Server
  let port: number
  beforeAll(async () => {
    server = createServer(socket => {
      socket.on('error', () => undefined)
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as { port: number }).port
  })
  afterAll(() => server.close())

  it('is refused and named', async () => {
    const env = { MSTDN_OPS_BACKEND: 'direct', MSTDN_OPS_DATABASE_URL: `postgres://u:p@127.0.0.1:${port}/x` }
    expectRefusal(await run(['rows'], env), 3, /127\.0\.0\.1|PostgreSQL/)
  })
})

describe('a disk that is full', () => {
  afterEach(async () => expect(await fingerprint()).toBe(untouched))

  it('refuses a change when the journal cannot be written', async () => {
    const full = join(scratch, 'full')
    mkdirSync(full)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', full])
    try {
      execFileSync('sh', ['-c', `head -c 200000 /dev/zero > ${full}/filler 2>/dev/null || true`])
      expectRefusal(await run(['accounts:make-admin', 'bob'], { XDG_STATE_HOME: full }), 3, /space|ENOSPC/)
    } finally {
      execFileSync('umount', [full])
    }
  })
})

describe('a role that is missing', () => {
  it('refuses to make an administrator where no role allows everything', async () => {
    await stack.psql('UPDATE user_roles SET permissions = permissions & ~1::bigint')
    try {
      expectRefusal(await run(['accounts:make-admin', 'bob']), 3, /no role that allows everything/)
    } finally {
      await stack.psql("UPDATE user_roles SET permissions = permissions | 1 WHERE name = 'Owner'")
    }
  })
})

describe('the engine goes in the middle', () => {
  const most = process.env.MSTDN_TEST_FULL ? 24 : 12

  it.each(Array.from({ length: most }, (_, calls) => [calls + 1]))(
    'after %i calls: the exit code tells the truth',
    async calls => {
      await stack.psql(
        "UPDATE users SET role_id = NULL WHERE account_id = (SELECT id FROM accounts WHERE username = 'bob' AND domain IS NULL)",
      )
      const { env } = scriptedPath({ docker: engineGoneAfter(calls) })
      const result = await run(['accounts:make-admin', 'bob'], env)
      const isAdmin =
        (
          await stack.psql(
            "SELECT count(*) FROM users u JOIN accounts a ON a.id = u.account_id JOIN user_roles r ON r.id = u.role_id WHERE a.username = 'bob'",
          )
        ).trim() === '1'
      expect([0, 3, 4, 5, 8], result.stderr).toContain(result.exitCode)
      if (result.exitCode === 0) expect(isAdmin).toBe(true)
      if ([3, 4].includes(result.exitCode)) expect(isAdmin, result.stderr).toBe(false)
    },
    60_000,
  )
})

describe('a service that is stopped', () => {
  it('names the database that is not running', async () => {
    await stack.compose('stop', 'db')
    try {
      expectRefusal(await run(['rows']), 3, /db/)
      expectRefusal(await run(['accounts:make-admin', 'bob']), 3, /db/)
    } finally {
      await stack.compose('start', 'db')
    }
  })

  it('names Redis that is not running', async () => {
    await stack.compose('stop', 'redis')
    try {
      expectRefusal(await run(['jobs']), 3, /redis/i)
    } finally {
      await stack.compose('start', 'redis')
    }
  })
})
