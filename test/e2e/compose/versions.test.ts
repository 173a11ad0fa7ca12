import { mkdtempSync, rmSync } from 'node:fs'
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
  ['jobs:clear', 'default', '--yes'],
  ['jobs:run', 'user_cleanup_scheduler'],
  ['keys:vapid', '--replace', '--confirm', 'mastodon.example'],
  ['restart', '--role', 'web'],
]

interface Answer {
  exitCode: number
  changes?: string[]
  steps?: { state: string; reason?: string }[]
  error?: { code: string; message: string; next: string | null; exitCode: number }
}

describe.each(versions)('every changing command on the stand-in of Mastodon %s', version => {
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
    return text
      .replaceAll(stack.projectName, 'PROJECT')
      .replaceAll(stack.projectDir, 'DIR')
      .replaceAll(/mstdn-ops-[0-9a-f]{16}/g, 'MARK')
      .replaceAll(/\b\d{8}-\d{6}-[0-9a-f]{4}\b/g, 'RUN-ID')
      .replaceAll(/\b[0-9a-f]{12,64}\b/g, 'ID')
  }

  it('would send what the reviewed snapshot says, or refuses by name', async () => {
    const lines: string[] = []
    for (const words of COMMANDS) {
      const planned = await answer([...words, '--dry-run'])
      lines.push(`$ mstdn-ops ${words.join(' ')}`)
      if (planned.error)
        lines.push(`  refused (${planned.error.exitCode}): ${planned.error.message} → ${planned.error.next}`)
      for (const step of planned.steps ?? [])
        if (step.state === 'skipped') lines.push(`  nothing to do: ${step.reason ?? ''}`)
      for (const change of planned.changes ?? []) lines.push(...change.split('\n').map(line => `  ${line}`))
    }
    await expect(`${lines.map(normal).join('\n')}\n`).toMatchFileSnapshot(`snapshots/${version}.txt`)
  }, 300_000)

  it.each(COMMANDS.map(words => [words.join(' '), words] as const))(
    '%s is carried out, or refused without a change',
    async (_title, words) => {
      const done = await answer(words)
      const exitCode = done.error?.exitCode ?? done.exitCode
      expect([0, 3], JSON.stringify(done)).toContain(exitCode)
      if (exitCode === 3) expect(done.error?.next, 'a refusal says what to do').toBeTruthy()
    },
    120_000,
  )
})
