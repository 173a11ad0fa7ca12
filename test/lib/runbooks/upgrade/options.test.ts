import { expect, test } from 'vitest'
import type { ReleaseChange } from '../../../../src/lib/backends/backend.js'
import { upgradePath } from '../../../../src/lib/mastodon/upgrade/plan.js'
import { optionsOf } from '../../../../src/lib/runbooks/upgrade/options.js'
import { toolboxOf } from '../../../support/toolbox-of.js'
import { onImages, service } from '../../mastodon/upgrade/instances.js'

const change: Partial<ReleaseChange> = {}
const releases = { current: async () => undefined, change: change as ReleaseChange }
const able = toolboxOf({ releases, processes: [], oneOff: {} })
const SAID = { singlePhase: false, backup: true }

test('two phases where the releases allow it and nobody wants it otherwise', () => {
  const plan = upgradePath('4.3.8', onImages('4.2.9'))
  expect(optionsOf(able, plan, SAID)).toMatchObject({ from: '4.2.9', to: '4.3.8', phases: 'two', coexist: true })
  expect(optionsOf(able, plan, { ...SAID, singlePhase: true })).toMatchObject({ phases: 'single', coexist: true })
  const far = upgradePath('4.3.8', onImages('3.5.13'))
  expect(optionsOf(able, far, SAID)).toMatchObject({ phases: 'single', coexist: false })
})

test('several releases on the way are refused, with the first one to go to', () => {
  const plan = upgradePath('4.5.3', onImages('4.2.9'))
  expect(() => optionsOf(able, plan, SAID)).toThrow(/2 releases have to be deployed, one after the other/)
})

test('a queue that nobody would listen to is refused before anything is done', () => {
  const sidekiq = service('sidekiq', 'ghcr.io/mastodon/mastodon:v4.3.8', { command: 'bundle exec sidekiq -q default' })
  const plan = upgradePath('4.4.1', onImages('4.3.8', { services: [sidekiq], queues: ['default'] }))
  expect(() => optionsOf(able, plan, SAID)).toThrow(/Not every queue of 4\.4\.1 would have a listener/)
})

test('what the plan leaves to the operator is told in the end; images are changed by the upgrade', () => {
  const streaming = service('streaming', 'tootsuite/mastodon:v4.2.9', { command: 'node ./streaming' })
  const plan = upgradePath('4.3.8', onImages('4.2.9', { services: [streaming] }))
  expect(optionsOf(able, plan, SAID).leftToDo).toEqual(['In the service streaming: command: node ./streaming/index.js'])
})

test('where releases are not changed from here it is refused', () => {
  const plan = upgradePath('4.3.8', onImages('4.2.9'))
  expect(() => optionsOf(toolboxOf({}), plan, SAID)).toThrow(/has no releases that are changed from here/)
})
