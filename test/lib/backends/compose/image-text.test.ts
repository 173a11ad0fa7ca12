/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are compose's variables */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changedImage } from '../../../../src/lib/backends/compose/image-text.js'
import { interpolated } from '../../../../src/lib/backends/compose/interpolation.js'

const WANTED = 'ghcr.io/mastodon/mastodon:v4.3.8'
const numRuns = process.env.MSTDN_TEST_FULL ? 5_000 : 300

function changed(text: string, variables: Record<string, string> = {}, wanted = WANTED) {
  const change = changedImage(text, wanted, new Map(Object.entries(variables)))
  return change && { text: change.text, ...Object.fromEntries(change.variables) }
}

test('plain words are replaced, the digest with them', () => {
  expect(changed('ghcr.io/mastodon/mastodon:v4.2.9')).toEqual({ text: WANTED })
  expect(changed('ghcr.io/mastodon/mastodon')).toEqual({ text: WANTED })
  expect(changed('tootsuite/mastodon:latest')).toEqual({ text: WANTED })
  expect(changed('ghcr.io/mastodon/mastodon@sha256:0123')).toEqual({ text: WANTED })
  expect(changed('ghcr.io/mastodon/mastodon:v4.2.9@sha256:0123')).toEqual({ text: WANTED })
  expect(changed('reg:5000/mastodon', {}, 'reg:5000/mastodon:v4.3.8')).toEqual({ text: 'reg:5000/mastodon:v4.3.8' })
})

test('a variable is changed where it stands, with what is left of the words around it', () => {
  const at = { V: 'v4.2.9' }
  for (const raw of ['${V}', '$V', '${V:-v4.1.0}', '${V?set it}'])
    expect(changed(`ghcr.io/mastodon/mastodon:${raw}`, at)).toEqual({
      text: `ghcr.io/mastodon/mastodon:${raw}`,
      V: 'v4.3.8',
    })
  expect(changed('ghcr.io/mastodon/mastodon:v${N}', { N: '4.2.9' })).toEqual({
    text: 'ghcr.io/mastodon/mastodon:v${N}',
    N: '4.3.8',
  })
  expect(changed('tootsuite/mastodon:${V}@sha256:01', at)).toEqual({
    text: 'ghcr.io/mastodon/mastodon:${V}',
    V: 'v4.3.8',
  })
  expect(changed('${IMAGE}', { IMAGE: 'a/mastodon:v4.2.9' })).toEqual({ text: '${IMAGE}', IMAGE: WANTED })
  expect(changed('${REPO}/mastodon:${V}', { REPO: 'tootsuite', ...at })).toEqual({
    text: '${REPO}/mastodon:${V}',
    REPO: 'ghcr.io/mastodon',
    V: 'v4.3.8',
  })
})

test('a default that is in force is changed, one that is not stays', () => {
  expect(changed('ghcr.io/mastodon/mastodon:${V:-v4.2.9}')).toEqual({ text: 'ghcr.io/mastodon/mastodon:${V:-v4.3.8}' })
  expect(changed('${I:-a/mastodon}:${V-v4.2.9}')).toEqual({ text: '${I:-ghcr.io/mastodon/mastodon}:${V-v4.3.8}' })
  expect(changed('a/mastodon:${V:-${W:-v4.2.9}}')).toEqual({ text: 'ghcr.io/mastodon/mastodon:${V:-v4.3.8}' })
})

test('what two variables make together, or none can, is written as plain words', () => {
  expect(changed('a/mastodon:v${MAJOR}.${MINOR}', { MAJOR: '4', MINOR: '2.9' })).toEqual({ text: WANTED })
  expect(changed('a/mastodon:r${V}', { V: '4.2.9' })).toEqual({ text: WANTED })
  expect(changed('a/mastodon:${V:+v4.2.9}', { V: 'x' })).toEqual({ text: WANTED })
})

test('a variable that another service needs otherwise is left alone', () => {
  const fixed = new Map([['IMAGE', WANTED]])
  const now = new Map([['IMAGE', 'a/mastodon:v4.2.9']])
  const streaming = 'ghcr.io/mastodon/mastodon-streaming:v4.3.8'
  expect(changedImage('${IMAGE}', streaming, now, fixed)?.text).toBe(streaming)
  expect(changedImage('${IMAGE}', WANTED, now, fixed)).toEqual({ text: '${IMAGE}', variables: new Map() })
})

test('what compose cannot read is not touched', () => {
  expect(changed('a/mastodon:${V')).toBeUndefined()
  expect(changed('a/mastodon:${V?set it}')).toBeUndefined()
})

test('whatever the text is made of, afterwards it means the wanted image', () => {
  const word = fc.constantFrom(
    'ghcr.io/',
    'mastodon',
    '/mastodon',
    ':',
    'v',
    '4.2.9',
    '@sha256:aa',
    '$$',
    '.',
    'v4.3.8',
  )
  const variable = fc.constantFrom('${A}', '$B', '${C:-v4.2.9}', '${A:-x/mastodon}', '${B-4.2.9}', '${C:+y}', '${D:-}')
  const pieces = fc.array(fc.oneof(word, variable), { minLength: 1, maxLength: 6 })
  const values = fc.dictionary(
    fc.constantFrom('A', 'B', 'C'),
    fc.constantFrom('v4.2.9', '4.2.9', 'mastodon', '', WANTED),
  )
  fc.assert(
    fc.property(pieces, values, (parts, set) => {
      const variables = new Map(Object.entries(set))
      const change = changedImage(parts.join(''), WANTED, variables)
      if (change === undefined) return
      expect(interpolated(change.text, new Map([...variables, ...change.variables]))).toBe(WANTED)
      for (const name of change.variables.keys()) expect(variables.has(name)).toBe(true)
    }),
    { numRuns },
  )
})
