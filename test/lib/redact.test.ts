import { describe, expect, it } from 'vitest'
import { Redactor } from '../../src/lib/redact.js'

describe('Redactor', () => {
  it('takes a secret out of text in every form in which it may turn up', () => {
    const redactor = new Redactor()
    const secret = `pa"ss\\wo'rd/+=%`
    redactor.add('DB_PASS', secret)
    const forms = [
      secret,
      JSON.stringify({ secret }),
      `postgres://u:${encodeURIComponent(secret)}@db/x`,
      `echo '${secret.replaceAll("'", `'\\''`)}'`,
    ]
    for (const form of forms) expect(redactor.text(form)).toContain('[DB_PASS]')
    for (const form of forms) expect(redactor.text(form)).not.toContain('pa"ss\\wo')
  })

  it('replaces the longer of two secrets first, so that no rest of it stays', () => {
    const redactor = new Redactor()
    redactor.add('SHORT', 'abcdef')
    redactor.add('LONG', 'abcdef-ghijkl')
    expect(redactor.text('value abcdef-ghijkl')).toBe('value [LONG]')
  })

  it('goes through nested data', () => {
    const redactor = new Redactor()
    redactor.add('KEY', 'canary-value')
    expect(redactor.data({ a: ['x canary-value', 1, null], b: { c: 'canary-value' } })).toEqual({
      a: ['x [KEY]', 1, null],
      b: { c: '[KEY]' },
    })
  })

  it('leaves what a run reveals to the operator', () => {
    const redactor = new Redactor()
    redactor.add('NEW_PASSWORD', 'correct-horse')
    const report = { revealed: { NEW_PASSWORD: 'correct-horse' }, changes: ['set correct-horse'] }
    expect(redactor.data({ report })).toEqual({
      report: { revealed: { NEW_PASSWORD: 'correct-horse' }, changes: ['set [NEW_PASSWORD]'] },
    })
  })

  it('leaves short values alone: they would blank out ordinary words', () => {
    const redactor = new Redactor()
    redactor.add('PORT', '5432')
    redactor.add('EMPTY', '')
    redactor.add('NONE', undefined)
    expect(redactor.text('port 5432')).toBe('port 5432')
  })
})
