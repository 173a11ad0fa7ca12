import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { cli } from '../support/cli.js'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-answers-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

it('names all that is missing or wrong at once, without asking Docker', async () => {
  const result = await cli(['setup', '-C', dir, '--release', '4.1.0', '--media', 's3'], { env: { PATH: '/nowhere' } })
  expect(result.exitCode).toBe(2)
  for (const id of ['domain', 'release', 'owner', 'owner-email', 's3-bucket', 's3-key-id', 's3-secret'])
    expect(result.stderr).toMatch(new RegExp(`^ *${id}: `, 'm'))
})

it('prints the answers as a file that it reads again; flags win over it, and a secret stays out of it', async () => {
  const answers = join(dir, 'answers.yaml')
  const password = join(dir, 'password')
  writeFileSync(answers, 'domain: example.social\nowner: alice\nsmtp-server: smtp.example.org\nsmtp-login: me\n')
  writeFileSync(password, 'correct-horse\n')
  const words = ['setup', '--answers', answers, '--owner', 'bob', '--smtp-password-file', password, '--print-answers']
  const { stdout, exitCode } = await cli(words)
  expect(exitCode).toBe(0)
  expect(stdout).not.toContain('correct-horse')
  expect(parse(stdout)).toMatchObject({ domain: 'example.social', owner: 'bob', registrations: 'approved' })
})
