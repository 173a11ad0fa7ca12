import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli } from '../../support/cli.js'
import { type Stack, startStack, versions } from './bed/bed.js'

/** What each changing command is called with. Those that need a terminal, or copy files, have tests of their own. */
const COMMANDS: readonly (readonly string[])[] = [
  ['accounts:make-admin', 'bob'],
  ['accounts:confirm', 'bob'],
  ['accounts:disable-2fa', 'alice'],
  ['accounts:reset-password', 'alice'],
  ['db:migrate'],
  ['db:migrate', '--phase', 'pre'],
  ['db:seed'],
  ['assets:precompile'],
  ['daily'],
  ['cache:clear'],
  ['feeds:build'],
  ['feeds:build', 'alice'],
  ['feeds:clear', '--yes'],
  ['push:clear', '--yes'],
  ['media:remove', '--days', '30'],
  ['media:refresh', '--account', 'alice'],
  ['jobs:retry'],
  ['jobs:clear', 'pull', '--yes'],
  ['jobs:run', 'user-cleanup'],
  ['keys:vapid', '--replace', '--confirm', 'mastodon.example'],
  ['restart', '--role', 'web'],
  ['maintenance:on'],
  ['maintenance:off'],
  ['scale', 'web=2'],
  ['accounts:create', 'carol', '--email', 'carol@mastodon.example', '--role', 'owner'],
  ['accounts:approve', 'bob'],
  ['accounts:suspend', 'mallory', '--confirm', 'mastodon.example'],
  ['registrations:approved'],
]

const FULL = process.env.MSTDN_TEST_FULL !== undefined

/** With reduced counts a release gets every eighth command, and its neighbours the rest. */
function turnOf(version: string): (readonly string[])[] {
  return COMMANDS.filter((_, at) => FULL || (at + versions.indexOf(version as (typeof versions)[number])) % 8 === 0)
}

/** The reviewed snapshot's blocks of these commands. */
function reviewed(version: string, commands: readonly (readonly string[])[]): string {
  const text = readFileSync(new URL(`snapshots/${version}.txt`, import.meta.url), 'utf8')
  const blocks = text.split(/^(?=\$ )/m)
  return commands
    .map(words => blocks.find(block => block.startsWith(`$ mstdn-ops ${words.join(' ')}\n`)) ?? '')
    .join('')
}

interface Answer {
  exitCode: number
  changes?: string[]
  steps?: { state: string; reason?: string }[]
  error?: { code: string; message: string; next: string | null; exitCode: number }
}

/** Calls every changing command on the stand-in of each release; what it sends is compared with the reviewed snapshot. */
export function versionTable(releases: readonly string[]): void {
  describe.each(releases)('every changing command on the stand-in of Mastodon %s', version => {
    let stack: Stack
    let state: string
    beforeAll(async () => {
      stack = await startStack({ version })
      state = mkdtempSync(join(tmpdir(), 'mstdn-ops-versions-'))
    })
    afterAll(async () => {
      await stack.stop()
      rmSync(state, { recursive: true })
    })

    async function answer(words: readonly string[]): Promise<Answer> {
      const { stdout, stderr } = await cli([...words, '--json'], {
        cwd: stack.projectDir,
        env: { XDG_STATE_HOME: state },
      })
      try {
        return JSON.parse(stdout) as Answer
      } catch {
        throw new Error(`${words.join(' ')} printed no JSON: ${stdout}\n${stderr}`)
      }
    }

    /** Names that differ from run to run are replaced, so that the snapshot shows what was sent and nothing else. */
    function normal(text: string): string {
      return (
        text
          // The folder first: where its random name is all small letters, it holds the project's.
          .replaceAll(stack.projectDir, 'DIR')
          .replaceAll(stack.projectName, 'PROJECT')
          .replaceAll(/mstdn-ops-[0-9a-f]{16}/g, 'MARK')
          .replaceAll(/\b\d{8}-\d{6}-[0-9a-f]{4}\b/g, 'RUN-ID')
          .replaceAll(/\b[0-9a-f]{12,64}\b/g, 'ID')
      )
    }

    const told: string[] = []

    /** What a command sent, or would send, or why it refused: a block of the snapshot. */
    function tell(words: readonly string[], { error, steps = [], changes = [] }: Answer): string {
      return normal(
        [
          `$ mstdn-ops ${words.join(' ')}`,
          ...(error ? [`  refused (${error.exitCode}): ${error.message} → ${error.next}`] : []),
          ...steps
            .filter(({ state: how }) => how === 'skipped')
            .map(({ reason }) => `  nothing to do: ${reason ?? ''}`),
          ...changes.flatMap(change => change.split('\n').map(line => `  ${line}`)),
        ].join('\n'),
      )
    }

    it.each(turnOf(version).map(words => [words.join(' '), words] as const))(
      '%s is carried out, or refused by name without a change',
      async (_title, words) => {
        const planned = FULL ? tell(words, await answer([...words, '--dry-run'])) : undefined
        const done = await answer(words)
        expect([0, 3], JSON.stringify(done)).toContain(done.error?.exitCode ?? done.exitCode)
        if (done.error) expect(done.error.next, 'a refusal says what to do').toBeTruthy()
        told.push(tell(words, done))
        if (planned !== undefined) expect(planned, 'the dry run tells what is then done').toBe(told.at(-1))
      },
      120_000,
    )

    it('sent what the reviewed snapshot says', async () => {
      const sent = `${told.join('\n')}\n`
      if (FULL) await expect(sent).toMatchFileSnapshot(`snapshots/${version}.txt`)
      else expect(sent).toBe(reviewed(version, turnOf(version)))
    })
  })
}
