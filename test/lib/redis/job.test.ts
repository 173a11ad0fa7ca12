import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRecord, retriedJob, setNumber, timeOf } from '../../../src/lib/redis/job.js'

const NOW = new Date('2026-07-01T12:00:00.250Z')

describe('times', () => {
  test.each([
    [1_782_907_200.25, '2026-07-01T12:00:00.250Z'],
    [1_782_907_200_250, '2026-07-01T12:00:00.250Z'],
    ['1782907200.25', '2026-07-01T12:00:00.250Z'],
  ])('%s is a time in seconds or in milliseconds', (value, expected) => {
    expect(timeOf(value)?.toISOString()).toBe(expected)
  })

  test.each([undefined, null, '', 'soon', 0, -1, Number.NaN, 1e300, {}, []])('%s is none', value => {
    expect(timeOf(value)).toBeUndefined()
  })
})

describe('setting a number', () => {
  const json = fc.json({ maxDepth: 3 }).filter(text => parseRecord(text) !== undefined)

  test('changes that member and nothing else', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.nat(), (record, number) => {
        const { retry_count: _, ...rest } = record
        const before = JSON.stringify({ a: { retry_count: 1 }, ...rest, retry_count: 5, '"': [1, 'retry_count'] })
        const after = setNumber(before, 'retry_count', String(number))
        expect(JSON.parse(after)).toEqual({ ...JSON.parse(before), retry_count: number })
        expect(after).toBe(before.replace(/"retry_count":5(?=,"\\""|})/, `"retry_count":${number}`))
      }),
    )
  })

  test('adds the member where it is missing', () => {
    fc.assert(
      fc.property(json, text => {
        const { enqueued_at: _, ...rest } = JSON.parse(text)
        const added = setNumber(JSON.stringify(rest), 'enqueued_at', '7')
        expect(JSON.parse(added)).toEqual({ ...rest, enqueued_at: 7 })
      }),
    )
  })

  test('numbers of eighteen digits survive', () => {
    const before = '{ "args" : [109876543210987654, "x\\"}"], "retry_count" : 3 }'
    expect(setNumber(before, 'retry_count', '2')).toBe('{ "args" : [109876543210987654, "x\\"}"], "retry_count" : 2 }')
  })
})

describe('a job that is retried', () => {
  test('is enqueued now, in seconds where its times are seconds', () => {
    const entry =
      '{"class":"ActivityPub::DeliveryWorker","args":[109876543210987654],"queue":"push",' +
      '"created_at":1782900000.123456,"enqueued_at":1782900001.5,"retry_count":4}'
    expect(retriedJob(entry, NOW)).toEqual({
      queue: 'push',
      payload:
        '{"class":"ActivityPub::DeliveryWorker","args":[109876543210987654],"queue":"push",' +
        '"created_at":1782900000.123456,"enqueued_at":1782907200.250000,"retry_count":3}',
    })
  })

  test('and in milliseconds where they are milliseconds', () => {
    const entry = '{"class":"A","queue":"pull","created_at":1782900000123,"retry_count":0}'
    expect(retriedJob(entry, NOW)?.payload).toBe(
      '{"enqueued_at":1782907200250,"class":"A","queue":"pull","created_at":1782900000123,"retry_count":-1}',
    )
  })

  test.each(['', 'null', '[]', '"x"', '{', '{}', '{"class":7}', '\u0000'])('%j is no job', entry => {
    expect(retriedJob(entry, NOW)).toBeUndefined()
  })

  test('any text is a job or none, never a crash, and a job stays sound JSON', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map(json => `{"class":"A","args":${json}}`),
    )
    fc.assert(
      fc.property(text, entry => {
        const job = retriedJob(entry, NOW)
        if (job !== undefined) expect(parseRecord(job.payload)?.class).toBe(parseRecord(entry)?.class)
      }),
    )
  })
})
