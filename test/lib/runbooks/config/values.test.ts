import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { UsageError } from '../../../../src/lib/errors.js'
import { agree, fingerprint, pick } from '../../../../src/lib/fingerprint.js'
import { whatBreaks } from '../../../../src/lib/runbooks/config/guarded.js'
import { assertVariableNames } from '../../../../src/lib/runbooks/config/names.js'
import { assertWritable } from '../../../../src/lib/runbooks/config/value.js'
import { masked, variablesOf } from '../../../../src/lib/runbooks/config/values.js'
import { scriptedToolbox, writeState } from '../../../support/scripted-instance.js'

describe('variablesOf', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-values-'))
    const stored = { LOCAL_DOMAIN: 'a.example', OTP_SECRET: 'x'.repeat(128), DB_PASS: '' }
    writeState(dir, { stored, running: { ...stored, LOCAL_DOMAIN: 'b.example', GONE: '1' }, starts: 0 })
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  it('returns all of both sides by name, and what differs', async () => {
    const variables = await variablesOf(scriptedToolbox(dir), [])
    expect(variables.map(({ name, differs }) => [name, differs])).toEqual([
      ['DB_PASS', false],
      ['GONE', true],
      ['LOCAL_DOMAIN', true],
      ['OTP_SECRET', false],
    ])
  })

  it('masks secrets by their length and leaves empty ones empty', async () => {
    const [otp, pass, none] = await variablesOf(scriptedToolbox(dir), ['OTP_SECRET', 'DB_PASS', 'NONE'])
    expect(otp && masked(otp)).toMatchObject({
      stored: '(secret, 128 characters)',
      running: '(secret, 128 characters)',
    })
    expect(pass && masked(pass)).toMatchObject({ stored: '' })
    expect(none).toMatchObject({ stored: null, running: null, differs: false })
  })
})

describe('fingerprint', () => {
  it('is equal for equal values in any order, and differs by salt, by value, and by what is not set', () => {
    const print = fingerprint('salt', { A: '1', B: null })
    expect(fingerprint('salt', { B: null, A: '1' })).toBe(print)
    expect(fingerprint('other', { A: '1', B: null })).not.toBe(print)
    expect(fingerprint('salt', { A: '1', B: '' })).not.toBe(print)
    expect(print).toMatch(/^[0-9a-f]{32}$/)
  })

  it('picks and compares only the variables in question', () => {
    const [a, b] = [
      new Map([['A', '1']]),
      new Map([
        ['A', '1'],
        ['C', '2'],
      ]),
    ]
    expect(pick(a, ['A', 'B'])).toEqual({ A: '1', B: null })
    expect(agree(a, b, ['A', 'B'])).toBe(true)
    expect(agree(a, b, ['C'])).toBe(false)
  })
})

describe('what may be set', () => {
  it.each(['LOCAL_DOMAIN', 'WEB_DOMAIN', 'SECRET_KEY_BASE', 'OTP_SECRET', 'VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY'])(
    '%s is bound up with data',
    key => expect(whatBreaks(key)).toBeTruthy(),
  )
  it('so are the three encryption keys, and SMTP_PASSWORD is not', () => {
    for (const name of ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'])
      expect(whatBreaks(`ACTIVE_RECORD_ENCRYPTION_${name}`)).toContain('two-factor')
    expect(whatBreaks('SMTP_PASSWORD')).toBeUndefined()
  })

  it.each(['A=b', 'a b', '1A', '', '$(id)', 'A\nB', 'Ä'])('%j is no name of a variable', name => {
    expect(() => assertVariableNames(['FINE', name])).toThrow(UsageError)
  })

  it.each(['a\nb', 'a\u001b[2Jb', 'a\u0000', 'a\u0085b'])('%j is no value for an env file', value => {
    expect(() => assertWritable('KEY', value)).toThrow(UsageError)
    expect(() => assertWritable('KEY', 'a b $c #d \'e" \\f')).not.toThrow()
  })
})
