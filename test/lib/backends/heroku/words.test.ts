import { expect, test } from 'vitest'
import { appOfUrl } from '../../../../src/lib/backends/heroku/detect.js'
import { logLineOf } from '../../../../src/lib/backends/heroku/log-session.js'
import { baseUrlOf, noClient } from '../../../../src/lib/backends/heroku/login.js'
import { complaintOf, dynoOf, errorIdOf, unquoted } from '../../../../src/lib/backends/heroku/one-off.js'

test.each([
  ['https://git.heroku.com/my-mastodon.git', 'my-mastodon'],
  ['git@heroku.com:my-mastodon.git', 'my-mastodon'],
  ['ssh://git@heroku.com/my-mastodon.git', 'my-mastodon'],
  ['https://git.heroku.com.evil.example/my-mastodon.git', undefined],
  ['https://github.com/mastodon/mastodon.git', undefined],
  ['', undefined],
])('the remote %s means the app %s', (url, app) => {
  expect(appOfUrl(url)).toBe(app)
})

test.each([
  [undefined, 'https://api.heroku.com'],
  ['', 'https://api.heroku.com'],
  ['heroku.com', 'https://api.heroku.com'],
  ['herokudev.com', 'https://api.herokudev.com'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
])('HEROKU_HOST %s is %s', (host, url) => {
  expect(baseUrlOf(host)).toBe(url)
})

test.each([
  ...['https://evil.example', 'evil.example', 'notheroku.com', 'https://heroku.com.evil.example'],
  ...['https://localhost.evil.example', 'http://127.0.0.1.evil.example', 'https://notlocalhost'],
])('the token is not sent to %s', host => {
  expect(() => baseUrlOf(host)).toThrow(expect.objectContaining({ code: 'heroku-host', exitCode: 2 }))
})

test('where the CLI is missing, the key is only spoken of when there is none', () => {
  expect(noClient({}).why).toContain('HEROKU_API_KEY is not set')
  expect(noClient({ HEROKU_API_KEY: 'key' }).why).toBe('There is no program heroku on PATH.')
})

test('a log line is read with its source; what is none is left out', () => {
  const line = '2026-01-02T03:04:05.678901+00:00 app[web.1]: [id] GET / 200'
  expect(logLineOf(line)).toEqual({
    ...{ time: '2026-01-02T03:04:05.678901+00:00', from: 'app' },
    ...{ source: 'web.1', text: '[id] GET / 200' },
  })
  expect(logLineOf('2026-01-02T03:04:05+00:00 heroku[web.1]: State changed from up to crashed')?.from).toBe('heroku')
  expect(logLineOf(' ')).toBeUndefined()
  expect(logLineOf('2026-01-02T03:04:05+00:00 app[run.1]: 1 %\r2 %\u2028end')?.text).toBe('1 %\r2 %\u2028end')
})

test.each([
  [
    ' ›   Error: Cannot run more than 1 Free size dynos.\n ›\n ›   Error ID: cannot_run_more\n',
    /^Cannot run more than 1 Free/,
  ],
  ['Running sh on ⬢ app... up, run.1\nError: Process exited with code 3\n', /^Process exited with code 3/],
  [' ›   Warning: heroku update available from 9 to 11.\n', /^It gave no reason/],
  ['connect ECONNREFUSED 127.0.0.1:9\n  Code: ECONNREFUSED\n', /^connect ECONNREFUSED/],
])('of %j the complaint is told', (stderr, complaint) => {
  expect(complaintOf({ stdout: '', stderr, exitCode: 1, planned: false })).toMatch(complaint)
})

const said = (stderr: string) => ({ stdout: '', stderr, exitCode: 1, planned: false })

test.each([
  ['Running sh on ⬢ app... up, run.1234\n', 'run.1234'],
  ['Running sh on ⬢ app... up, run-abcd-efghi\n', 'run-abcd-efghi'],
  ["Running echo '... up, run.9' on app... starting\nRunning x on app... up, run.2\nError: no\n", 'run.2'],
  ['Running sh on app... done\n', undefined],
])('of %j the dyno is %s', (stderr, name) => {
  expect(dynoOf(said(stderr))).toBe(name)
})

test("the API's own name of an error is the client's, not one that the command's words hold", () => {
  expect(errorIdOf(said(' ›   Error: No.\n ›\n ›   Error ID: not_found\n'))).toBe('Error ID: not_found')
  const command = "sh -c 'a\nError ID: invented\n... up, run.9'"
  const outcome = unquoted(said(`Running ${command} on app... up, run.1\n`), command)
  expect(errorIdOf(outcome)).toBe('')
  expect(outcome.stderr).toBe('Running the command on app... up, run.1\n')
})
