import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { NewFiles } from '../../../../../src/lib/backends/compose/new-project/new-files.js'

const TEXTS = { compose: 'services:\n  web:\n    image: a.example/mastodon:v4.5.3\n', env: 'LOCAL_DOMAIN=a.example\n' }
const wanted = (variables: [string, string][], compose = TEXTS.compose) => ({
  compose,
  variables: [{ title: 'All', variables }],
})

let dir: string
let files: NewFiles
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-new-'))
  files = new NewFiles(join(dir, 'project'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const path = (name: string) => join(dir, 'project', name)
const mode = (name: string) => (statSync(path(name)).mode & 0o777).toString(8)

it('writes both files and nothing else, the secrets for their owner alone, also in a folder yet to be made', async () => {
  await files.write(TEXTS)
  expect(readdirSync(path('.')).toSorted()).toEqual(['.env.production', 'compose.yaml'])
  expect([mode('.env.production'), mode('compose.yaml')]).toEqual(['600', '644'])
  await files.write({ ...TEXTS, env: 'LOCAL_DOMAIN=b.example\n' })
  expect(readFileSync(path('.env.production'), 'utf8')).toBe('LOCAL_DOMAIN=b.example\n')
  await files.unwrite()
  await files.unwrite()
  expect(readdirSync(path('.'))).toEqual([])
})

it('refuses a folder that cannot be made, and says which', async () => {
  writeFileSync(path('.').replace(/\/\.$/, ''), 'a file')
  await expect(files.write(TEXTS)).rejects.toMatchObject({ exitCode: 3, message: expect.stringContaining(dir) })
})

it('gives what is there another name, and the same bytes back', async () => {
  mkdirSync(path('.'), { recursive: true })
  writeFileSync(path('docker-compose.yml'), 'services: {}')
  writeFileSync(path('.env.production'), 'OTP_SECRET=x\n')
  expect(files.present()).toEqual([path('docker-compose.yml'), path('.env.production')])
  await files.setAside('run 1')
  expect(files.present()).toEqual([])
  expect(files.kept('run 1')).toHaveLength(2)
  await files.write(TEXTS)
  await files.unwrite()
  await files.putBack('run 1')
  await files.putBack('run 1')
  expect(readdirSync(path('.')).toSorted()).toEqual(['.env.production', 'docker-compose.yml'])
  expect(readFileSync(path('.env.production'), 'utf8')).toBe('OTP_SECRET=x\n')
})

it.each([
  [[['LOCAL_DOMAIN', 'a.example']], TEXTS.compose, []],
  [[['LOCAL_DOMAIN', 'a.example']], TEXTS.compose.replace('4.5.3', '4.5.4'), []],
  [[['LOCAL_DOMAIN', 'b.example']], TEXTS.compose, ['LOCAL_DOMAIN in .env.production']],
  [[['DB_HOST', 'db']], `${TEXTS.compose}    ports: []\n`, ['compose.yaml', 'DB_HOST in .env.production']],
] as [[string, string][], string, string[]][])(
  'compares %j with what stands there',
  async (variables, compose, differing) => {
    await files.write(TEXTS)
    const found = await files.compare(wanted(variables, compose))
    expect(found).toEqual({ isSame: differing.length === 0, differing, domain: 'a.example' })
  },
)

it('does not compare secrets that are set, for who runs it again may not have them at hand', async () => {
  await files.write({ ...TEXTS, env: 'SMTP_PASSWORD=other\n' })
  expect(await files.compare(wanted([['SMTP_PASSWORD', 'x']]))).toMatchObject({ isSame: true })
  expect(await files.compare(wanted([['AWS_SECRET_ACCESS_KEY', 'x']]))).toMatchObject({ isSame: false })
})

it('sees another compose file for what it is', async () => {
  mkdirSync(path('.'), { recursive: true })
  writeFileSync(path('docker-compose.yml'), TEXTS.compose)
  expect(await files.compare(wanted([]))).toEqual({ isSame: false, differing: ['compose.yaml is not there'] })
})
