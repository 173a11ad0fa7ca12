import fc from 'fast-check'
import { expect, test } from 'vitest'
import { downtimeOf } from '../../../../src/lib/runbooks/upgrade/downtime.js'

/** Asked every 100 ms, and answered 10 ms later; what is asked at an `s` gets its answer a second after that. */
const asked = (codes: string) =>
  [...codes].map((code, index) => ({
    at: index * 100,
    answeredAt: index * 100 + (code === 's' ? 1_010 : 10),
    code: code === '.' || code === 's' ? '200' : code === 'a' ? '401' : 'Errno::ECONNREFUSED',
  }))

test.each([
  ['....', { milliseconds: 0, outages: 0 }],
  ['..xxx..', { milliseconds: 400, outages: 1 }],
  ['.x..x.', { milliseconds: 400, outages: 2 }],
  ['.x.x.', { milliseconds: 400, outages: 1 }],
  ['.a.', { milliseconds: 0, outages: 0 }],
  ['..xx', { milliseconds: 190, outages: 1 }],
  ['xx.', { milliseconds: 210, outages: 1 }],
  // What hangs in the middle was not answered in the middle.
  ['..xxssxxxxx...', { milliseconds: 1_000, outages: 1 }],
  ['..ss........', { milliseconds: 0, outages: 0 }],
  ['', { milliseconds: 0, outages: 0 }],
])('%s: from the last answer before a question that failed to the next one', (codes, expected) => {
  expect(downtimeOf(asked(codes))).toEqual(expected)
})

test('the order in which the answers come does not matter', () => {
  const answers = fc.array(fc.constantFrom('.', 'x', 's'), { maxLength: 30 }).map(codes => asked(codes.join('')))
  const shuffled = answers.chain(list =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  )
  fc.assert(
    fc.property(shuffled, ([list, mixed]) => {
      expect(downtimeOf(mixed)).toEqual(downtimeOf(list))
    }),
    { numRuns: 100 },
  )
})
