import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { decryptWith, encryptTo } from '../../../src/lib/backups/encryption.js'
import { envText, keepSecrets } from '../../../src/lib/backups/secrets-file.js'
import { toolboxOf } from '../../support/toolbox-of.js'

const runs = process.env.MSTDN_TEST_FULL ? 500 : 40
const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-secrets-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const NASTY = ["'", '"', '$', '`', '\\', '\n', '#', ' ', '=', '$(id)', "'\\''", 'é', '!', '*', '~', ';', '$HOME']
const value = fc.array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ maxLength: 5 })), { maxLength: 6 })
const text = value.map(parts => parts.join('').replaceAll('\0', ''))

/** A file is read, not a word: `$( )` would take newlines off the end. */
function shellReads(file: string): string {
  return execFileSync('sh', ['-c', '. "$1"; printf "%s" "$VALUE"', 'sh', file], { encoding: 'utf8', env: {} })
}

test('whatever a value holds, a shell reads it back', () => {
  fc.assert(
    fc.property(text, wanted => {
      const file = join(dir, 'one.env')
      writeFileSync(file, envText(new Map([['VALUE', wanted]])))
      expect(shellReads(file)).toBe(wanted)
    }),
    { numRuns: runs, examples: NASTY.map(part => [part]) },
  )
})

test('dotenv reads back what has no single quote beside other special characters', () => {
  fc.assert(
    fc.property(text, wanted => {
      // Node's own reader takes carriage returns for newlines.
      fc.pre(!(wanted.includes("'") && /["$`\\]/.test(wanted)) && !wanted.includes('\r'))
      expect(parseEnv(envText(new Map([['VALUE', wanted]]))).VALUE).toBe(wanted)
    }),
    { numRuns: runs * 5 },
  )
})

test('names in order; one that no shell takes is a comment', () => {
  const variables = new Map([
    ['SECRET_KEY_BASE', 'abc'],
    ['DB_PASS', ''],
    ['odd.name', 'two\nlines'],
    ['S3_BUCKET', 'my bucket'],
  ])
  expect(envText(variables)).toBe(
    'DB_PASS=\nS3_BUCKET=\'my bucket\'\nSECRET_KEY_BASE=abc\n# "odd.name": "two\\nlines"\n',
  )
})

test('all variables are in the file, and only the secret key opens it', async () => {
  const identity = await generateX25519Identity()
  const key = join(dir, 'key')
  writeFileSync(key, `${identity}\n`)
  const seal = await encryptTo(await identityToRecipient(identity))
  const toolbox = toolboxOf({
    config: { OLD: 'x' },
    stored: { LOCAL_DOMAIN: 'example.com', OTP_SECRET: 'canary value' },
  })
  const file = await keepSecrets(toolbox, { dir, seal })
  expect(file).toMatchObject({ name: 'secrets.env.age', part: 'secrets', encrypted: true })
  const kept = readFileSync(join(dir, file.name))
  expect(kept.includes('canary')).toBe(false)
  const opened = (await decryptWith(key)).stream()
  opened.end(kept)
  const clear = Buffer.concat(await opened.toArray()).toString()
  expect(clear).toBe("LOCAL_DOMAIN=example.com\nOTP_SECRET='canary value'\n")
})
