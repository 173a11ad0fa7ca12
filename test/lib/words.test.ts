import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/lib/errors.js'
import { understood } from '../../src/lib/words.js'

const ids = ['accounts:confirm', 'accounts:make-admin', 'db:migrate', 'jobs', 'jobs:clear', 'rows', 'run']
const words = (line: string) => understood(line.split(' ').filter(Boolean), { ids })

describe('the words before a command', () => {
  it.each([
    ['', '--help'],
    ['help', '--help'],
    ['help rows', 'rows --help'],
    ['--help', '--help'],
    ['accounts', 'accounts'],
    ['accounts --help', 'accounts --help'],
    ['rows --top 3', 'rows --top 3'],
    ['-i main rows', 'rows -i main'],
    ['--instance=main --json rows --top 3', 'rows --instance=main --json --top 3'],
    ['-C rows rows', 'rows -C rows'],
    ['--dry-run -y db:migrate --phase pre', 'db:migrate --dry-run -y --phase pre'],
    ['jobs:clear default', 'jobs:clear default'],
    ['run -- accounts confirm', 'run -- accounts confirm'],
  ])('%j are understood as %j', (typed, expected) => {
    expect(words(typed).join(' ')).toBe(expected)
  })

  it.each([
    ['accounts confirm alice', /accounts:confirm/],
    ['db migrate', /db:migrate/],
    ['acounts:confirm alice', /accounts:confirm/],
    ['accounts:confrim alice', /accounts:confirm/],
    ['accounts:nonsense', /accounts:confirm, accounts:make-admin/],
    ['row', /rows/],
  ])('%j is an error that names what was meant', (typed, meant) => {
    const error = (() => {
      try {
        return words(typed)
      } catch (thrown) {
        return thrown
      }
    })()
    expect(error).toBeInstanceOf(UsageError)
    expect((error as UsageError).why).toMatch(meant)
  })

  it('suggests nothing where nothing is like it', () => {
    expect(() => words('frobnicate')).toThrow(expect.objectContaining({ exitCode: 2, why: undefined }))
  })
})
