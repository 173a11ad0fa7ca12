import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHECKS } from '../../../src/lib/checks/index.js'
import { Tally } from '../../../src/lib/diagnosis/tally.js'
import { mayBeIn } from '../../../src/lib/mastodon/known-problems/problem.js'
import { explanationOf, KNOWN_PROBLEMS, recognise, stepsFor } from '../../../src/lib/mastodon/known-problems.js'
import { MastodonVersion } from '../../../src/lib/mastodon/version.js'

const folder = join(import.meta.dirname, 'known-problems')
const logsIn = (dir: string) => readdirSync(dir).filter(name => name.endsWith('.log'))
const ids = KNOWN_PROBLEMS.map(({ id }) => id)
const FULL = process.env.MSTDN_TEST_FULL !== undefined

/** The problem that a log is named after. */
function namedIn(file: string): string {
  return ids.filter(id => file.startsWith(id)).sort((a, b) => b.length - a.length)[0] ?? `no problem is called ${file}`
}

/** What the lines show: problems with whether they are certain. */
function foundIn(text: string): [string, boolean][] {
  const tally = new Tally()
  for (const line of text.split('\n')) tally.line(line, { source: 'log' })
  return tally.found.map(({ problem, seen }) => [problem.id, seen])
}

describe('a log of the real software', () => {
  it.each(logsIn(folder))('%s shows the problem that it is named after, for certain, and no other', file => {
    expect(foundIn(readFileSync(join(folder, file), 'utf8'))).toEqual([[namedIn(file), true]])
  })

  const healthy = join(folder, 'healthy')
  it.each(logsIn(healthy))('the healthy %s shows nothing', file => {
    expect(foundIn(readFileSync(join(healthy, file), 'utf8'))).toEqual([])
  })

  it('ten healthy ones were captured', () => {
    expect(logsIn(healthy).filter(file => file !== 'heroku.log').length).toBeGreaterThanOrEqual(10)
  })
})

/** Texts of documents and reports. */
const UNSEEN: readonly [string, string][] = [
  ['one-off-limit', ' ›   Error: Cannot run more than 1 Free size dynos.'],
  ['slug-size', 'remote: ! Warning: Your slug size exceeds our soft limit (386 MB) which may affect boot time.'],
  ['slug-size', 'remote:  !     Compiled slug size: 515.3M is too large (max is 500M).'],
  ['node-build', 'remote:  !     Push rejected, failed to compile Node.js app.'],
  ['otp-secret', 'Unable to decrypt OTP secret for user 42'],
  ['encryption-keys-missing', 'key not found: "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY" (KeyError)'],
  ['encryption-keys-missing', 'Run `bin/rails db:encryption:init` to make them.'],
  ['elasticsearch-max-map-count', 'max virtual memory areas vm.max_map_count [65530] is too low, increase it'],
  [
    'redis-overcommit',
    '1:M 01 Jan 2020 00:00:00.000 # WARNING overcommit_memory is set to 0! Background save may fail',
  ],
  ['mixed-content', "Mixed Content: The page at 'https://social.example/' was loaded over HTTPS, but requested"],
  ['pending-migrations', 'pid=1 WARN: ActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column x'],
  ['redirects', 'net::ERR_TOO_MANY_REDIRECTS'],
  ['out-of-memory', '2026-01-01T00:00:00.000000+00:00 heroku[web.1]: Error R14 (Memory quota exceeded)'],
  ['out-of-memory', 'kernel: Out of memory: Killed process 4711 (ruby)'],
  [
    'pending-migrations',
    'ActiveRecord::StatementInvalid (PG::UndefinedTable: ERROR:  relation "user_roles" does not exist',
  ],
]

describe('what nobody has captured', () => {
  it.each(UNSEEN)('%s is recognised, and not for certain: %s', (id, text) => {
    expect(foundIn(text)).toEqual([[id, false]])
  })

  it('every problem has a log, or a text here', () => {
    const shown = new Set([...logsIn(folder).map(namedIn), ...UNSEEN.map(([id]) => id)])
    expect(ids.filter(id => !shown.has(id))).toEqual([])
  })

  it('a sign is called seen only where one of the logs shows it', () => {
    const logs = logsIn(folder).map(file => readFileSync(join(folder, file), 'utf8'))
    const shows = (word: string, pattern = /^/) =>
      logs.some(log => log.split('\n').some(line => line.includes(word) && pattern.test(line)))
    const claimed = KNOWN_PROBLEMS.flatMap(({ signs }) => signs).filter(({ seen }) => seen)
    expect(claimed.filter(({ word, pattern }) => !shows(word, pattern)).map(({ word }) => word)).toEqual([])
  })
})

describe('the way a log is kept does not matter', () => {
  const lines = [
    ...logsIn(folder).flatMap(file => readFileSync(join(folder, file), 'utf8').split('\n')),
    ...UNSEEN.map(([, text]) => text),
  ].filter(line => recognise(line).length > 0)

  const kept: readonly ((line: string) => string)[] = [
    line => `web-1  | ${line}`,
    line => `mastodon_web_1  | 2026-11-22T18:52:43.201851451Z ${line}`,
    line => `2026-11-22T18:52:43.201851+00:00 app[run.4711]: ${line}`,
    line => JSON.stringify({ log: `${line}\n`, stream: 'stderr', time: '2026-11-22T18:52:43.2Z' }),
    line => JSON.stringify({ log: `\u001b[31m${line}\u001b[0m\r\n`, stream: 'stderr', time: 'x' }),
    line => `\u001b[36mweb-1  | \u001b[0m${line}\r`,
    line => line.replaceAll(' ', ' \u001b[1;31m'),
  ]
  const filler = fc.stringMatching(/^[ a-z0-9=[\]()|:.,é\u{1f418}-]{0,60}$/u)

  it('prefixes, colours, and what else stands in the line', () => {
    const property = fc.property(
      fc.constantFrom(...lines),
      fc.constantFrom(...kept),
      filler,
      filler,
      (line, keep, before, after) => {
        expect(foundIn(keep(`${before} ${line} ${after}`))).toEqual(foundIn(line))
      },
    )
    fc.assert(property, { numRuns: FULL ? 20_000 : 500 })
  })
})

describe('what is offered', () => {
  it('names of tables come out of the log only where they are plain words', () => {
    const text = (name: string) => `PG::DuplicateTable: ERROR:  relation "${name}" already exists`
    const offered = (name: string) =>
      recognise(text(name))
        .flatMap(each => stepsFor(each))
        .join('\n')
    expect(offered('conversations')).toContain('db:drop-leftovers conversations ')
    for (const name of [`a'; rm -rf ~; '`, 'a$(touch x)', 'Conversations', 'a"b'])
      expect(offered(name)).not.toContain(name)
    expect(offered('x; DROP TABLE users')).toContain('db:drop-leftovers NAME ')
  })

  it('the version chooses among the steps; without one each says whom it is for', () => {
    const [found] = recognise('PG::ForeignKeyViolation: ERROR')
    if (found === undefined) throw new Error('not recognised')
    expect(stepsFor(found, MastodonVersion.of('2.4.5')).join()).toContain('prepare_for_foreign_keys')
    expect(stepsFor(found, MastodonVersion.of('4.5.3')).join()).not.toContain('prepare_for_foreign_keys')
    expect(stepsFor(found)[0]).toMatch(/^\(Mastodon 1\.4\.2 to before 2\.6\.0\) mstdn-ops db:migrate/)
  })

  it('every problem has something to do in every release that can have it', () => {
    const releases = ['1.4.2', '2.4.5', '3.5.13', '4.2.9', '4.3.8', '4.7.2'].map(MastodonVersion.of)
    for (const problem of KNOWN_PROBLEMS) {
      const possible = releases.filter(release => mayBeIn(release, problem.versions ?? {}))
      for (const release of possible) expect(stepsFor({ problem, names: {} }, release), problem.id).not.toEqual([])
    }
  })

  it('the checks that are named exist, and ids are there once', () => {
    const checks = CHECKS.map(({ id }) => id)
    const named = KNOWN_PROBLEMS.flatMap(problem => problem.checks ?? [])
    expect(named.filter(id => !checks.includes(id))).toEqual([])
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('an explanation is not taken for a problem of another kind', () => {
    const told = KNOWN_PROBLEMS.map(problem => ({
      id: problem.id,
      text: [problem.title, problem.explains, ...stepsFor({ problem, names: {} })].join('\n'),
    }))
    for (const { id, text } of told) expect(foundIn(text).filter(([found]) => found !== id)).toEqual([])
  })

  it('a failure is explained in two sentences, and what is unsure is called so', () => {
    expect(explanationOf('nothing of the kind')).toBeUndefined()
    expect(explanationOf('a\nCaused by: PG::DuplicateTable: ERROR:  relation "conversations" already exists')).toMatch(
      /^Known problem: A migration makes a table that is there already\. What helps: mstdn-ops db:drop-leftovers conversations /,
    )
    expect(explanationOf('Error: Cannot run more than 1 Eco dynos.')).toMatch(/^Perhaps: The plan allows/)
  })
})
