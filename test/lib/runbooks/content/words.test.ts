import { expect, test } from 'vitest'
import { UsageError } from '../../../../src/lib/errors.js'
import { parseCopy } from '../../../../src/lib/runbooks/content/copy.js'
import { validRefresh } from '../../../../src/lib/runbooks/content/media.js'
import { complaint, lastLine, operationFailed } from '../../../../src/lib/runbooks/content/outcome.js'
import { readSetting } from '../../../../src/lib/runbooks/daily/daily.js'

test('a copy goes in or out by the side that is inside', () => {
  const remote = { place: 'web', path: '/opt/mastodon/public' }
  expect(parseCopy('web:/opt/mastodon/public', '.')).toEqual({ direction: 'out', local: '.', remote })
  expect(parseCopy('./a:b', 'web:/opt/mastodon/public')).toEqual({ direction: 'in', local: './a:b', remote })
})

test.each([
  ['a', 'b'],
  ['web:/a', 'sidekiq:/b'],
  ['web:relative', 'b'],
  ['-rf:/a', 'b'],
])('%s to %s is no copy', (source, target) => {
  expect(() => parseCopy(source, target)).toThrow(UsageError)
})

test.each([
  { domain: 'example.com' },
  { domain: 'xn--bcher-kva.example' },
  { domain: 'localhost:3000' },
  { account: '@some.one@example.com' },
  { account: 'someone' },
  { status: '9223372036854775807' },
])('%o can be fetched', options => {
  expect(validRefresh(options)).toEqual(options)
})

test('a domain is compared in lower case', () => {
  expect(validRefresh({ domain: 'Example.COM' })).toEqual({ domain: 'example.com' })
})

test.each([
  { domain: 'https://example.com' },
  { domain: '-example.com' },
  { domain: '--all' },
  { domain: 'exa mple.com' },
  { domain: '' },
  { account: 'some one@example.com' },
  { account: 'someone@exa_mple..com' },
  { account: '--force' },
  { account: 'a;b' },
  { status: '1 OR 1=1' },
  { status: '-1' },
])('%o can be no such thing', options => {
  expect(() => validRefresh(options)).toThrow(UsageError)
})

test.each([
  ['--- 14\n', '14'],
  ["--- '14'\n", '14'],
  ['14', '14'],
  ["--- ''\n", undefined],
  ['--- \n', undefined],
  ['--- \n...\n', undefined],
  ['--- 7\n...\n', '7'],
  ['', undefined],
])('the setting %j is read as %s', (yaml, value) => {
  expect(readSetting(yaml)).toBe(value)
})

test('a failure is told in the words of the command', () => {
  const stderr =
    'a warning\nbin/rails aborted!\nStandardError: An error has occurred:\n\nPG::Error: no\n\nTasks: TOP => db:migrate\n'
  expect(complaint({ stdout: '', stderr, exitCode: 1 })).toBe(
    'It ended with code 1 and said: StandardError: An error has occurred: / PG::Error: no',
  )
  expect(complaint({ stdout: 'No such account\n', stderr: '', exitCode: 1 })).toContain('No such account')
  expect(complaint({ stdout: '', stderr: '', exitCode: 3 })).toBe('It ended with code 3 and said: nothing')
})

test('a process that the kernel killed ran out of memory', () => {
  expect(complaint({ stdout: 'Compiling...', stderr: '', exitCode: 137 })).toContain('out of memory')
})

test('success that nobody can see is not called a failure', () => {
  const said = { stdout: '', stderr: '', exitCode: 0 }
  expect(operationFailed('Do it', { ...said, verdict: 'unclear' }).exitCode).toBe(8)
  expect(operationFailed('Do it', { ...said, verdict: 'failed' }).exitCode).toBe(3)
})

test('the last line that has text', () => {
  expect(lastLine('one\ntwo \n\n')).toBe('two')
  expect(lastLine('')).toBe('')
})
