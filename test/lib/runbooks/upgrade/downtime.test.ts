import fc from 'fast-check'
import { expect, test } from 'vitest'
import { downtimeOf } from '../../../../src/lib/runbooks/upgrade/downtime.js'

const asked = (codes: string) =>
  [...codes].map((code, at) => ({
    at: at * 100,
    code: code === '.' ? '200' : code === 'a' ? '401' : 'Errno::ECONNREFUSED',
  }))

test.each([
  ['....', { milliseconds: 0, outages: 0 }],
  ['..xxx..', { milliseconds: 300, outages: 1 }],
  ['.x.x.', { milliseconds: 200, outages: 2 }],
  ['.a.', { milliseconds: 0, outages: 0 }],
  ['..xx', { milliseconds: 100, outages: 1 }],
  ['', { milliseconds: 0, outages: 0 }],
])('%s: from the first question without an answer to the first that had one again', (codes, expected) => {
  expect(downtimeOf(asked(codes))).toEqual(expected)
})

test('the order in which the answers come does not matter', () => {
  const answers = fc.array(fc.constantFrom('.', 'x'), { maxLength: 30 }).map(codes => asked(codes.join('')))
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
