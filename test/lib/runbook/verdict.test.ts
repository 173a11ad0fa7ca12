import { describe, expect, it, test } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import type { Step } from '../../../src/lib/runbook/step.js'
import { endOf, verdict } from '../../../src/lib/runbook/verdict.js'
import { complaint } from '../../../src/lib/runbooks/content/outcome.js'

function told(cause: unknown): string {
  const error = verdict({ runbook: 'db:migrate', runId: 'RUN-ID', cause, left: [], journalFailed: false })
  return [error.message, error.why, error.next].join('\n')
}

const ABORTED = [
  'bin/rails aborted!',
  'StandardError: An error has occurred, this and all later migrations canceled:',
  '',
  'PG::DuplicateTable: ERROR:  relation "conversations" already exists',
].join('\n')

describe('a step that failed', () => {
  it('with a known problem ends with its explanation and what helps', () => {
    const cause = complaint({ stdout: '', stderr: ABORTED, exitCode: 1 })
    const text = told(new RefusedError({ code: 'migrations-pending', message: '1 migration is still pending.', cause }))
    expect(text).toContain('Known problem: A migration makes a table that is there already.')
    expect(text).toContain('mstdn-ops db:drop-leftovers conversations')
    expect(text).toContain('things are as they were before')
  })

  it('by what no operator error tells, all the same', () => {
    expect(told(new Error('ENOSPC: no space left on device, write'))).toContain('Known problem: The disk is full.')
  })

  it('with an unseen one is explained as perhaps', () => {
    expect(told(new Error('Cannot run more than 1 Eco dynos.'))).toContain('Perhaps: The plan allows no further')
  })

  it('of a migration that misses a column is not told to migrate', () => {
    const stderr =
      'rails aborted!\nActiveRecord::StatementInvalid: PG::UndefinedColumn: ERROR:  column "x" does not exist'
    expect(told(new Error(complaint({ stdout: '', stderr, exitCode: 1 })))).not.toContain('Known problem')
  })

  it('with nothing known says no more than before', () => {
    expect(told(new Error('the cat ate it'))).toBe(
      'db:migrate failed: the cat ate it\nWhat had been done was undone: things are as they were before.\nmstdn-ops runs:show RUN-ID',
    )
  })

  it('is recognised by a line that a stack trace follows', () => {
    const stderr = ['ActiveRecord::Encryption::Errors::Decryption (x):', 'a.rb:1', 'b.rb:2', 'c.rb:3', 'd.rb:4'].join(
      '\n',
    )
    expect(complaint({ stdout: '', stderr, exitCode: 1 })).toMatch(/said: ActiveRecord::Encryption.*c\.rb/)
    expect(told(new Error(complaint({ stdout: '', stderr: 'x', exitCode: 137 })))).toContain('The memory ran out')
  })
})

describe('a step at the end that could be repeated', () => {
  const step: Step = { id: 'feeds', title: 'Build feeds', effect: 'write', repeatable: true, run: async () => {} }
  const ending = { runbook: 'db:reset', runId: 'RUN-ID', cause: new Error('no'), left: [{ step, why: 'failed' }] }

  it('holds up nothing: the command may be run again', () => {
    expect(endOf(ending)).toBe('left')
    expect(verdict({ ...ending, journalFailed: false }).next).toContain('Run the command again')
  })

  it('is gone on with where people use what the run has made', () => {
    const inUse = 'Visitors were let in.'
    expect(endOf({ ...ending, inUse })).toBe('not-undone')
    expect(verdict({ ...ending, inUse, journalFailed: false }).next).toContain('mstdn-ops resume')
  })
})

test('a disposable run whose undo failed is run again, for nothing is there to resume', () => {
  const step: Step = { id: 'place', title: 'Make a network', effect: 'write', run: async () => {} }
  const left = [{ step, why: 'its undo failed: no' }]
  const ending = { runbook: 'upgrade:rehearse', runId: 'RUN-ID', cause: new Error('no'), left }
  expect(endOf({ ...ending, disposable: true })).toBe('left')
  const { next } = verdict({ ...ending, disposable: true, journalFailed: false })
  expect(next).toBe('Run the command again when the cause is gone: it clears away what is left.')
  expect(verdict({ ...ending, journalFailed: false }).next).toContain('mstdn-ops resume')
})
